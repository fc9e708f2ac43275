"""One piece of a streamed chat completion, in OpenAI's shape."""

from __future__ import annotations

from typing import Literal

from .base import Model
from .chat import ChoiceLogprobs, FinishReason
from .usage import Usage


class FunctionCallDelta(Model):
    """A piece of a function call: the name comes once, the arguments in pieces."""

    essential = frozenset({"arguments", "name"})

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(Model):
    """A piece of a tool call; pieces of the same `index` belong together."""

    essential = frozenset({"function"})

    index: int
    id: str | None = None
    type: Literal["function", "custom"] | None = None
    function: FunctionCallDelta | None = None


class Delta(Model):
    """What is new in this chunk."""

    essential = frozenset({"content", "function_call", "refusal", "tool_calls"})

    role: Literal["assistant", "user", "system", "developer", "tool"] | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    reasoning_content: str | None = None
    function_call: FunctionCallDelta | None = None
    audio: Model | None = None
    """A piece of the spoken answer."""


class ChunkChoice(Model):
    """The new piece of one choice."""

    index: int = 0
    delta: Delta
    finish_reason: FinishReason | None = None
    """Set in the choice's last piece only."""
    logprobs: ChoiceLogprobs | None = None


class ChatCompletionChunk(Model):
    """One chunk of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    """Unix time in seconds; the same in every chunk of a stream."""
    model: str
    choices: list[ChunkChoice]
    """Empty in the chunk that carries the usage."""
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    moderation: Model | None = None
    """What the provider's moderation says about `input` and `output`."""
    obfuscation: str | None = None
    """Random characters that hide from listeners how long the piece is."""

    @property
    def text(self) -> str:
        """The new text of the first choice in this chunk; `""` when it brings none."""
        return (self.choices[0].delta.content or "") if self.choices else ""
