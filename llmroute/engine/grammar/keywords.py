"""The keywords of JSON Schema that are taken, and what they say of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .formats import PATTERNS
from .references import resolve
from .tree import GrammarError

ANNOTATIONS = frozenset(
    {"$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated", "description"}
    | {"discriminator", "example", "examples", "readOnly", "title", "writeOnly"}
)
"""They say nothing about which values are valid (`$id` at the top only)."""
COMBINING = ("$ref", "anyOf", "oneOf", "allOf", "const")
_NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
BY_TYPE: dict[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": _NUMERIC,
    "integer": _NUMERIC,
    "boolean": (),
    "null": (),
}
_TYPED = frozenset(keyword for keywords in BY_TYPE.values() for keyword in keywords)
_KNOWN = ANNOTATIONS | {*COMBINING} | _TYPED | {"type", "enum"}
_MERGED = frozenset({"type", "properties", "required"})
_MAX_HOPS = 30


def check_known(schema: Mapping[str, Any]) -> None:
    """Raises `GrammarError` for a keyword that is not taken."""
    for keyword, value in schema.items():
        idle = keyword == "uniqueItems" and value is False
        if keyword not in _KNOWN and not idle:
            raise GrammarError(f"the keyword {keyword!r:.60} is not supported")
    known_format = isinstance(schema.get("format"), str) and schema["format"] in PATTERNS
    if "format" in schema and not known_format:
        raise GrammarError(
            f"the format {schema['format']!r:.60} is not supported (but {', '.join(PATTERNS)})"
        )


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """The types a schema allows; empty if it says nothing about them."""
    given = schema.get("type")
    if given is None and "type" not in schema:
        return _implied(schema)
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not names:
        raise GrammarError("type must be a type's name or a list of them")
    for name in names:
        if not isinstance(name, str) or name not in BY_TYPE:
            raise GrammarError(f"{name!r:.60} is no type")
    unique = list(dict.fromkeys(names))
    return [name for name in unique if name != "integer" or "number" not in unique]


def _implied(schema: Mapping[str, Any]) -> list[str]:
    """The types its keywords speak of. Others would be valid too; none of them is meant."""
    return [
        name
        for name, keywords in BY_TYPE.items()
        if name != "integer" and any(keyword in schema for keyword in keywords)
    ]


def merged(schema: Mapping[str, Any], root: Any) -> Any:
    """One schema for `allOf` and what stands beside it."""
    parts = schema["allOf"]
    if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
        raise GrammarError("allOf must be a list with something in it")
    own = {key: value for key, value in schema.items() if key != "allOf"}
    if len(parts) == 1 and not own.keys() - ANNOTATIONS:
        return parts[0]
    properties: dict[str, Any] = {}
    required: list[Any] = []
    for part in [own, *(_followed(part, root) for part in parts)]:
        _check_mergeable(part)
        for name, value in part.get("properties", {}).items():
            if properties.setdefault(name, value) != value:
                raise GrammarError(f"allOf says two things about the property {name!r:.60}")
        required += part.get("required", [])
    return {"type": "object", "properties": properties, "required": required}


def _followed(part: Any, root: Any) -> Any:
    for _ in range(_MAX_HOPS):
        if not isinstance(part, Mapping) or part.keys() - ANNOTATIONS != {"$ref"}:
            return part
        part = resolve(root, part["$ref"])
    raise GrammarError("allOf leads from one $ref to the next without an end")


def _check_mergeable(part: Any) -> None:
    simple = (
        isinstance(part, Mapping)
        and part.get("type", "object") == "object"
        and not part.keys() - ANNOTATIONS - _MERGED
        and isinstance(part.get("properties", {}), Mapping)
        and isinstance(part.get("required", []), list)
    )
    if not simple:
        raise GrammarError(
            "allOf is supported for objects with nothing but properties and required"
        )
