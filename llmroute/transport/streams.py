"""What `stream=True` gives: chunks to iterate, and the whole completion at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ..chunks import Assembler, Decoder, check_whole
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    LLMRouteError,
    StreamInterruptedError,
)
from ..providers.base import Splitter
from ..tracebacks import shorten
from ..types.call_info import CallInfo
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.messages import MessageEvent, MessagesResponse
from ..types.operation import ChunkT
from ..types.responses import Response, ResponseEvent
from ..types.text import TextCompletion
from .limits import Limits
from .sources import AsyncSource, Source

DRAIN_SECONDS = 0.05
"""How long to wait for the end of a body whose last event has come, so that the connection can be
used again; after that the connection is closed instead."""
SETTLE_SECONDS = 0.5
"""How long to wait for more where nothing is missing but the mark that a stream is complete."""

_READ_ELSEWHERE = (
    "This stream is already being read, by another thread or task. Read it in one place, and hand "
    "its chunks on from there."
)

EventT = TypeVar("EventT")


class StreamState(Generic[ChunkT]):
    """All of a stream but the waiting: pieces in, chunks out, and the check that it is whole.

    A piece is decoded as far as its chunks are asked for, so that the first one comes early.
    """

    def __init__(
        self,
        assembler: Assembler[ChunkT, Any],
        decoder: Decoder[EventT],
        splitter: Splitter[Any, EventT],
        limits: Limits,
    ) -> None:
        """`splitter` gives the events that `decoder` takes, which gives the chunks that
        `assembler` collects."""
        self.error: APIError | None = None
        """What ended the stream."""
        self.ended = False
        self.info: CallInfo | None = None
        self.locate: Callable[[APIError], APIError] = lambda error: error
        """Adds provider, model and URL to an error; set by the driver."""
        self._assembler: Assembler[Any, Any] = assembler
        self._decoder: Decoder[Any] = decoder
        self._splitter: Splitter[Any, Any] = splitter
        self._limits = limits
        self._silent: list[ChunkT] = []
        """Chunks that have come before one that says something."""
        self._coming: Iterator[ChunkT] = iter(())
        """Chunks of the latest piece, decoded as they are taken."""
        self._at_end = False
        self._has_progressed = False
        self._is_draining = False
        self._settled_until: float | None = None

    def feed(self, piece: object) -> None:
        """Takes the next piece, when all chunks of the one before it have been taken."""
        self._coming = self._decoded(self._splitter.feed(piece))

    def end(self) -> None:
        """Takes the end of the body."""
        self._at_end = True
        self._coming = self._decoded(self._splitter.flush())

    def next_chunk(self) -> ChunkT | None:
        """The next chunk of what has come; `None` if the stream has ended, or must be waited for.

        An error in what has come ends the stream, and so does an end that does not leave it whole.
        """
        try:
            for chunk in self._coming:
                return chunk
            if self._at_end and not self.ended:
                check_whole(self._decoder, self._assembler)
                self.ended = True
        except APIError as error:
            self.fail(error)
        if self._has_progressed:  # comments and empty chunks give a wait no more time
            self._has_progressed = False
            self._limits.progressed()
        if self._decoder.done or self._assembler.settled:
            self._hurry()
        return None

    def has_begun(self) -> bool:
        """Whether a chunk that says something, or the end, is in what has come."""
        while not self._assembler.spoke and (chunk := self.next_chunk()) is not None:
            self._silent.append(chunk)
        if not self._assembler.spoke and not self.ended:
            return False
        self._coming = chain(self._silent, self._coming)
        return True

    def early_error(self) -> APIError | None:
        """What ended it before anything was said, so that the call can be tried again."""
        return None if self._assembler.spoke else self.error

    def fail(self, error: APIError) -> None:
        """Takes an error that ended the stream.

        Before the first chunk that says something it is raised as it is, so that another try can
        be made; later it becomes a `StreamInterruptedError` that carries what had come. An answer
        that is whole but not what was asked for is raised as it is, too.
        """
        if self.ended:
            return
        self.ended = True
        if isinstance(error, APIConnectionError) and self._lacks_nothing():
            return  # only the wait for the end of a body failed whose last event had come
        unfit = isinstance(error, APIResponseValidationError) and error.is_whole
        if self._assembler.spoke and not unfit:
            error = _interrupted(error)
            error.partial = self.completion()
        self.error = self.locate(error)

    def completion(self) -> Any:
        """What has come so far, with the facts about the call."""
        completion = self._assembler.completion()
        completion._call_info = self.info
        return completion

    def drop(self) -> None:
        """Forgets the chunks that have come and were not taken."""
        self._coming = iter(())

    def _decoded(self, events: Iterable[Any]) -> Iterator[ChunkT]:
        assembler, decoder = self._assembler, self._decoder
        for event in events:
            for chunk in decoder.feed(event):
                shown = assembler.add(chunk)
                if assembler.says_something:
                    self._has_progressed = True
                if shown:
                    yield chunk  # type: ignore[misc]  # the decoder of an operation gives its chunks

    def _hurry(self) -> None:
        """Limits the wait for an end after which nothing is missing."""
        if self._decoder.done:
            if not self._is_draining:
                self._is_draining = True
                self._limits.finish_within(DRAIN_SECONDS)
            return
        if self._settled_until is None:
            self._settled_until = time.monotonic() + SETTLE_SECONDS
        self._limits.wait_until(self._settled_until)

    def _lacks_nothing(self) -> bool:
        if not self._decoder.done and not self._assembler.settled:
            return False
        try:
            check_whole(self._decoder, self._assembler)
        except StreamInterruptedError:
            return False
        return True


def _interrupted(error: APIError) -> StreamInterruptedError:
    if isinstance(error, StreamInterruptedError):
        return error
    return error.recast(StreamInterruptedError, f"The stream broke off: {error.message}")


class _Streamed(Generic[ChunkT]):
    """What both streams offer without waiting."""

    def __init__(self, state: StreamState[ChunkT]) -> None:
        self.state = state
        self._closed = False
        self._reading = threading.Lock()
        """Held by who reads."""

    @property
    def call_info(self) -> CallInfo | None:
        """How the stream was obtained: URL, headers, attempts."""
        return self.state.info

    def __repr__(self) -> str:
        state = self.state
        ended = "broken off" if state.error else "ended" if state.ended else "open"
        of = f" of {state.info.model}" if state.info else ""
        return f"<{type(self).__name__}{of}, {'closed' if self._closed else ended}>"

    if not TYPE_CHECKING:  # a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> object:
            raise AttributeError(
                f"A {type(self).__name__} has no {name!r}: loop over its chunks, or take the whole "
                "answer from get_final_completion()."
            )

    def _final(self) -> Any:
        state = self.state
        if state.error is not None:
            raise shorten(state.error)
        if not state.ended:
            error = StreamInterruptedError("The stream was closed before its end.")
            error.partial = state.completion()
            raise shorten(state.locate(error))
        return state.completion()


class Stream(_Streamed[ChunkT]):
    """The chunks of an answer as they arrive.

    Iterate it, best inside `with`, which lets go of the connection or the model when the loop is
    left early. A stream that breaks off raises `StreamInterruptedError`.
    """

    def __init__(self, state: StreamState[ChunkT], source: Source) -> None:
        super().__init__(state)
        self._source = source
        self._pieces = iter(source)

    def __iter__(self) -> Iterator[ChunkT]:
        return self

    def __next__(self) -> ChunkT:
        state = self.state
        if not self._reading.acquire(False):
            raise LLMRouteError(_READ_ELSEWHERE)
        try:
            while (chunk := state.next_chunk()) is None or self._closed:
                if state.ended or self._closed:
                    self.close()
                    if state.error is not None:
                        raise shorten(state.error)
                    raise StopIteration
                self._pump()
            return chunk
        finally:
            self._reading.release()

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
        """Waits for the first chunk that says something. Raises what came instead of it."""
        while not self.state.has_begun():
            self._pump()
        if (error := self.state.early_error()) is not None:
            self.close()
            raise error

    @overload
    def get_final_completion(self: Stream[ChatCompletionChunk]) -> ChatCompletion: ...
    @overload
    def get_final_completion(self: Stream[TextCompletion]) -> TextCompletion: ...
    @overload
    def get_final_completion(self: Stream[ResponseEvent]) -> Response: ...
    @overload
    def get_final_completion(self: Stream[MessageEvent]) -> MessagesResponse: ...
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
        self.state.drop()
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


class AsyncStream(_Streamed[ChunkT]):
    """The async twin of `Stream`: `async for`, `async with`, `await stream.aclose()`."""

    def __init__(self, state: StreamState[ChunkT], source: AsyncSource) -> None:
        super().__init__(state)
        self._source = source
        self._pieces = aiter(source)

    def __aiter__(self) -> AsyncIterator[ChunkT]:
        return self

    async def __anext__(self) -> ChunkT:
        state = self.state
        if not self._reading.acquire(False):
            raise LLMRouteError(_READ_ELSEWHERE)
        try:
            while (chunk := state.next_chunk()) is None or self._closed:
                if state.ended or self._closed:
                    await self.aclose()
                    if state.error is not None:
                        raise shorten(state.error)
                    raise StopAsyncIteration
                await self._pump()
            return chunk
        finally:
            self._reading.release()

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
        """Waits for the first chunk that says something. Raises what came instead of it."""
        while not self.state.has_begun():
            await self._pump()
        if (error := self.state.early_error()) is not None:
            await self.aclose()
            raise error

    @overload
    async def get_final_completion(self: AsyncStream[ChatCompletionChunk]) -> ChatCompletion: ...
    @overload
    async def get_final_completion(self: AsyncStream[TextCompletion]) -> TextCompletion: ...
    @overload
    async def get_final_completion(self: AsyncStream[ResponseEvent]) -> Response: ...
    @overload
    async def get_final_completion(self: AsyncStream[MessageEvent]) -> MessagesResponse: ...
    async def get_final_completion(self) -> Any:
        """The async twin of `Stream.get_final_completion`."""
        async for _ in self:
            pass
        return self._final()

    async def aclose(self) -> None:
        """The async twin of `Stream.close`."""
        self.state.drop()
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
