"""What the parts of the tool-call parser tell each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias


class Verdict(Enum):
    """What can be said about text that is no whole call."""

    MORE = auto()
    """It may become one."""
    NO = auto()
    """It is none."""


@dataclass(frozen=True, slots=True)
class Head:
    """A call up to its arguments, which follow as a JSON object."""

    name: str
    length: int
    """Characters up to the arguments."""
    in_object: bool = False
    """Whether the arguments stand in an object, which is to be closed."""
    closers: tuple[str, ...] = ()
    """What may stand behind the call, in this order; each may be missing."""
    separator: str = ""
    """What stands before another call without a marker; `""` if there is no such way."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Complete calls: names, and arguments as JSON text."""

    calls: tuple[tuple[str, str], ...]
    length: int
    closers: tuple[str, ...] = ()
    separator: str = ""


Reading: TypeAlias = Head | Whole | Verdict
ReadHead: TypeAlias = Callable[[str, Mapping[str, Any]], Reading]
"""Reads the beginning of a text as a call of a function; given are their schemas, by name."""


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a family of models writes calls."""

    read: ReadHead
    markers: tuple[str, ...]
    """Texts that begin a call wherever they stand."""
    marks: tuple[str, ...] = ()
    """Texts within and behind calls for which models may have control tokens."""
    starters: str = ""
    """Characters that begin a call at the beginning of the answer."""
