"""Idle connections, for the next calls: one plain stack per server."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, Protocol, TypeVar

from .forks import abandon_in_children
from .target import Origin

KEEP_SECONDS = 30.0
"""How long an idle connection is held."""
KEEP_IDLE = 256
"""How many idle connections are held per server. Calls in flight have no limit here."""


class Connection(Protocol):
    """What the pool must know of a connection."""

    def alive(self) -> bool:
        """Whether the server has neither closed it nor sent something unasked."""

    def close(self) -> None:
        """Closes it at once."""


C = TypeVar("C", bound=Connection)


class Pool(Generic[C]):
    """Unused connections, the one used last on top. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        abandon_in_children(self)
        self._idle: dict[Origin, deque[tuple[float, C]]] = {}

    def acquire(self, origin: Origin) -> C | None:
        """A connection that can be used, or `None`."""
        while True:
            with self._lock:
                stack = self._idle.get(origin)
                if not stack:
                    return None
                since, connection = stack.pop()
            if time.monotonic() - since < KEEP_SECONDS and connection.alive():
                return connection
            connection.close()

    def release(self, origin: Origin, connection: C) -> None:
        """Keeps a connection, and closes those that have waited too long."""
        now = time.monotonic()
        old: list[C] = []
        with self._lock:
            stack = self._idle.setdefault(origin, deque())
            stack.append((now, connection))
            while stack and (now - stack[0][0] >= KEEP_SECONDS or len(stack) > KEEP_IDLE):
                old.append(stack.popleft()[1])
        for connection in old:
            connection.close()

    def close(self) -> None:
        """Closes all of them."""
        with self._lock:
            stacks = list(self._idle.values())
            self._idle.clear()
        for stack in stacks:
            for _, connection in stack:
                connection.close()

    def abandon(self) -> None:
        """See `Shared`. Each connection is abandoned for itself."""
        self._lock = threading.Lock()  # another thread may have held it when the process forked
        self._idle = {}
