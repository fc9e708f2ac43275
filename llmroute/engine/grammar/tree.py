"""A grammar as a tree of values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ...json_schemas.charset import Ranges


@dataclass(frozen=True, slots=True)
class Lit:
    """Exactly this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the vocabulary, as Lark writes it: `<[7]>` or `<name>`."""

    text: str


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
    """`item` from `low` to `high` times; `None` is without end."""

    item: Expr
    low: int
    high: int | None


Expr: TypeAlias = Lit | Chars | Token | Ref | Seq | Alt | Repeat


def alt(options: Sequence[Expr]) -> Expr:
    """One of several; there must be one."""
    return options[0] if len(options) == 1 else Alt(tuple(options))


def seq(parts: Sequence[Expr]) -> Expr:
    """One after the other."""
    return parts[0] if len(parts) == 1 else Seq(tuple(parts))


def parts_of(expr: Expr) -> tuple[Expr, ...]:
    """What an expression is made of."""
    match expr:
        case Seq(parts):
            return parts
        case Alt(options):
            return options
        case Repeat(item):
            return (item,)
    return ()


def names_in(expr: Expr) -> Iterator[str]:
    """The rules it refers to."""
    if isinstance(expr, Ref):
        yield expr.name
    for part in parts_of(expr):
        yield from names_in(part)
