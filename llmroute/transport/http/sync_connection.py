"""One TCP or TLS connection of blocking code.

Every wait has a `deadline` on the clock of `time.monotonic()` (`None`: no limit) and raises
`TimeoutError` when that has come.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from .addresses import Address
from .forks import abandon_in_children
from .http1 import HTTP1
from .sockets import READ_BYTES, Readiness, connect, timeout
from .target import Origin


class SyncConnection:
    """A connection on a socket that never blocks: all waiting is done by `receive`."""

    def __init__(self, sock: socket.socket, *, tls: bool = False) -> None:
        self.http = HTTP1()
        self._socket = sock
        self._tls = tls
        self._later: tuple[type[OSError], ...] = _later(tls=tls)
        self._readable = Readiness(sock)
        self._unsent: memoryview | None = None
        self._cut = False
        # A socket closed while another thread waits in it would let that thread read from
        # whatever opens next under the same number: so the closer only wakes the reader.
        self._lock = threading.Lock()
        self._busy = False
        self._closed = False
        abandon_in_children(self)

    @classmethod
    def open(
        cls, origin: Origin, deadline: float | None, addresses: Sequence[Address] | None = None
    ) -> SyncConnection:
        """Connects, to one of `addresses` if they are known. Raises `OSError`."""
        sock = connect(origin, deadline, addresses)
        tls = origin.scheme == "https"
        try:
            if tls:
                from .tls import tls_context  # here, because ssl takes 6 MB and http needs none

                sock.settimeout(timeout(deadline))
                sock = tls_context().wrap_socket(sock, server_hostname=origin.host)
                sock.setblocking(False)
            return cls(sock, tls=tls)
        except BaseException:  # interrupted or cancelled: the socket must not stay open
            sock.close()
            raise

    @property
    def sent(self) -> bool:
        """Whether all that `send` was given has left."""
        return self._unsent is None and not self._cut

    def send(self, data: bytes) -> None:
        """Sends what the socket takes of `data`; `receive` sends the rest while it waits.

        So an answer is seen that comes before the server has read everything.
        """
        self._enter()
        try:
            self._unsent = memoryview(data)
            self._send_on()
        finally:
            self._leave()

    def receive(self, deadline: float | None) -> bytes:
        """What arrives next; `b""` when the server has closed."""
        self._enter()
        try:
            # TLS may hold what the socket no longer has, so there it is read before any wait.
            data = self._read() if self._tls else None
            while data is None:
                if self._unsent is None:
                    self._readable.wait(deadline)
                else:
                    Readiness(self._socket, writing=True).wait(deadline)
                    self._send_on()
                data = self._read()
            return data
        finally:
            self._leave()

    def alive(self) -> bool:
        """Whether it can carry another request: open, and nothing unasked has arrived."""
        if self._closed or not self.sent:
            return False
        if not self._readable.now():
            return True
        with suppress(OSError):
            return self._tls and self._read() is None  # TLS has messages of its own
        return False

    def close(self) -> None:
        """Gives the socket back. Safe from any thread; a reader gets `ConnectionError`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if not self._busy:
                self._socket.close()
                return
        with suppress(OSError):  # the server was quicker
            self._socket.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """See `Shared`. Closing a copy of a socket says nothing to the server."""
        self._lock = threading.Lock()
        self._closed = True
        self._busy = False
        self._socket.close()

    def _read(self) -> bytes | None:
        """What has arrived; `None`: nothing yet."""
        try:
            return self._socket.recv(READ_BYTES)
        except self._later:
            return None

    def _send_on(self) -> None:
        """Sends what the socket takes now."""
        unsent = self._unsent
        try:
            while unsent:
                unsent = unsent[self._socket.send(unsent) :]
        except self._later:
            pass
        except ConnectionError:  # the server may have answered before it closed: receive() tells
            self._cut = True
            unsent = None
        self._unsent = unsent or None

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


def _later(*, tls: bool) -> tuple[type[OSError], ...]:
    """What a socket raises that cannot do now what it was asked for."""
    if not tls:
        return (BlockingIOError,)
    import ssl  # here, because ssl takes 6 MB and http needs none

    return (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
