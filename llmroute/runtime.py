"""What a process keeps between calls, in one object: providers, connections, engines, the registry.

Each part is a class of the module that needs it and is made when it is first asked for. Tests, and
programs that want a part of their own, put another `Runtime` in place with `use()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

PartT = TypeVar("PartT")


class Runtime:
    """The parts that calls share."""

    def __init__(self) -> None:
        self.parts: dict[type, Any] = {}
        """The parts there are, by class."""

    def get(self, kind: type[PartT]) -> PartT:
        """The part of this class; made with `kind()` if there is none yet.

        Two threads that ask first at the same time may each make one; both are given the same.
        """
        part: PartT | None = self.parts.get(kind)
        # dict.setdefault is atomic, so no lock is needed that a forked child could inherit.
        return self.parts.setdefault(kind, kind()) if part is None else part

    def put(self, part: object) -> None:
        """Puts `part` in the place of the part of its class."""
        self.parts[type(part)] = part


current = Runtime()
"""The one in use; `use()` replaces it."""


def shared(kind: type[PartT]) -> PartT:
    """The part of this class of the runtime in use."""
    return current.get(kind)


@contextmanager
def use(runtime: Runtime) -> Iterator[Runtime]:
    """Puts `runtime` in place of the one in use, for the whole process, until the block ends."""
    global current
    before, current = current, runtime
    try:
        yield runtime
    finally:
        current = before
