"""What JSON Schema says about the values of each type, as grammar."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .formats import PATTERNS
from .gbnf import Rules
from .json_values import any_object
from .members import array_of, object_of
from .numbers import any_integer, any_number, integer, number
from .pattern import string_like
from .strings import any_character, any_string
from .tree import Expr, GrammarError, Lit, alt, seq

Convert: TypeAlias = Callable[[Any, str], Expr]
"""Converts a part of the schema, given its place."""
Part: TypeAlias = Mapping[str, Any]
_MAX_MEMBERS = 400


def of_type(name: str, rules: Rules, schema: Part, path: str, convert: Convert) -> Expr:
    """The values of one type that are valid under `schema`."""
    match name:
        case "object":
            return _object(rules, schema, path, convert)
        case "array":
            return _array(rules, schema, path, convert)
        case "string":
            return _string(rules, schema)
        case "integer":
            return _integer(rules, schema)
        case "number":
            return _number(rules, schema)
        case "boolean":
            return alt([Lit("true"), Lit("false")])
    return Lit("null")


def _object(rules: Rules, schema: Part, path: str, convert: Convert) -> Expr:
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        raise GrammarError("properties must be an object")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise GrammarError("required must be a list of names")
    others = schema.get("additionalProperties", not properties)
    if others is True and not properties and not required:
        return any_object(rules)
    schemas = {**properties, **{name: others for name in required if name not in properties}}
    if len(schemas) > _MAX_MEMBERS:
        raise GrammarError(f"an object of more than {_MAX_MEMBERS} properties is not supported")
    members = {
        name: convert(value, f"{path}/properties/{name}")
        for name, value in schemas.items()
        if value is not False or name in required
    }
    extra = None if others is False else convert(others, f"{path}/additionalProperties")
    return rules.new("object", object_of(rules, members, {*required}, extra, {*schemas}))


def _array(rules: Rules, schema: Part, path: str, convert: Convert) -> Expr:
    prefix = schema.get("prefixItems", [])
    if not isinstance(prefix, list) or len(prefix) > _MAX_MEMBERS:
        raise GrammarError(f"prefixItems must be a list of at most {_MAX_MEMBERS}")
    items = schema.get("items", not prefix)
    if isinstance(items, list):
        raise GrammarError("items as a list is not supported: use prefixItems")
    low, high = _counts(schema, "minItems", "maxItems")
    first = [convert(item, f"{path}/prefixItems/{n}") for n, item in enumerate(prefix)]
    rest = None if items is False else convert(items, f"{path}/items")
    return rules.new("array", array_of(rules, first, rest, low, high))


def _string(rules: Rules, schema: Part) -> Expr:
    low, high = _counts(schema, "minLength", "maxLength")
    pattern = schema.get("pattern")
    if "format" in schema:
        if pattern is not None:
            raise GrammarError("pattern together with format is not supported")
        pattern = PATTERNS[schema["format"]]
    if pattern is None:
        if not low and high is None:
            return any_string(rules)
        return seq('"', rules.repeat(any_character(rules), low, high), '"')
    if not isinstance(pattern, str):
        raise GrammarError("pattern must be a text")
    if low or high is not None:
        raise GrammarError(
            "pattern or format together with minLength or maxLength is not supported"
        )
    return rules.new("text", string_like(rules, pattern))


def _integer(rules: Rules, schema: Part) -> Expr:
    low, high, above, below = _bounds(schema)
    if low is None and high is None:
        return any_integer(rules)
    return integer(_at_least(low, above), _at_most(high, below))


def _number(rules: Rules, schema: Part) -> Expr:
    low, high, above, below = _bounds(schema)
    if low is None and high is None:
        return any_number(rules)
    for bound in (low, high):
        if bound is not None and bound != int(bound):
            raise GrammarError(f"the bound {bound} of a number is not whole, which is unsupported")
    whole = [None if bound is None else int(bound) for bound in (low, high)]
    return number(*whole, above=above, below=below)


def _bounds(schema: Part) -> tuple[float | None, float | None, bool, bool]:
    """Lowest, highest, and whether each bound itself is left out."""
    low, above = _tighter(schema, "minimum", "exclusiveMinimum", max)
    high, below = _tighter(schema, "maximum", "exclusiveMaximum", min)
    return low, high, above, below


def _tighter(
    schema: Part, inclusive: str, exclusive: str, choose: Callable[[float, float], float]
) -> tuple[float | None, bool]:
    included, excluded = _bound(schema, inclusive), _bound(schema, exclusive)
    if included is None or excluded is None:
        return (included, False) if excluded is None else (excluded, True)
    return choose(included, excluded), choose(included, excluded) == excluded


def _bound(schema: Part, keyword: str) -> float | None:
    value = schema.get(keyword)
    if keyword not in schema:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise GrammarError(f"{keyword} must be a number")
    return value


def _at_least(bound: float | None, exclusive: bool) -> int | None:
    if bound is None:
        return None
    return math.floor(bound) + 1 if exclusive else math.ceil(bound)


def _at_most(bound: float | None, exclusive: bool) -> int | None:
    if bound is None:
        return None
    return math.ceil(bound) - 1 if exclusive else math.floor(bound)


def _counts(schema: Part, least: str, most: str) -> tuple[int, int | None]:
    low, high = _count(schema, least) or 0, _count(schema, most)
    if high is not None and low > high:
        raise GrammarError(f"{least} is more than {most}")
    return low, high


def _count(schema: Part, keyword: str) -> int | None:
    if keyword not in schema:
        return None
    value = schema[keyword]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise GrammarError(f"{keyword} must be a number of at least 0")
    if not math.isfinite(value) or value != int(value):
        raise GrammarError(f"{keyword} must be a whole number")
    return int(value)
