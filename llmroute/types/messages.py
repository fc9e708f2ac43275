"""Anthropic's Messages: what `messages()` takes and gives.

Written from https://platform.claude.com/docs/en/api/messages and
https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11-28). `to_dict()` of each
fits the types of the package `anthropic`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from .base import Model
from .call_info import Answer
from .operation import Operation
from .request import JSON, STRICT, Request


@with_config(STRICT)
class MessagesParams(TypedDict, total=False):
    """The parameters of the protocol."""

    betas: Sequence[str] | None
    """Sent as the header `anthropic-beta`."""
    cache_control: Mapping[str, JSON] | None
    container: str | Mapping[str, JSON] | None
    context_management: Mapping[str, JSON] | None
    inference_geo: str | None
    max_tokens: int | None
    mcp_servers: Sequence[Mapping[str, JSON]] | None
    metadata: Mapping[str, JSON] | None
    output_config: Mapping[str, JSON] | None
    service_tier: str | None
    speed: str | None
    stop_sequences: Sequence[str] | None
    system: str | Sequence[Mapping[str, JSON]] | None
    temperature: float | None
    thinking: Mapping[str, JSON] | None
    tool_choice: Mapping[str, JSON] | None
    tools: Sequence[Mapping[str, JSON]] | None
    top_k: int | None
    top_p: float | None


class ContentBlock(Model):
    """One block of an answer. Which fields it has depends on its `type`; unknown types are kept."""

    type: str
    """`text`, `thinking`, `redacted_thinking`, `tool_use`, or a type of the provider's own."""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    """What Anthropic recognises its own thinking by; `""` for thinking of other models."""
    id: str | None = None
    """Of a `tool_use`: name it in the `tool_result`."""
    name: str | None = None
    """The tool that a `tool_use` calls."""
    input: Any = None
    """What a `tool_use` calls it with: a mapping."""


class MessagesUsage(Model):
    """Token counts. All tokens of the prompt are the sum of the three counts of input."""

    input_tokens: int | None = None
    """Tokens of the prompt that were neither read from a cache nor written to one."""
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    """Tokens written to a cache; `None` where the provider does not say."""
    cache_read_input_tokens: int | None = None
    """Tokens read from a cache; `None` where the provider does not say."""
    reported: bool | None = None
    """`False`: the provider counted nothing, and the zeros only fill the places that the protocol
    insists on."""


class MessagesResponse(Answer):
    """The answer to `messages()`. Its `content` can be put back into `messages` as it is."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    """The model that answered, in the provider's words."""
    content: list[ContentBlock]
    stop_reason: str | None = None
    """`end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `refusal`, or a word of the
    provider's own protocol; `None` if it gave no reason."""
    stop_sequence: str | None = None
    """The sequence that ended the answer; `None` where the provider does not say which."""
    usage: MessagesUsage

    @property
    def text(self) -> str:
        """The text of all blocks; `""` when there is none."""
        return "".join(block.text or "" for block in self.content if block.type == "text")


class EventDelta(Model):
    """What is new in a block, or in the message."""

    type: str | None = None
    """`text_delta`, `thinking_delta`, `signature_delta`, `input_json_delta`, ...; `None` in a
    `message_delta`."""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class MessageEvent(Model):
    """One event of a stream. Which fields it has depends on its `type`; unknown types are kept."""

    type: str
    """`message_start`, `content_block_start`, `content_block_delta`, `content_block_stop`,
    `message_delta`, `message_stop`, `ping`."""
    index: int | None = None
    """The number of the block, from 0."""
    message: MessagesResponse | None = None
    """The message as it begins, without content."""
    content_block: ContentBlock | None = None
    """The block as it begins."""
    delta: EventDelta | None = None
    usage: MessagesUsage | None = None
    """In `message_delta`: the counts of the whole answer."""

    @property
    def text(self) -> str:
        """The new text in this event; `""` when it brings none."""
        return (self.delta.text or "") if self.delta is not None else ""


class InputTokens(Model):
    """How many tokens the prompt of a call would be."""

    input_tokens: int
    exact: bool
    """Whether the provider counts the same; `False` for every estimate."""


MESSAGES = Operation(
    name="messages",
    params=MessagesParams,
    content=("messages",),
    path="/messages",
    answer=MessagesResponse,
    chunk=MessageEvent,
    id_prefix="msg_",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesRequest(Request):
    """A conversation to be answered by a provider that speaks the protocol itself."""

    row: ClassVar[Operation[MessagesResponse, MessageEvent]] = MESSAGES

    messages: Sequence[Mapping[str, JSON]]
    """Anthropic's message objects as plain dicts; never empty."""
