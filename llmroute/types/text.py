"""A text completion (the model continues a prompt), in OpenAI's shape."""

from __future__ import annotations

from typing import Literal

from .base import Model
from .call_info import Answer
from .chat import FinishReason
from .usage import Usage


class TextLogprobs(Model):
    """Log probabilities of a text choice, one entry a token in every list."""

    text_offset: list[int] | None = None
    """Where each token starts in the text, in characters."""
    token_logprobs: list[float | None] | None = None
    tokens: list[str] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class TextChoice(Model):
    """One continuation."""

    index: int = 0
    text: str
    finish_reason: FinishReason | None = None
    logprobs: TextLogprobs | None = None


class TextCompletion(Answer):
    """The answer to `text_completion()`; with `stream=True` also each chunk of it."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    """Unix time in seconds."""
    model: str
    choices: list[TextChoice]
    usage: Usage | None = None
    system_fingerprint: str | None = None

    @property
    def text(self) -> str:
        """The first choice's text; `""` when there is none."""
        return self.choices[0].text if self.choices else ""
