"""Streamed chunks back into one completion, and the check that a stream is whole."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, overload

from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.embedding import EmbeddingResponse
from ..types.request import ChatRequest, Request, TextRequest
from ..types.text import TextCompletion
from .assembler import Assembler
from .chat import ChatAssembler, as_chunk as chat_chunk
from .text import TextAssembler


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
def as_chunk(answer: EmbeddingResponse) -> EmbeddingResponse: ...
def as_chunk(
    answer: ChatCompletion | TextCompletion | EmbeddingResponse,
) -> ChatCompletionChunk | TextCompletion | EmbeddingResponse:
    """A whole answer as the one chunk of a stream."""
    return chat_chunk(answer) if isinstance(answer, ChatCompletion) else answer
