"""What `stream=True` gives: chunks to iterate, and the whole completion at the end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, cast, overload

from ..chunks import assembler
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    StreamInterruptedError,
)
from ..providers.base import Chunk, Decoder
from ..types.call_info import CallInfo
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.operation import ChunkT
from ..types.request import Request
from ..types.text import TextCompletion
from .limits import Limits
from .sources import AsyncSource, Source

DRAIN_SECONDS = 1.0
"""How long to wait for the end of a body whose last event has come, so that the connection can be
used again; after that the connection is closed instead."""


class Splitter(Protocol):
    """Turns pieces into the events a decoder takes."""

    def feed(self, piece: Any) -> Iterable[Any]: ...
    def flush(self) -> Iterable[Any]: ...


class Whole:
    """The splitter for pieces that are events already."""

    def feed(self, piece: Any) -> Iterable[Any]:
        return (piece,)

    def flush(self) -> Iterable[Any]:
        return ()


class StreamState:
    """All of a stream but the waiting: pieces in, chunks out, and the check that it is whole."""

    def __init__(
        self, request: Request, decoder: Decoder, splitter: Splitter, limits: Limits
    ) -> None:
        self.ready: deque[Chunk] = deque()
        self.error: APIError | None = None
        """What ended the stream; raised once `ready` is empty."""
        self.ended = False
        self.info: CallInfo | None = None
        self.locate: Callable[[APIError], APIError] = lambda error: error
        """Adds provider, model and URL to an error; set by the driver."""
        self._assembler = assembler(request.operation)
        self._decoder = decoder
        self._splitter = splitter
        self._limits = limits
        self._draining = False
        self._in_pieces = request.stream
        self._expected = int(request.params.get("n") or 1)
        options = request.params.get("stream_options") or {}
        self._show_usage = bool(options.get("include_usage"))

    def feed(self, piece: Any) -> None:
        """Takes a piece as it came. An error in it ends the stream."""
        try:
            self._decode(self._splitter.feed(piece))
        except APIError as error:
            self.fail(error)
        if self._decoder.done and not self._draining:
            self._draining = True
            drained = time.monotonic() + DRAIN_SECONDS
            self._limits.deadline = min(drained, self._limits.deadline or drained)

    def end(self) -> None:
        """Takes the end of the body, which must leave the stream whole."""
        if self.ended:
            return
        try:
            self._decode(self._splitter.flush())
            missing = None if self._decoder.done else self._assembler.missing(self._expected)
            if missing or (missing := self._assembler.missing(1)):
                raise StreamInterruptedError(f"The stream ended too early: {missing}.")
            self.ended = True
        except APIError as error:
            self.fail(error)

    def fail(self, error: APIError) -> None:
        """Takes an error that ended the stream.

        Before the first chunk it is raised as it is, so that another try can be made; later it
        becomes a `StreamInterruptedError` that carries what had come. Where nobody asked for a
        stream, and when a whole answer is not what was asked for, it is raised as it is, too.
        """
        if self.ended:
            return
        self.ended = True
        whole = self._decoder.done and self._assembler.missing(1) is None
        if whole and isinstance(error, APIConnectionError):
            return  # only the wait for the end of a body failed whose last event had come
        unfit = isinstance(error, APIResponseValidationError) and error.is_whole
        if self._assembler.started and self._in_pieces and not unfit:
            error = _interrupted(error)
            error.partial = self.completion()
        self.error = self.locate(error)

    def completion(self) -> Any:
        """What has come so far, with the facts about the call."""
        completion = self._assembler.completion()
        completion._call_info = self.info
        return completion

    def _decode(self, events: Iterable[Any]) -> None:
        for event in events:
            for chunk in self._decoder.feed(event):
                self._assembler.add(cast(Any, chunk))
                if chunk.choices or self._show_usage or chunk.usage is None:
                    self.ready.append(chunk)


def _interrupted(error: APIError) -> StreamInterruptedError:
    if isinstance(error, StreamInterruptedError):
        return error
    return error.recast(StreamInterruptedError, f"The stream broke off: {error.message}")


class _Streamed:
    """What both streams offer without waiting."""

    def __init__(self, state: StreamState) -> None:
        self.state = state
        self._closed = False

    @property
    def call_info(self) -> CallInfo | None:
        """How the stream was obtained: URL, headers, attempts."""
        return self.state.info

    def _final(self) -> Any:
        state = self.state
        if state.error is not None:
            raise state.error
        if not state.ended:
            error = StreamInterruptedError("The stream was closed before its end.")
            error.partial = state.completion()
            raise state.locate(error)
        return state.completion()


class Stream(_Streamed, Generic[ChunkT]):
    """The chunks of an answer as they arrive.

    Iterate it, best inside `with`, which lets go of the connection or the model when the loop is
    left early. A stream that breaks off raises `StreamInterruptedError`.
    """

    def __init__(self, state: StreamState, source: Source) -> None:
        super().__init__(state)
        self._source = source
        self._pieces = iter(source)

    def __iter__(self) -> Iterator[ChunkT]:
        return self

    def __next__(self) -> ChunkT:
        state = self.state
        while not state.ready:
            if state.ended or self._closed:
                self.close()
                if state.error is not None:
                    raise state.error
                raise StopIteration
            self._pump()
        return cast(ChunkT, state.ready.popleft())

    def _pump(self) -> None:
        """Waits for one piece."""
        try:
            piece = next(self._pieces, None)
        except APIError as error:
            self.state.fail(error)
        except BaseException:  # an interrupt must not leave the model running
            self.close()
            raise
        else:
            if piece is None:
                self.state.end()
            else:
                self.state.feed(piece)

    def prime(self) -> None:
        """Waits for the first chunk. Raises the error that came instead of it."""
        while not self.state.ready and not self.state.ended:
            self._pump()
        if not self.state.ready and self.state.error is not None:
            self.close()
            raise self.state.error

    @overload
    def get_final_completion(self: Stream[ChatCompletionChunk]) -> ChatCompletion: ...
    @overload
    def get_final_completion(self: Stream[TextCompletion]) -> TextCompletion: ...
    def get_final_completion(self) -> Any:
        """Reads to the end and returns the whole answer, with usage if the provider sent any.

        Raises `StreamInterruptedError` if the stream broke off or was closed before its end.
        """
        for _ in self:
            pass
        return self._final()

    def close(self) -> None:
        """Lets go of the connection or the model at once. May be called twice.

        No chunk comes out after it, not even one that had arrived.
        """
        self.state.ready.clear()
        if not self._closed:
            self._closed = True
            self._source.close()

    def __enter__(self) -> Stream[ChunkT]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncStream(_Streamed, Generic[ChunkT]):
    """The async twin of `Stream`: `async for`, `async with`, `await stream.aclose()`."""

    def __init__(self, state: StreamState, source: AsyncSource) -> None:
        super().__init__(state)
        self._source = source
        self._pieces = aiter(source)

    def __aiter__(self) -> AsyncIterator[ChunkT]:
        return self

    async def __anext__(self) -> ChunkT:
        state = self.state
        while not state.ready:
            if state.ended or self._closed:
                await self.aclose()
                if state.error is not None:
                    raise state.error
                raise StopAsyncIteration
            await self._pump()
        return cast(ChunkT, state.ready.popleft())

    async def _pump(self) -> None:
        """Waits for one piece."""
        try:
            piece = await anext(self._pieces, None)
        except APIError as error:
            self.state.fail(error)
        except BaseException:  # a cancelled task must not leave the model running
            await self.aclose()
            raise
        else:
            if piece is None:
                self.state.end()
            else:
                self.state.feed(piece)

    async def prime(self) -> None:
        """Waits for the first chunk. Raises the error that came instead of it."""
        while not self.state.ready and not self.state.ended:
            await self._pump()
        if not self.state.ready and self.state.error is not None:
            await self.aclose()
            raise self.state.error

    @overload
    async def get_final_completion(self: AsyncStream[ChatCompletionChunk]) -> ChatCompletion: ...
    @overload
    async def get_final_completion(self: AsyncStream[TextCompletion]) -> TextCompletion: ...
    async def get_final_completion(self) -> Any:
        """The async twin of `Stream.get_final_completion`."""
        async for _ in self:
            pass
        return self._final()

    async def aclose(self) -> None:
        """The async twin of `Stream.close`."""
        self.state.ready.clear()
        if not self._closed:
            self._closed = True
            await self._source.aclose()

    async def __aenter__(self) -> AsyncStream[ChunkT]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
