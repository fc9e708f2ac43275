"""`messages()` and `amessages()`: Anthropic's Messages API, at every provider that chats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, Unpack, overload

from pydantic import BaseModel

from ..deployments import split_model
from ..errors import BadRequestError
from ..prepare import CallOptions, check_values, prepare
from ..protocols.messages_answer import response
from ..protocols.messages_chat import CACHE_CONTROL, Chat
from ..protocols.messages_events import ChunkEvents
from ..protocols.messages_request import chat
from ..protocols.messages_state import without_ours
from ..providers import get_provider
from ..tokens import token_counter
from ..transport import drive
from ..transport.drive import Job
from ..types.base import Model
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.messages import (
    MESSAGES,
    InputTokens,
    MessageEvent,
    MessagesParams,
    MessagesRequest,
    MessagesResponse,
)
from ..types.request import JSON
from .chat import chat_job
from .message_streams import AsyncMessageStream, MessageStream, SameEvents, noted

AnthropicMessages: TypeAlias = str | Sequence[Any]
"""A text (one user message), or Anthropic's message dicts in order; blocks may be objects."""

_BETA_HEADER = "anthropic-beta"
_ANTHROPICS_HEADERS = (_BETA_HEADER, "anthropic-version")


class MessagesArgs(MessagesParams, CallOptions, total=False):
    """The keyword arguments of `messages()`."""


@overload
def messages(
    model: str,
    messages: AnthropicMessages,
    *,
    stream: Literal[False] = False,
    **given: Unpack[MessagesArgs],
) -> MessagesResponse: ...
@overload
def messages(
    model: str, messages: AnthropicMessages, *, stream: Literal[True], **given: Unpack[MessagesArgs]
) -> MessageStream: ...
@overload
def messages(
    model: str, messages: AnthropicMessages, *, stream: bool, **given: Unpack[MessagesArgs]
) -> MessagesResponse | MessageStream: ...
def messages(
    model: str, messages: AnthropicMessages, *, stream: bool = False, **given: Unpack[MessagesArgs]
) -> MessagesResponse | MessageStream:
    """Answers a conversation in the shapes of Anthropic's Messages API.

    A provider that speaks the protocol gets the request as it is; every other one that chats gets
    a chat that asks the same. `call_info.dropped_params` of the answer names what had no
    counterpart there. Anthropic itself insists on `max_tokens`. Errors as in `completion()`.
    """
    if is_native(model, given):
        native = native_job(model, messages, stream, given)
        if stream:
            return MessageStream(drive.stream(native), SameEvents())
        return drive.complete(native)
    asked, job = bridged_job(model, messages, stream, given)
    dropped, stops = tuple(asked.dropped), asked.params.get("stop") or ()
    if stream:
        return MessageStream(drive.stream(job), ChunkEvents(stops), dropped)
    answer = drive.complete(job)
    return noted(response(answer, stops), answer.call_info, dropped)


@overload
async def amessages(
    model: str,
    messages: AnthropicMessages,
    *,
    stream: Literal[False] = False,
    **given: Unpack[MessagesArgs],
) -> MessagesResponse: ...
@overload
async def amessages(
    model: str, messages: AnthropicMessages, *, stream: Literal[True], **given: Unpack[MessagesArgs]
) -> AsyncMessageStream: ...
@overload
async def amessages(
    model: str, messages: AnthropicMessages, *, stream: bool, **given: Unpack[MessagesArgs]
) -> MessagesResponse | AsyncMessageStream: ...
async def amessages(
    model: str, messages: AnthropicMessages, *, stream: bool = False, **given: Unpack[MessagesArgs]
) -> MessagesResponse | AsyncMessageStream:
    """The async twin of `messages()`."""
    if is_native(model, given):
        native = native_job(model, messages, stream, given)
        if stream:
            return AsyncMessageStream(await drive.astream(native), SameEvents())
        return await drive.acomplete(native)
    asked, job = bridged_job(model, messages, stream, given)
    dropped, stops = tuple(asked.dropped), asked.params.get("stop") or ()
    if stream:
        return AsyncMessageStream(await drive.astream(job), ChunkEvents(stops), dropped)
    answer = await drive.acomplete(job)
    return noted(response(answer, stops), answer.call_info, dropped)


