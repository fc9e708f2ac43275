"""What `responses(..., stream=True)` gives: the protocol's events, and the whole answer at the end.

A stream that breaks off gives `response.failed` as its last event, and then raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from ..errors import APIError, LLMRouteError, StreamInterruptedError
from ..transport.streams import AsyncStream, Stream
from ..types.call_info import Answer, CallInfo
from ..types.responses import Response, ResponseEvent

StreamT = TypeVar("StreamT", Stream[Any], AsyncStream[Any])


class Events(Protocol):
    """Makes the events of one answer of its chunks."""

    final: Response
    """The whole answer; set by `finish`."""

    def begin(self) -> Iterable[ResponseEvent]:
        """The events before anything is said."""

    def feed(self, chunk: Any) -> Iterable[ResponseEvent]:
        """The events of a chunk."""

    def finish(self, answer: Any) -> Iterable[ResponseEvent]:
        """The events after the last chunk of `answer`."""

    def fail(self, error: LLMRouteError) -> Iterable[ResponseEvent]:
        """The last event of an answer that broke off."""


class _EventStream(Generic[StreamT]):
    """What both streams offer without waiting."""

    def __init__(self, chunks: StreamT, events: Events, keep: Callable[[Response], None]) -> None:
        """`keep` is given the answer when it is whole."""
        self._chunks: StreamT = chunks
        self._events = events
        self._keep = keep
        self._coming = deque(events.begin())
        self._response: Response | None = None
        self._error: APIError | None = None
        self._closed = False

    @property
    def call_info(self) -> CallInfo | None:
        """How the stream was obtained: URL, headers, attempts."""
        return self._chunks.call_info

    def _next_event(self) -> ResponseEvent | None:
        """The next event of what has come; `None` at the end, or if more must be waited for."""
        if self._coming and not self._closed:
            return self._coming.popleft()
        if self._error is not None and not self._closed:
            raise self._error
        return None

    @property
    def _ended(self) -> bool:
        return self._closed or self._response is not None

    def _take(self, chunk: object) -> None:
        self._coming.extend(self._events.feed(chunk))

    def _finish(self, answer: Answer) -> None:
        self._coming.extend(self._events.finish(answer))
        response = self._events.final
        response._call_info = answer.call_info
        self._keep(response)
        self._response = response

    def _fail(self, error: APIError) -> None:
        self._error = error
        self._coming.extend(self._events.fail(error))

    def _final(self) -> Response:
        if self._error is not None:
            raise self._error
        if self._response is None:
            raise StreamInterruptedError("The stream was closed before its end.")
        return self._response


class ResponseStream(_EventStream[Stream[Any]]):
    """The events of an answer as they come. Iterate it, best inside `with`."""

    def __iter__(self) -> Iterator[ResponseEvent]:
        return self

    def __next__(self) -> ResponseEvent:
        while (event := self._next_event()) is None:
            if self._ended:
                raise StopIteration
            self._pump()
        return event

    def _pump(self) -> None:
        """Waits for one chunk."""
        try:
            chunk = next(self._chunks, None)
            if chunk is not None:
                self._take(chunk)
            elif not self._closed:
                self._finish(self._chunks.get_final_completion())
        except APIError as error:
            self._fail(error)

    def get_final_response(self) -> Response:
        """Reads to the end and returns the whole answer.

        Raises `StreamInterruptedError` if the stream broke off or was closed before its end.
        """
        for _ in self:
            pass
        return self._final()

    def close(self) -> None:
        """Lets go of the connection or the model at once. May be called twice."""
        self._closed = True
        self._chunks.close()

    def __enter__(self) -> ResponseStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncResponseStream(_EventStream[AsyncStream[Any]]):
    """The async twin of `ResponseStream`."""

    def __aiter__(self) -> AsyncIterator[ResponseEvent]:
        return self

    async def __anext__(self) -> ResponseEvent:
        while (event := self._next_event()) is None:
            if self._ended:
                raise StopAsyncIteration
            await self._pump()
        return event

    async def _pump(self) -> None:
        """Waits for one chunk."""
        try:
            chunk = await anext(self._chunks, None)
            if chunk is not None:
                self._take(chunk)
            elif not self._closed:
                self._finish(await self._chunks.get_final_completion())
        except APIError as error:
            self._fail(error)

    async def get_final_response(self) -> Response:
        """The async twin of `ResponseStream.get_final_response`."""
        async for _ in self:
            pass
        return self._final()

    async def aclose(self) -> None:
        """The async twin of `ResponseStream.close`."""
        self._closed = True
        await self._chunks.aclose()

    async def __aenter__(self) -> AsyncResponseStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
