"""Streamed chunks back into one completion, and the check that a stream is whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeVar, overload

from ..types.call_info import Answer
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.chat_request import ChatRequest
from ..types.request import Request
from ..types.text import TextCompletion, TextRequest
from .assembler import Assembler as Assembler
from .chat import ChatAssembler, as_chunk as chat_chunk
from .decoder import AnyChunk as AnyChunk, Chunk as Chunk, Decoder as Decoder
from .messages import MessageAssembler
from .responses import ResponseAssembler
from .text import TextAssembler
from .wholeness import (
    MissingChoicesWarning as MissingChoicesWarning,
    check_whole as check_whole,
    expected_choices as expected_choices,
    warn_of_missing as warn_of_missing,
)

EventT = TypeVar("EventT")


@overload
def assembler(request: ChatRequest, dropped: Collection[str] = ()) -> ChatAssembler: ...
@overload
def assembler(request: TextRequest, dropped: Collection[str] = ()) -> TextAssembler: ...
@overload
def assembler(request: Request, dropped: Collection[str] = ()) -> Assembler[Any, Any]: ...
def assembler(request: Request, dropped: Collection[str] = ()) -> Assembler[Any, Any]:
    """A new assembler for the chunks of an answer. `dropped`: parameters that were not sent."""
    if request.operation == "responses":
        return ResponseAssembler()
    if request.operation == "messages":
        return MessageAssembler()
    options = request.params.get("stream_options") or {}
    kind = ChatAssembler if request.operation == "chat" else TextAssembler
    return kind(expected_choices(request, dropped), bool(options.get("include_usage")))


@overload
def as_chunk(answer: ChatCompletion) -> ChatCompletionChunk: ...
@overload
def as_chunk(answer: TextCompletion) -> TextCompletion: ...
@overload
def as_chunk(answer: Answer) -> ChatCompletionChunk | Answer: ...
def as_chunk(answer: Answer) -> ChatCompletionChunk | Answer:
    """A whole answer as the one chunk of a stream."""
    return chat_chunk(answer) if isinstance(answer, ChatCompletion) else answer


def assembled(
    decoder: Decoder[EventT],
    events: Iterable[EventT],
    request: Request,
) -> Answer:
    """The completion that `events` make. Raises `StreamInterruptedError` if it is not whole, but
    not for choices that are missing altogether; see `warn_of_missing`."""
    collected = assembler(request, dropped=("n",))
    for event in events:
        for chunk in decoder.feed(event):
            collected.add(chunk)
    check_whole(decoder, collected)
    answer: Answer = collected.completion()
    return answer
