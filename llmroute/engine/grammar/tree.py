"""A grammar as a tree of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .charset import Ranges


class GrammarError(ValueError):
    """A grammar that cannot be used; the message says why."""

    path: str | None = None
    """Where in a schema."""


@dataclass(frozen=True, slots=True)
class Lit:
    """Exactly this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Ref:
    """Another rule."""

    name: str


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of several."""

    options: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`item` from `low` to `high` times; `None` is without end. Made by `Rules.repeat`."""

    item: Ref | Chars
    low: int
    high: int | None


Expr: TypeAlias = Lit | Chars | Ref | Seq | Alt | Repeat

EMPTY = Seq(())


def seq(*parts: Expr | str) -> Expr:
    """One after the other; a `str` stands for itself."""
    return Seq(tuple(Lit(part) if isinstance(part, str) else part for part in parts))


def alt(options: Sequence[Expr]) -> Expr:
    """One of several; there must be one."""
    return options[0] if len(options) == 1 else Alt(tuple(options))


def maybe(item: Expr) -> Expr:
    """The item or nothing."""
    return Alt((item, EMPTY))
