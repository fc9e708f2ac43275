"""A text completion (the model continues a prompt), in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import with_config

from .base import Model
from .call_info import Answer
from .chat import FinishReason
from .operation import Operation
from .request import JSON, STRICT, Request
from .samplers import SamplerParams
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


@with_config(STRICT)
class TextParams(SamplerParams, total=False):
    """OpenAI's parameters of a text completion, and the samplers local servers share."""

    best_of: int | None
    echo: bool | None
    frequency_penalty: float | None
    logit_bias: Mapping[str | int, float] | None
    logprobs: int | None
    max_tokens: int | None
    n: int | None
    presence_penalty: float | None
    seed: int | None
    stop: str | Sequence[str] | None
    stream_options: Mapping[str, JSON] | None
    suffix: str | None
    temperature: float | None
    top_p: float | None
    user: str | None


TEXT = Operation(
    name="text",
    params=TextParams,
    content=("prompt",),
    path="/completions",
    answer=TextCompletion,
    chunk=TextCompletion,
    id_prefix="cmpl-",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRequest(Request):
    """A text to be continued."""

    row: ClassVar[Operation[TextCompletion, TextCompletion]] = TEXT

    prompt: str | Sequence[str] | Sequence[int]
    """A text, several texts, or token ids."""
