"""Calls whose function is named in text, before arguments as an object."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from .pieces import Calls
from .source import Source, Steps
from .syntax import ReadCall
from .values import JSON, Dialect, read_value

NAME_CHARACTERS = re.compile(r"[\w.\-]*")
_ID = re.compile(r"\w*")


class Slot(Enum):
    """What varies before the arguments of a call."""

    NAME = auto()
    """The function."""
    ID = auto()
    """The call's own id or number, which may be missing."""


@dataclass(frozen=True, slots=True)
class Maybe:
    """A text that may be missing."""

    text: str


def named(*head: str | Maybe | Slot, dialect: Dialect = JSON) -> ReadCall:
    """A reader of calls that begin with `head`; white space may stand between its parts."""

    def read(source: Source, calls: Calls) -> Steps[bool]:
        name = yield from _read_head(source, calls, head)
        if name is None:
            return False
        yield from source.space()
        character = yield from source.peek()
        if character not in ("{", ""):
            return False
        source.accept()
        yield calls.begin(name)
        if (yield from read_value(source, calls.more, dialect)):
            calls.end()
        return True

    return read


def _read_head(
    source: Source, calls: Calls, head: tuple[str | Maybe | Slot, ...]
) -> Steps[str | None]:
    """The function's name; `None` if this is no such head, or the text ends within it."""
    name: str | None = None
    for part in head:
        yield from source.space()
        match part:
            case Slot.NAME:
                name = yield from source.word(NAME_CHARACTERS)
                if name not in calls.schemas:
                    return None
            case Slot.ID:
                yield from source.word(_ID)
            case Maybe(text):
                yield from source.skip(text)
            case str() if not (yield from source.skip(part)):
                return None
    return name
