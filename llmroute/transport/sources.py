"""What an opened call is read from, wherever its answer comes from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

from ..providers.base import InProcessEvent

Piece: TypeAlias = bytes | InProcessEvent
"""A piece of a body, or an event of an answer that comes from no server."""
Body: TypeAlias = bytes | Sequence[InProcessEvent]
"""All of an answer."""

EventT = TypeVar("EventT")

NO_HEADERS: Mapping[str, str] = {}


class Head(Protocol):
    """What is known of an answer before its body is read."""

    @property
    def status(self) -> int:
        """The HTTP status; 200 for an answer that comes from no server."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case; empty for an answer that comes from no server."""

    @property
    def gives_events(self) -> bool:
        """Whether its pieces are events; else they are bytes, to be split into events."""


class Source(Head, Protocol):
    """An answer whose head has arrived: iterate it for its pieces, or read it whole."""

    def __iter__(self) -> Iterator[Piece]: ...
    def read(self) -> Body: ...
    def read_error(self) -> bytes: ...
    def close(self) -> None: ...


class AsyncSource(Head, Protocol):
    """The async twin of `Source`."""

    def __aiter__(self) -> AsyncIterator[Piece]: ...
    async def read(self) -> Body: ...
    async def read_error(self) -> bytes: ...
    async def aclose(self) -> None: ...


class InProcess:
    """The head of an answer that comes from no server."""

    status = 200
    headers = NO_HEADERS
    gives_events = True


class Ready(InProcess):
    """A source whose events are all there."""

    def __init__(self, events: Sequence[InProcessEvent]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[InProcessEvent]:
        return iter(self._events)

    def read(self) -> Sequence[InProcessEvent]:
        """All of them."""
        return self._events

    def read_error(self) -> bytes:
        """Nothing: there is no error."""
        return b""

    def close(self) -> None:
        """Does nothing: nothing is held."""


class AsyncReady(InProcess):
    """The async twin of `Ready`."""

    def __init__(self, events: Sequence[InProcessEvent]) -> None:
        self._events = events

    async def __aiter__(self) -> AsyncIterator[InProcessEvent]:
        for event in self._events:
            yield event

    async def read(self) -> Sequence[InProcessEvent]:
        """All of them."""
        return self._events

    async def read_error(self) -> bytes:
        """Nothing: there is no error."""
        return b""

    async def aclose(self) -> None:
        """Does nothing: nothing is held."""


class AsIs(Generic[EventT]):
    """The splitter for pieces that are events already."""

    def feed(self, piece: EventT) -> Iterable[EventT]:
        """`piece` itself."""
        return (piece,)

    def flush(self) -> Iterable[EventT]:
        """Nothing: nothing was held."""
        return ()
