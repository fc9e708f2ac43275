"""`completion()` and `acompletion()`: a model answers a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, Unpack, overload

from ..chat_messages import plain_messages
from ..errors import LLMRouteError
from ..prepare import CallOptions, prepare
from ..schemas import with_schemas
from ..tracebacks import shorten
from ..transport import drive
from ..transport.drive import Job
from ..transport.streams import AsyncStream, Stream
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.chat_request import CHAT, ChatParams, ChatRequest
from .signature import shows

Messages: TypeAlias = str | Sequence[Any]
"""A text (one user message), or message dicts and message objects in order."""


class ChatArgs(ChatParams, CallOptions, total=False):
    """The keyword arguments of `completion()`."""


@overload
def completion(
    model: str, messages: Messages, *, stream: Literal[False] = False, **given: Unpack[ChatArgs]
) -> ChatCompletion: ...
@overload
def completion(
    model: str, messages: Messages, *, stream: Literal[True], **given: Unpack[ChatArgs]
) -> Stream[ChatCompletionChunk]: ...
@overload
def completion(
    model: str, messages: Messages, *, stream: bool, **given: Unpack[ChatArgs]
) -> ChatCompletion | Stream[ChatCompletionChunk]: ...
@shows(ChatArgs)
def completion(
    model: str, messages: Messages, *, stream: bool = False, **given: Unpack[ChatArgs]
) -> ChatCompletion | Stream[ChatCompletionChunk]:
    """Answers a conversation.

    `model` is `provider/model`, such as `"meta_llama/Llama-4-Scout-17B-16E-Instruct-FP8"` or
    `"llamacpp/model.gguf"`. `messages` is a text or a list of messages; a message of an earlier
    answer can be put in as it is. With `stream=True` the chunks come as they are made.

    What most calls need:

    - `max_tokens`: the longest answer, in tokens; `temperature`: 0 for the likeliest words.
    - `tools`, `tool_choice`: functions that the model may ask for.
    - `response_format`: a pydantic class, or a JSON schema, that the answer must fit.
    - `stop`, `seed`, `n`, `reasoning_effort`, and OpenAI's other parameters by name.
    - `api_key`, `api_base`: the key and the server; `None` takes the provider's own.
    - `timeout`: seconds for the whole call, or a `TimeLimits`; `num_retries`: 2 if `None`.
    - `model_kwargs`: options of loading a local model, such as `{"n_ctx": 8192}`.
    - `extra_body`, `extra_headers`: what only this provider knows; sent unchecked.
    - `unsupported`: `"raise"`, `"drop"` or `"pass"` for what the provider does not take.

    The answer's text is `.text`; all of it is in OpenAI's shape (`.choices[0].message`).

    Raises `BadRequestError` or a subclass before anything is sent if the call cannot work,
    `APIStatusError`s and `APIConnectionError`s if it did not, after `num_retries` more tries.
    """
    try:
        job = chat_job(model, messages, stream, given)
        return drive.stream(job) if stream else drive.complete(job)
    except LLMRouteError as error:
        shorten(error)
        raise


@overload
async def acompletion(
    model: str, messages: Messages, *, stream: Literal[False] = False, **given: Unpack[ChatArgs]
) -> ChatCompletion: ...
@overload
async def acompletion(
    model: str, messages: Messages, *, stream: Literal[True], **given: Unpack[ChatArgs]
) -> AsyncStream[ChatCompletionChunk]: ...
@overload
async def acompletion(
    model: str, messages: Messages, *, stream: bool, **given: Unpack[ChatArgs]
) -> ChatCompletion | AsyncStream[ChatCompletionChunk]: ...
@shows(ChatArgs)
async def acompletion(
    model: str, messages: Messages, *, stream: bool = False, **given: Unpack[ChatArgs]
) -> ChatCompletion | AsyncStream[ChatCompletionChunk]:
    """The async twin of `completion()`."""
    try:
        job = chat_job(model, messages, stream, given)
        if stream:
            return await drive.astream(job)
        return await drive.acomplete(job)
    except LLMRouteError as error:
        shorten(error)
        raise


def chat_job(
    model: str, messages: object, stream: bool, given: Mapping[str, object]
) -> Job[ChatCompletion, ChatCompletionChunk]:
    """The job of a chat call. Raises `BadRequestError` or a subclass for anything wrong."""
    plain = plain_messages(messages, model)
    prepared = prepare(CHAT, model, given)
    params = prepared.common["params"]
    if "response_format" in params or "tools" in params:
        prepared.common["params"] = with_schemas(params)
    request = ChatRequest(messages=plain, stream=bool(stream), **prepared.common)
    if prepared.provider.exact_counts:
        from ..tokens import check_context_window  # with the registry, more than most calls need

        check_context_window(request)
    return prepared.job(CHAT, request)
