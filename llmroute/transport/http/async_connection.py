"""One TCP or TLS connection on an asyncio loop: the async twin of `sync_connection`."""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from ..limits import seconds_left
from .forks import abandon_in_children
from .http1 import HTTP1
from .sockets import Readiness, connect_async
from .target import Origin

if TYPE_CHECKING:  # asyncio takes 10 MB and 30 ms: callers that never await need not pay
    import asyncio

    _Protocol = asyncio.Protocol
else:
    _Protocol = object

BUFFER_BYTES = 512 * 1024
"""How much may arrive ahead of the reader before the server is made to wait."""
_EARLY = 0.01
"""Seconds; a loop's clock may be coarse."""


class AsyncConnection(_Protocol):
    """A connection on an asyncio loop; itself the loop's protocol object."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        all_open: set[AsyncConnection],
    ) -> None:
        self.http = HTTP1()
        self._loop = loop
        self._socket = sock
        self._readable = Readiness(sock)
        self._all_open = all_open
        self._transport: asyncio.Transport | None = None
        self._arrived: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = math.inf  # of the present wait
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf
        abandon_in_children(self)

    @classmethod
    async def open(
        cls, origin: Origin, deadline: float | None, all_open: set[AsyncConnection]
    ) -> Self:
        """Connects, and is in `all_open` for as long as it stands. Raises `OSError`."""
        import asyncio

        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds_left(deadline)):
            sock = await connect_async(loop, origin, deadline)
            connection = cls(loop, sock, all_open)
            try:
                await loop.create_connection(lambda: connection, sock=sock)
                await connection.start(origin.host)
            except BaseException:  # cancelled too: the socket must not stay open
                connection.close()
                sock.close()
                raise
        return connection

    async def start(self, host: str) -> None:
        """What comes before the first request."""

    @property
    def sent(self) -> bool:
        """Whether all that `send` was given has left."""
        return self._transport is not None and not self._transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        """Hands `data` to the loop, which sends it while the answer is awaited."""
        if self._transport is not None:
            self._transport.write(data)

    async def receive(self, deadline: float | None) -> bytes:
        """What arrives next; `b""` when the server has closed."""
        if not self._arrived and not self._ended:
            seconds_left(deadline)
            await self._wait(deadline)
        arrived = self._arrived
        if not arrived:
            if self._failure is not None:
                raise self._failure
            return b""
        data = arrived.popleft() if len(arrived) == 1 else b"".join(arrived)
        arrived.clear()
        self._size = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def alive(self) -> bool:
        """Whether it can carry another request: open, and nothing unasked has arrived.

        The socket is asked too: the loop may not have had a turn since something came.
        """
        return self.sent and not self._ended and not self._arrived and not self._readable.now()

    def close(self) -> None:
        """Aborts the connection; a waiting reader gets `ConnectionError`."""
        if not self._ended:
            self._finish(ConnectionError("the connection was closed on this side"))
        if self._transport is not None:
            self._transport.abort()

    def close_soon(self) -> None:
        """Aborts the connection, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.close)

    def abandon(self) -> None:
        """See `Shared`. The loop is the parent's and shares its selector: it is not touched."""
        _abandoned.append(self)
        self._ended = True
        self._failure = ConnectionError("the connection belongs to the parent process")
        self._transport = None
        self._socket.close()

    async def _wait(self, deadline: float | None) -> None:
        self._waiter = waiter = self._loop.create_future()
        self._deadline = math.inf if deadline is None else deadline
        # The alarm of an earlier wait may go on standing: it is set again when it rings too soon.
        if self._deadline < self._alarm_at:
            self._set_alarm()
        try:
            await waiter
        finally:
            self._waiter = None

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = self._deadline
        self._alarm = self._loop.call_later(self._deadline - time.monotonic(), self._ring)

    def _ring(self) -> None:
        self._alarm, self._alarm_at = None, math.inf
        if self._waiter is None or self._waiter.done() or self._deadline == math.inf:
            return
        if self._deadline - time.monotonic() > _EARLY:
            self._set_alarm()
        else:
            self._waiter.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _finish(self, failure: Exception | None) -> None:
        """Notes that nothing more will arrive."""
        self._ended = True
        self._failure = self._failure or failure
        self._wake()

    # What the loop calls.

    # A TCP connection is made with a transport that reads and writes.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The connection stands."""
        self._transport = transport
        self._all_open.add(self)

    def data_received(self, data: bytes) -> None:
        """Something arrived."""
        self._arrived.append(data)
        self._size += len(data)
        if self._size > BUFFER_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The server has sent its last byte; the loop then closes the connection."""
        self._finish(None)

    def connection_lost(self, failure: Exception | None) -> None:
        """The connection is gone."""
        self._transport = None
        if self._alarm is not None:
            self._alarm.cancel()
        self._all_open.discard(self)
        self._finish(failure)

    def pause_writing(self) -> None:
        """Part of the protocol; a body is in memory as a whole already."""

    def resume_writing(self) -> None:
        """Part of the protocol, as `pause_writing`."""


_abandoned: list[AsyncConnection] = []
"""Never freed: a transport that is freed while open says so in a warning."""