def count_message_tokens(
    model: str,
    messages: AnthropicMessages,
    *,
    system: str | Sequence[Mapping[str, JSON]] | None = None,
    tools: Sequence[Mapping[str, JSON]] | None = None,
) -> InputTokens:
    """How many tokens the prompt of such a call is for `model`.

    Never uses the network: as with `token_counter()`, it is an estimate, with `exact=False`, unless
    the model's own vocabulary and chat template are on this machine.
    """
    params = {"system": system, "tools": tools}
    asked = chat(_plain_messages(messages, model), _plain(params))
    count = token_counter(model, messages=asked.messages, tools=asked.params.get("tools"))
    return InputTokens(input_tokens=count.tokens, exact=count.exact)


def is_native(model: str, given: Mapping[str, object]) -> bool:
    """Whether the provider of `model` speaks the protocol. An answer that is given with the call
    (`mock_response`) is a chat's."""
    if not isinstance(model, str) or given.get("mock_response") is not None:
        return False
    prefix, _ = split_model(model)
    return MESSAGES.name in get_provider(prefix, model).operations


def native_job(
    model: str, messages: object, stream: bool, given: Mapping[str, object]
) -> Job[MessagesResponse, MessageEvent]:
    """The job of sending the request as it is."""
    asked = without_ours(_plain_messages(messages, model))
    prepared = prepare(MESSAGES, model, _with_beta_header(_plain(given)))
    request = MessagesRequest(messages=asked, stream=bool(stream), **prepared.common)
    return prepared.job(MESSAGES, request)


def bridged_job(
    model: str, messages: object, stream: bool, given: Mapping[str, object]
) -> tuple[Chat, Job[ChatCompletion, ChatCompletionChunk]]:
    """The chat that asks the same, and its job. Raises as `chat_job` does."""
    options = {name: value for name, value in given.items() if name in CallOptions.__annotations__}
    params = _plain({name: value for name, value in given.items() if name not in options})
    prefix, _ = split_model(model)
    check_values(MESSAGES, params, model, prefix)
    keeps_marks = CACHE_CONTROL in get_provider(prefix, model).extra_params
    asked = chat(_plain_messages(messages, model), params, keeps_marks=keeps_marks)
    headers = options.get("extra_headers")
    if isinstance(headers, Mapping):
        kept = {k: v for k, v in headers.items() if str(k).lower() not in _ANTHROPICS_HEADERS}
        options["extra_headers"] = kept
        if any(str(name).lower() == _BETA_HEADER for name in headers):
            asked.drop("betas")
    return asked, chat_job(model, asked.messages, stream, {**options, **asked.params})


def _with_beta_header(given: dict[str, Any]) -> dict[str, Any]:
    """`betas` as the header that names them, beside those in the caller's own."""
    betas = given.pop("betas", None)
    headers = given.get("extra_headers") or {}
    if not betas or not isinstance(headers, Mapping):
        return given
    own = {name: value for name, value in headers.items() if name.lower() == _BETA_HEADER}
    others = {name: value for name, value in headers.items() if name not in own}
    wanted = ",".join([*own.values(), *betas])
    return {**given, "extra_headers": {**others, _BETA_HEADER: wanted}}


def _plain_messages(messages: object, model: str) -> list[dict[str, JSON]]:
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    plain = _plain(messages)
    if not isinstance(plain, list) or not plain or not all(isinstance(m, dict) for m in plain):
        raise BadRequestError(
            "messages must be a text or a list of at least one message, such as "
            f'[{{"role": "user", "content": "Hello"}}], not {messages!r:.100}.',
            model=model,
            param="messages",
        )
    return plain


def _plain(value: Any) -> Any:
    """`value` with the objects in it as data: blocks of ours, or of the package `anthropic`."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
