"""What a process keeps between calls, in one object: providers, connections, engines, the registry.

Each part is a class of the module that needs it and is made when it is first asked for. Tests, and
programs that want a part of their own, put another `Runtime` in place with `use()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

PartT = TypeVar("PartT")


class Runtime:
    """The parts that calls share."""

    def __init__(self) -> None:
        self._parts: dict[type, object] = {}

    def get(self, kind: type[PartT]) -> PartT:
        """The part of this class; made with `kind()` if there is none yet.

        Two threads that ask first at the same time may each make one; both are given the same.
        """
        part = self._parts.get(kind)
        if part is None:
            # dict.setdefault is atomic, so no lock is needed that a forked child could inherit.
            part = self._parts.setdefault(kind, kind())
        return cast(PartT, part)

    def put(self, part: object) -> None:
        """Puts `part` in the place of the part of its class."""
        self._parts[type(part)] = part


_current = Runtime()


def shared(kind: type[PartT]) -> PartT:
    """The part of this class of the runtime in use."""
    return _current.get(kind)


@contextmanager
def use(runtime: Runtime) -> Iterator[Runtime]:
    """Puts `runtime` in place of the one in use, for the whole process, until the block ends."""
    global _current
    before, _current = _current, runtime
    try:
        yield runtime
    finally:
        _current = before
