"""One TCP or TLS connection, blocking or on an asyncio loop: the same few methods twice.

Every wait has an `end` on the clock of `time.monotonic()` (`None`: no limit) and raises
`TimeoutError` when that has come.
"""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from ..limits import seconds_left
from .http1 import HTTP1
from .target import Origin

if TYPE_CHECKING:  # asyncio takes 10 MB and 30 ms: callers that never await need not pay
    import asyncio

READ_BYTES = 64 * 1024
BUFFER_BYTES = 512 * 1024
"""How much may arrive ahead of the reader before the server is made to wait (asyncio)."""

_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
]
for _name, _seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
    # A model may think for minutes without sending; without these, routers forget the connection.
    if hasattr(socket, _name):
        _OPTIONS.append((socket.IPPROTO_TCP, getattr(socket, _name), _seconds))


def _prepare(sock: socket.socket) -> None:
    for level, option, value in _OPTIONS:
        sock.setsockopt(level, option, value)


class SyncConnection:
    """A connection on a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.http = HTTP1()
        self._socket = sock
        # A socket closed while another thread waits in it would let that thread read from
        # whatever opens next under the same number: so the closer only wakes the reader.
        self._lock = threading.Lock()
        self._busy = False
        self._closed = False

    @classmethod
    def open(cls, origin: Origin, end: float | None) -> SyncConnection:
        """Connects. Raises `OSError`."""
        sock = _connect(origin, end)
        try:
            _prepare(sock)
            if origin.scheme == "https":
                from .tls import tls_context  # here, because ssl takes 6 MB and http needs none

                sock.settimeout(seconds_left(end))
                sock = tls_context().wrap_socket(sock, server_hostname=origin.host)
        except BaseException:  # interrupted or cancelled: the socket must not stay open
            sock.close()
            raise
        return cls(sock)

    @property
    def peer(self) -> str:
        """The address that it leads to. Raises `OSError` if it has been lost."""
        return str(self._socket.getpeername()[0])

    def send(self, data: bytes, end: float | None) -> None:
        """Sends all of `data`, or as much as the server takes.

        A server may answer before it has read everything, and close: `receive` tells.
        """
        self._enter()
        try:
            self._socket.settimeout(seconds_left(end))
            self._socket.sendall(data)
        except ConnectionError:
            pass
        finally:
            self._leave()

    def receive(self, end: float | None) -> bytes:
        """What arrives next; `b""` when the server has closed."""
        self._enter()
        try:
            self._socket.settimeout(seconds_left(end))
            return self._socket.recv(READ_BYTES)
        finally:
            self._leave()

    def alive(self) -> bool:
        """Whether it can carry another request: open, and nothing unasked has arrived."""
        return not self._closed and not _readable(self._socket)

    def close(self) -> None:
        """Gives the socket back. Safe from any thread; a reader gets `ConnectionError`."""
        with self._lock:
            self._closed = True
            if not self._busy:
                self._socket.close()
                return
        with suppress(OSError):  # the server was quicker
            self._socket.shutdown(socket.SHUT_RDWR)

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise ConnectionError("the connection was closed on this side")
            self._busy = True

    def _leave(self) -> None:
        with self._lock:
            self._busy = False
            if self._closed:
                self._socket.close()
                raise ConnectionError("the connection was closed on this side")


def _connect(origin: Origin, end: float | None) -> socket.socket:
    addresses = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("the host has no address")
    for i, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_share(end, len(addresses) - i))
            sock.connect(address)
            return sock
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:  # interrupted or cancelled: the socket must not stay open
            sock.close()
            raise
    raise failure


async def _connect_async(
    loop: asyncio.AbstractEventLoop, origin: Origin, end: float | None
) -> socket.socket:
    import asyncio

    addresses = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("the host has no address")
    for i, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_share(end, len(addresses) - i)):
                await loop.sock_connect(sock, address)
            return sock
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:  # interrupted or cancelled: the socket must not stay open
            sock.close()
            raise
    raise failure


def _share(end: float | None, addresses: int) -> float | None:
    # An address that swallows packets must leave time for the others.
    seconds = seconds_left(end)
    return None if seconds is None else seconds / addresses


def _readable(sock: socket.socket) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class AsyncConnection:
    """A connection on an asyncio loop; itself the loop's protocol object.

    It has a protocol's methods without inheriting from `asyncio.Protocol`, see the import above.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, all_open: set[AsyncConnection]) -> None:
        self.http = HTTP1()
        self._loop = loop
        self._all_open = all_open
        self._transport: asyncio.Transport | None = None
        self._arrived: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @classmethod
    async def open(
        cls, origin: Origin, end: float | None, all_open: set[AsyncConnection]
    ) -> AsyncConnection:
        """Connects, and is in `all_open` for as long as it stands. Raises `OSError`."""
        import asyncio

        loop = asyncio.get_running_loop()
        connection: Any = cls(loop, all_open)
        options: dict[str, Any] = {}
        if origin.scheme == "https":
            from .tls import tls_context  # here, because ssl takes 6 MB and http needs none

            options = {"ssl": tls_context(), "server_hostname": origin.host}
        async with asyncio.timeout(seconds_left(end)):
            sock = await _connect_async(loop, origin, end)
            _prepare(sock)
            await loop.create_connection(lambda: connection, sock=sock, **options)
        return cast(AsyncConnection, connection)

    async def send(self, data: bytes, end: float | None) -> None:
        """Hands `data` to the loop, which sends it while the answer is awaited."""
        seconds_left(end)
        if self._transport is not None:
            self._transport.write(data)

    async def receive(self, end: float | None) -> bytes:
        """What arrives next; `b""` when the server has closed."""
        seconds = seconds_left(end)
        if not self._arrived and not self._ended:
            await self._wait(seconds)
        if not self._arrived:
            if self._failure is not None:
                raise self._failure
            return b""
        data = self._arrived.popleft() if len(self._arrived) == 1 else b"".join(self._arrived)
        self._arrived.clear()
        self._size = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def alive(self) -> bool:
        """Whether it can carry another request: open, and nothing unasked has arrived."""
        return not self._ended and not self._arrived

    def close(self) -> None:
        """Drops the connection; a waiting reader gets `ConnectionError`."""
        if not self._ended:
            self._end(ConnectionError("the connection was closed on this side"))
        if self._transport is not None:
            self._transport.abort()

    def close_soon(self) -> None:
        """Drops the connection, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.close)

    async def _wait(self, seconds: float | None) -> None:
        self._waiter = waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, _expire, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end(self, failure: Exception | None) -> None:
        self._ended = True
        self._failure = self._failure or failure
        self._wake()

    # What the loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:
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
        self._end(None)

    def connection_lost(self, failure: Exception | None) -> None:
        """The connection is gone."""
        self._transport = None
        self._all_open.discard(self)
        self._end(failure)

    def pause_writing(self) -> None:
        """Part of the protocol; a body is in memory as a whole already."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())
