"""JSON as grammar: any value, and one given value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .gbnf import Rules
from .numbers import any_number
from .strings import any_string, spelled
from .tree import Alt, Chars, Expr, GrammarError, Lit, Ref, Repeat, maybe, seq

_BLANK = Chars(((0x09, 0x09), (0x20, 0x20)))
_MAX_BLANKS = 40
"""Blanks in one place: enough for ten levels of four, too few to run on."""
_MAX_DEPTH = 50
"""Of one given value."""


def space(rules: Rules) -> Ref:
    """Nothing, a blank, or a new line with some blanks: what may stand between values."""
    lines = seq(maybe(Lit("\r")), "\n", Repeat(_BLANK, 0, _MAX_BLANKS))
    return rules.shared("space", Alt((seq(), Lit(" "), lines)))


def any_value(rules: Rules) -> Ref:
    """Any JSON value."""
    any_object(rules)
    return Ref("value")


def any_object(rules: Rules) -> Ref:
    """Any JSON object."""
    gap, string, value = space(rules), any_string(rules), Ref("value")
    member = rules.shared("member", seq(string, gap, ":", gap, value))
    rules.shared("object", bracketed(rules, "{", listed(rules, member), "}"))
    rules.shared("array", bracketed(rules, "[", listed(rules, value), "]"))
    scalars = (string, any_number(rules), Lit("true"), Lit("false"), Lit("null"))
    rules.shared("value", Alt((Ref("object"), Ref("array"), *scalars)))
    return Ref("object")


def listed(rules: Rules, item: Ref) -> Expr:
    """Items with commas between, at least one."""
    following = rules.shared(f"more-{item.name}", seq(comma(rules), item))
    return seq(item, rules.repeat(following, 0, None))


def comma(rules: Rules) -> Expr:
    """What stands between two items."""
    return seq(space(rules), ",", space(rules))


def bracketed(rules: Rules, opening: str, inner: Expr, closing: str, *, some: bool = False) -> Expr:
    """`inner` in brackets; without `some`, also nothing in brackets."""
    gap = space(rules)
    full = seq(opening, gap, inner, gap, closing)
    return full if some else Alt((full, seq(opening, gap, closing)))


def given(rules: Rules, value: Any, depth: int = 0) -> Expr:
    """Exactly this value. Raises `GrammarError` if JSON has no such value."""
    if depth > _MAX_DEPTH:
        raise GrammarError(f"a value is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        members = [
            seq(key_of(rules, key), given(rules, item, depth + 1)) for key, item in value.items()
        ]
        return _given_items(rules, "{", members, "}")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _given_items(rules, "[", [given(rules, item, depth + 1) for item in value], "]")
    return Lit(scalar(value))


def scalar(value: Any) -> str:
    """The JSON text of a value that is no object and no array."""
    if isinstance(value, str):
        return f'"{spelled(value)}"'
    if not isinstance(value, bool | int | float | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise GrammarError(f"{value!r:.100} is no JSON value")
    return json.dumps(value)


def key_of(rules: Rules, name: Any) -> Expr:
    """A property's name with the colon behind it."""
    if not isinstance(name, str):
        raise GrammarError(f"{name!r:.100} is no name of a property")
    return seq(f'"{spelled(name)}"', space(rules), ":", space(rules))


def _given_items(rules: Rules, opening: str, items: Sequence[Expr], closing: str) -> Expr:
    parts: list[Expr] = []
    for item in items:
        parts += [comma(rules), item] if parts else [item]
    return bracketed(rules, opening, seq(*parts), closing, some=bool(items))
