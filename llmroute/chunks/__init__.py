"""Streamed chunks back into one completion, and the check that a stream is whole."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable
from typing import Any, TypeVar, overload

from ..errors import StreamInterruptedError
from ..types.call_info import Answer
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.chat_request import ChatRequest
from ..types.request import Request
from ..types.text import TextCompletion, TextRequest
from .assembler import Assembler as Assembler
from .chat import ChatAssembler, as_chunk as chat_chunk
from .decoder import Chunk as Chunk, Decoder as Decoder
from .text import TextAssembler

EventT = TypeVar("EventT")


@overload
def assembler(request: ChatRequest, dropped: Collection[str] = ()) -> ChatAssembler: ...
@overload
def assembler(request: TextRequest, dropped: Collection[str] = ()) -> TextAssembler: ...
@overload
def assembler(request: Request, dropped: Collection[str] = ()) -> Assembler[Any, Any]: ...
def assembler(request: Request, dropped: Collection[str] = ()) -> Assembler[Any, Any]:
    """A new assembler for the chunks of an answer. `dropped`: parameters that were not sent."""
    options = request.params.get("stream_options") or {}
    kind = ChatAssembler if request.operation == "chat" else TextAssembler
    return kind(expected_choices(request, dropped), bool(options.get("include_usage")))


def expected_choices(request: Request, dropped: Collection[str] = ()) -> int:
    """How many choices an answer should have: `n`, for each of the prompts."""
    n = None if "n" in dropped else request.extra_body.get("n", request.params.get("n"))
    expected = n if isinstance(n, int) and n > 0 else 1
    if isinstance(request, TextRequest) and not isinstance(request.prompt, str):
        expected *= sum(not isinstance(prompt, int) for prompt in request.prompt) or 1
    return expected


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


def check_whole(decoder: Decoder[Any], collected: Assembler[Any, Any]) -> None:
    """Raises `StreamInterruptedError` if a stream that is over is not whole."""
    if decoder.is_whole:
        return
    missing = collected.missing(marked=decoder.done, needs_reasons=decoder.needs_reasons)
    if missing:
        raise StreamInterruptedError(f"The stream ended too early: {missing}.")


def warn_of_missing(answer: Answer, request: Request, dropped: Collection[str] = ()) -> None:
    """Warns if a whole answer has fewer choices than were asked for."""
    if not isinstance(answer, ChatCompletion | TextCompletion):
        return
    expected, came = expected_choices(request, dropped), len(answer.choices)
    if came < expected:
        warnings.warn(
            f"The answer of {request.model} has {came} of the {expected} choices asked for.",
            MissingChoicesWarning,
            stacklevel=2,
        )


class MissingChoicesWarning(UserWarning):
    """An answer has fewer choices than were asked for."""
