"""The grammar of a forced call's arguments, in the ways in which families write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..grammar import charset
from ..grammar.gbnf import Rules
from ..grammar.json_schema import schema_expr
from ..grammar.tree import EMPTY, Chars, Expr, GrammarError, Lit, alt, maybe, seq
from .syntax import Pairs, Syntax
from .typed import is_text, types_of


def arguments_expr(rules: Rules, syntax: Syntax, schema: Any) -> Expr:
    """Arguments valid under `schema`. Raises `GrammarError` for one that is not taken."""
    if syntax.pairs is None:
        return schema_expr(rules, schema)
    members = list(_members(rules, syntax.pairs, schema))
    if not syntax.pairs.between:
        return seq(*(member.expr if member.required else maybe(member.expr) for member in members))
    return _separated(sorted(members, key=lambda member: not member.required), syntax.pairs.between)


@dataclass(frozen=True, slots=True)
class _Member:
    expr: Expr
    required: bool


def _members(rules: Rules, pairs: Pairs, schema: Any) -> Iterator[_Member]:
    root = schema if isinstance(schema, Mapping) else {}
    properties, required = root.get("properties", {}), root.get("required", ())
    if not isinstance(properties, Mapping) or not isinstance(required, list | tuple):
        raise GrammarError("properties must be an object, and required a list")
    definitions = {name: root[name] for name in ("$defs", "definitions") if name in root}
    for key, value in properties.items():
        whole = {**value, **definitions} if isinstance(value, Mapping) else value
        types = types_of(whole, whole)
        before = pairs.opening(key, _kind(types))
        expr = rules.new("argument", seq(before, _value(rules, pairs, whole, types)))
        yield _Member(expr, key in required)


def _kind(types: frozenset[str] | None) -> str:
    """The type that a tag names, of those that a value may have."""
    kind = next(iter(sorted(types or ())), "object")
    return "number" if kind == "integer" else kind


def _value(rules: Rules, pairs: Pairs, schema: Any, types: frozenset[str] | None) -> Expr:
    """A value, and what stands behind it."""
    if pairs.text is None or not is_text(types):
        return seq(schema_expr(rules, schema), pairs.after)
    begin, end = pairs.text
    listed = schema.get("enum")
    if isinstance(listed, list) and listed:
        return seq(begin, alt([Lit(text) for text in listed]), end, pairs.after)
    return seq(begin, _text_before(rules, end or pairs.after), end, pairs.after)


def _text_before(rules: Rules, end: str) -> Expr:
    """Text in which `end` cannot begin: its first two characters do not follow each other."""
    first, second = charset.of(end[0]), charset.of(end[:2])
    others = Chars(charset.minus(charset.UNICODE, first))
    doubled = seq(Chars(first), Chars(charset.minus(charset.UNICODE, second)))
    return rules.repeat(rules.new("raw", alt([others, doubled])), 0, None)


def _separated(members: Sequence[_Member], between: str) -> Expr:
    """The required members, which come first, and any of the others in their order."""
    required = [member.expr for member in members if member.required]
    optional = [member.expr for member in members if not member.required]
    if required:
        more = (seq(between, expr) for expr in required[1:])
        return seq(required[0], *more, *(maybe(seq(between, expr)) for expr in optional))
    begins = [
        seq(expr, *(maybe(seq(between, later)) for later in optional[at + 1 :]))
        for at, expr in enumerate(optional)
    ]
    return alt([*begins, EMPTY])
