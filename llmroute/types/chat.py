"""A chat completion, in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Self, TypeAlias

from pydantic import model_validator

from .base import Model, Shown
from .call_info import Answer
from .usage import Usage

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
"""Why a choice ended. A provider's own words are mapped to these, without regard to case; a word
that maps to none of them leaves `finish_reason` at `None` and is kept in the extra field
`native_finish_reason`."""


class FunctionCall(Model):
    """The function a model wants called."""

    name: str
    arguments: str
    """JSON text, as the model wrote it; it may not parse."""


class CustomToolInput(Model):
    """The free-form input of a custom tool."""

    name: str
    input: str


class ToolCall(Model):
    """One call the model asks for. Send the result back in a message of role `tool`."""

    id: str
    type: Literal["function", "custom"] = "function"
    function: FunctionCall | None = None
    custom: CustomToolInput | None = None
    """Set instead of `function` when `type` is `"custom"`."""

    @model_validator(mode="after")
    def _calls_something(self) -> Self:
        if (self.function if self.type == "function" else self.custom) is None:
            raise ValueError(f"a tool call of type {self.type} must say which")
        return self


class TopLogprob(Model):
    """One of the most likely tokens at a position."""

    token: str
    bytes: list[int] | None = None
    logprob: float


class TokenLogprob(Model):
    """The log probability of one token of the answer."""

    token: str
    bytes: list[int] | None = None
    """The token's UTF-8 bytes; a character may be spread over several tokens."""
    logprob: float
    """Natural logarithm of the probability; -9999.0 stands for "very unlikely"."""
    top_logprobs: list[TopLogprob] | None = None
    """The likeliest tokens at this position; `None` where a server sends the chosen token only."""


class ChoiceLogprobs(Model):
    """Log probabilities of a choice."""

    content: list[TokenLogprob] | None = None
    refusal: list[TokenLogprob] | None = None


class URLCitation(Model):
    """A page that was used, and for which characters of the text."""

    url: str
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Annotation(Model):
    """A remark on a part of the text."""

    type: str
    url_citation: URLCitation | None = None


class Message(Model):
    """What the model said. It can be put back into `messages` as it is."""

    essential = frozenset({"content", "function_call", "refusal", "tool_calls"})

    role: Literal["assistant"] = "assistant"
    content: str | None = None
    """The text; `None` when there is none, as in most tool calls."""
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    """The model's thinking, where a provider shows it."""
    function_call: FunctionCall | None = None
    """OpenAI's older form of `tool_calls`."""
    annotations: list[Annotation] | None = None
    """The pages that a web search used."""
    audio: Model | None = None
    """The spoken answer (`id`, `data`, `expires_at`, `transcript`)."""


class Choice(Model):
    """One answer; `n=` asks for several."""

    index: int = 0
    finish_reason: FinishReason | None = None
    message: Message
    logprobs: ChoiceLogprobs | None = None

    def is_plain(self) -> bool:
        """Whether it is a text and nothing else."""
        said = {key for key, value in self.message.items() if value is not None}
        return said <= {"role", "content"} and self.logprobs is None


class ChatCompletion(Answer):
    """The answer to `completion()`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    """Unix time in seconds."""
    model: str
    """The model that answered, in the provider's words."""
    choices: list[Choice]
    usage: Usage | None = None
    """`None` when the provider reported none."""
    service_tier: str | None = None
    system_fingerprint: str | None = None
    metadata: dict[str, str] | None = None
    moderation: Model | None = None
    """What the provider's moderation says about `input` and `output`."""

    @property
    def text(self) -> str:
        """The first choice's text; `""` when it has none."""
        return (self.choices[0].message.content or "") if self.choices else ""

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """What `repr` and `print` show: one plain text first, without what is around it."""
        hidden = {"object", "created"}
        if len(self.choices) == 1 and self.choices[0].is_plain():
            hidden.add("choices")
            yield "text", Shown(self.text)
            yield "finish_reason", self.choices[0].finish_reason
        yield from ((key, value) for key, value in super().__repr_args__() if key not in hidden)
