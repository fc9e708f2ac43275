"""Host names into addresses, waiting no longer than asked.

The system's resolver cannot be interrupted, so it is asked in a thread of its own. Whoever asks for
the same name meanwhile waits for the same thread.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..limits import seconds_left
from .forks import abandon_in_children
from .target import Origin

if TYPE_CHECKING:  # asyncio takes 10 MB and 30 ms: callers that never await need not pay
    import asyncio

Address: TypeAlias = (
    "tuple[socket.AddressFamily, socket.SocketKind, int, str, "
    "tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]"
)
"""One row of `socket.getaddrinfo`."""


def resolve(origin: Origin, deadline: float | None) -> Sequence[Address]:
    """The addresses of a server. Raises `OSError`; `TimeoutError` at the deadline."""
    if literal := _literal(origin):
        return literal
    lookup = _lookups.join(origin)
    seconds = seconds_left(deadline)
    if not lookup.done.wait(None if seconds is None else min(seconds, threading.TIMEOUT_MAX)):
        raise TimeoutError
    return lookup.result()


async def resolve_async(origin: Origin, loop: asyncio.AbstractEventLoop) -> Sequence[Address]:
    """The async twin of `resolve`; its deadline is the caller's."""
    if literal := _literal(origin):
        return literal
    arrived = loop.create_future()

    def arrive() -> None:
        if not arrived.done():
            arrived.set_result(None)

    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(arrive)

    lookup = _lookups.join(origin, wake)
    await arrived
    return lookup.result()


def _ask(origin: Origin) -> Sequence[Address]:
    return socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)


def _literal(origin: Origin) -> Sequence[Address]:
    """The address that the host is itself, without asking anybody; none if it is a name."""
    host, _, zone = origin.host.partition("%")
    try:
        if ":" not in host:
            socket.inet_pton(socket.AF_INET, host)
            return [(*_TCP4, (host, origin.port))]
        socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        return ()
    scope = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone) if zone else 0
    return [(*_TCP6, (host, origin.port, 0, scope))]


_TCP4 = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
_TCP6 = (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")


class _Lookup:
    """One question to the resolver."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.wakers: list[Callable[[], None]] = []
        self.addresses: Sequence[Address] = ()
        self.failure: OSError | None = None

    def result(self) -> Sequence[Address]:
        """The addresses. Raises what the resolver raised."""
        if self.failure is not None:  # a copy: several callers may raise it at the same time
            raise type(self.failure)(*self.failure.args)
        return self.addresses


class _Lookups:
    """The questions that are being asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Origin, _Lookup] = {}
        abandon_in_children(self)

    def join(self, origin: Origin, waker: Callable[[], None] | None = None) -> _Lookup:
        """The question about `origin`, asked now if it is not yet; calls `waker` at its end."""
        with self._lock:
            lookup = self._running.get(origin)
            if lookup is None:
                lookup = _Lookup()
                thread = threading.Thread(target=self._run, args=(origin, lookup), daemon=True)
                try:
                    thread.start()
                except RuntimeError as exc:  # no more threads to be had
                    raise OSError(str(exc)) from exc
                self._running[origin] = lookup
            if waker is not None:
                lookup.wakers.append(waker)
        return lookup

    def _run(self, origin: Origin, lookup: _Lookup) -> None:
        try:
            lookup.addresses = _ask(origin)
        except OSError as exc:
            lookup.failure = exc
        except UnicodeError:
            lookup.failure = socket.gaierror(socket.EAI_NONAME, "not a host name")
        with self._lock:
            self._running.pop(origin, None)
            lookup.done.set()
        for wake in lookup.wakers:
            wake()

    def abandon(self) -> None:
        """See `Shared`: the threads that ask are the parent's."""
        self._lock = threading.Lock()
        self._running = {}


_lookups = _Lookups()
