"""Sockets: how they are opened, set up and waited for."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..limits import seconds_left
from .addresses import Address, resolve, resolve_async
from .target import Origin

if TYPE_CHECKING:  # asyncio takes 10 MB and 30 ms: callers that never await need not pay
    import asyncio

READ_BYTES = 64 * 1024
"""How much is read from a socket at a time."""

_LONGEST_WAIT = 24 * 3600.0
"""Seconds; the system's calls take no number as large as a caller's limit may be."""

_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
]
for _name, _seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
    # A model may think for minutes without sending; without these, routers forget the connection.
    if hasattr(socket, _name):
        _OPTIONS.append((socket.IPPROTO_TCP, getattr(socket, _name), _seconds))


class Readiness:
    """Tells when a socket can be read, or with `writing` also when it can be written."""

    def __init__(self, sock: socket.socket, *, writing: bool = False) -> None:
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN | (select.POLLOUT if writing else 0))

    def wait(self, deadline: float | None) -> None:
        """Waits until it can. Raises `TimeoutError` at the deadline."""
        milliseconds: float | None = None
        while True:
            if deadline is not None:
                milliseconds = min(deadline - time.monotonic(), _LONGEST_WAIT) * 1000
                if milliseconds <= 0:
                    raise TimeoutError
            if self._poll.poll(milliseconds):
                return

    def now(self) -> bool:
        """Whether it can now."""
        return bool(self._poll.poll(0))


if not hasattr(select, "poll"):  # Windows

    class Readiness:  # type: ignore[no-redef]
        """The same by `select`."""

        def __init__(self, sock: socket.socket, *, writing: bool = False) -> None:
            self._sockets = [sock]
            self._writing = [sock] if writing else []

        def wait(self, deadline: float | None) -> None:
            """Waits until it can. Raises `TimeoutError` at the deadline."""
            while True:
                if self._select(timeout(deadline)):
                    return

        def now(self) -> bool:
            """Whether it can now."""
            return self._select(0)

        def _select(self, seconds: float | None) -> bool:
            # What failed to connect or broke is among the exceptional ones.
            return any(select.select(self._sockets, self._writing, self._sockets, seconds))


def timeout(deadline: float | None) -> float | None:
    """The seconds until `deadline`, as `settimeout` takes them. Raises `TimeoutError`."""
    seconds = seconds_left(deadline)
    return None if seconds is None else min(seconds, _LONGEST_WAIT)


def connect(
    origin: Origin, deadline: float | None, addresses: Sequence[Address] | None = None
) -> socket.socket:
    """A connected socket, in non-blocking mode; `addresses` are asked for unless given.

    Raises `OSError`.
    """
    if addresses is None:
        addresses = resolve(origin, deadline)
    failure: OSError = OSError("the host has no address")
    for i, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_share(deadline, len(addresses) - i))
            sock.connect(address)
            return _prepared(sock)
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:  # interrupted: the socket must not stay open
            sock.close()
            raise
    raise failure


async def connect_async(
    loop: asyncio.AbstractEventLoop, origin: Origin, deadline: float | None
) -> socket.socket:
    """The async twin of `connect`."""
    import asyncio

    addresses = await resolve_async(origin, loop)
    failure: OSError = OSError("the host has no address")
    for i, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_share(deadline, len(addresses) - i)):
                await loop.sock_connect(sock, address)
            return _prepared(sock)
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:  # interrupted or cancelled: the socket must not stay open
            sock.close()
            raise
    raise failure


def _prepared(sock: socket.socket) -> socket.socket:
    for level, option, value in _OPTIONS:
        sock.setsockopt(level, option, value)
    sock.setblocking(False)
    return sock


def _share(deadline: float | None, addresses: int) -> float | None:
    # An address that swallows packets must leave time for the others.
    seconds = timeout(deadline)
    return None if seconds is None else seconds / addresses
