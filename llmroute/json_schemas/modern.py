"""Schemas of every draft and dialect, brought into one form: draft 2020-12 without annotations.

Older ways to write a thing become today's (lists under `items`, `dependencies`, `exclusiveMinimum:
true`, anchors), what says nothing about which values are valid is left out, and every `$ref`
becomes a name of `definitions`, so that nothing after this needs to look anything up.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote

from .keywords import BY_TYPE, NAMED_SCHEMAS, ONE_SCHEMA, SCHEMA_LISTS
from .refusal import GrammarError

Schema: TypeAlias = "bool | dict[str, Any]"

MAX_SIZE = 1_000_000
"""Characters of a schema's JSON text."""
_MAX_DEPTH = 60
_MAX_DEFINITIONS = 2_000
_ANCHOR = re.compile(r"#([A-Za-z_][\w.\-]*)")


@dataclass(slots=True)
class ModernSchema:
    """A schema in one form."""

    root: Schema
    definitions: dict[str, Schema] = field(default_factory=dict)
    """What the `$ref`s stand for, by the names they hold."""
    places: dict[str, str] = field(default_factory=dict)
    """Where each definition stood, as a pointer."""

    def document(self) -> Schema:
        """The whole as one JSON schema."""
        if isinstance(self.root, bool):
            return self.root
        return {**self.root, "$defs": self.definitions}


def modern(schema: Any, at: str = "#") -> ModernSchema:
    """`schema`, or the part of it that the pointer `at` names, in one form.

    Raises `GrammarError`, with the place, for what is no schema, for one that is too large or too
    deep, and for a `$ref` to another document: nothing is ever fetched.
    """
    return _Reader(_copied(schema)).read(at)


def _copied(schema: Any) -> Any:
    try:
        text = json.dumps(schema, allow_nan=False, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        raise _at("#", "it has a text that is not valid Unicode") from None
    except (TypeError, ValueError, RecursionError) as exc:
        raise GrammarError(f"it is no JSON ({exc!s:.200})") from None
    if len(text) > MAX_SIZE:
        raise GrammarError(f"it is longer than {MAX_SIZE:,} characters")
    return json.loads(text)


class _Reader:
    """Reads one schema."""

    def __init__(self, schema: Any) -> None:
        self._document = schema
        self._id = schema.get("$id", schema.get("id")) if isinstance(schema, dict) else None
        self._anchors: dict[str, str] | None = None
        self._names: dict[str, str] = {}
        self._pending: list[str] = []

    def read(self, at: str) -> ModernSchema:
        found = ModernSchema(self._schema(self._target(at), at, 0))
        while self._pending:
            pointer = self._pending.pop()
            name = self._names[pointer]
            found.places[name] = pointer
            found.definitions[name] = self._schema(self._target(pointer), pointer, 0)
        return found

    def _schema(self, schema: Any, path: str, depth: int) -> Schema:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise _at(path, f"a schema must be an object, not {schema!r:.60}")
        if depth > _MAX_DEPTH:
            raise _at(path, f"it is nested more than {_MAX_DEPTH} deep")
        return {
            keyword: self._value(keyword, value, f"{path}/{keyword}", path, depth + 1)
            for keyword, value in _in_2020(schema).items()
            if keyword in _CHECKS or keyword in _SCHEMAS
        }

    def _value(self, keyword: str, value: Any, place: str, path: str, depth: int) -> Any:
        if keyword in ONE_SCHEMA:
            return self._schema(value, place, depth)
        if keyword in SCHEMA_LISTS:
            if not isinstance(value, list) or not value:
                raise _at(path, f"{keyword} must be a list with something in it")
            return [self._schema(v, f"{place}/{n}", depth) for n, v in enumerate(value)]
        if keyword in NAMED_SCHEMAS:
            if not isinstance(value, dict):
                raise _at(path, f"{keyword} must be an object")
            return {name: self._schema(v, f"{place}/{name}", depth) for name, v in value.items()}
        if keyword == "$ref":
            return self._reference(value, path)
        if problem := _CHECKS[keyword](value):
            raise _at(path, f"{keyword} must be {problem}, not {value!r:.60}")
        return value

    def _reference(self, reference: Any, path: str) -> str:
        pointer = self._pointer(reference, path)
        if pointer not in self._names:
            if len(self._names) == _MAX_DEFINITIONS:
                raise _at(path, f"it has more than {_MAX_DEFINITIONS:,} definitions")
            self._names[pointer] = f"d{len(self._names)}"
            self._target(pointer, path)
            self._pending.append(pointer)
        return f"#/$defs/{self._names[pointer]}"

    def _pointer(self, reference: Any, path: str) -> str:
        if isinstance(reference, str):
            local = reference.removeprefix(self._id) if isinstance(self._id, str) else reference
            local = local or "#"
            if local == "#" or local.startswith("#/"):
                return local
            if (anchor := _ANCHOR.fullmatch(local)) and anchor[1] in self._all_anchors():
                return self._all_anchors()[anchor[1]]
        raise _at(path, f"$ref {reference!r:.100} is not supported, only places in this schema")

    def _all_anchors(self) -> dict[str, str]:
        if self._anchors is None:
            self._anchors = dict(_anchors(self._document, "#", 0))
        return self._anchors

    def _target(self, pointer: str, path: str = "#") -> Any:
        found = self._document
        for step in pointer.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and (place := _index(name)) < len(found):
                found = found[place]
            else:
                raise _at(path, f"$ref {pointer!r:.100} leads nowhere")
        return found


def _index(name: str) -> int:
    """The place in a list that a step of a pointer names."""
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else 10**9


def _anchors(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """All anchors in a schema, with the pointers to what they name."""
    if depth > 2 * _MAX_DEPTH:
        return
    if isinstance(value, dict):
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(value.get(keyword), str):
                yield value[keyword], path
        for name, item in value.items():
            step = name.replace("~", "~0").replace("/", "~1").replace("%", "%25")
            yield from _anchors(item, f"{path}/{step}", depth + 1)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _anchors(item, f"{path}/{number}", depth + 1)


def _in_2020(schema: dict[str, Any]) -> dict[str, Any]:
    """The keywords of one object as draft 2020-12 writes them, in their order."""
    result = dict(schema)
    if isinstance(schema.get("items"), list):
        renamed = {"items": "prefixItems", "additionalItems": "items"}
        result = {renamed.get(key, key): value for key, value in schema.items()}
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(result.get(bound), bool) and result.pop(bound) and limit in result:
            result[bound] = result.pop(limit)
    for older in ("$dynamicRef", "$recursiveRef"):
        if older in result:
            result.setdefault("$ref", result.pop(older))
    if isinstance(dependencies := result.pop("dependencies", None), dict):
        names = {name: v for name, v in dependencies.items() if isinstance(v, list)}
        schemas = {name: v for name, v in dependencies.items() if not isinstance(v, list)}
        result.update({"dependentRequired": names} if names else {})
        result.update({"dependentSchemas": schemas} if schemas else {})
    return result


def _at(path: str, problem: str) -> GrammarError:
    error = GrammarError(problem)
    error.path = path
    return error


_Check: TypeAlias = Callable[[Any], str | None]
"""What a keyword's value must be; `None` if it is."""


def _unless(fits: Callable[[Any], bool], what: str) -> _Check:
    return lambda value: None if fits(value) else what


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 10**300 and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_types(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    return (
        isinstance(names, list)
        and bool(names)
        and all(isinstance(name, str) and name in BY_TYPE for name in names)
    )


_number = _unless(_is_number, "a number of less than 300 digits")
_count = _unless(_is_count, "a whole number from 0")
_text = _unless(lambda value: isinstance(value, str), "a text")
_CHECKS: dict[str, _Check] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _count),
    **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), _count),
    "$ref": _text,
    "const": lambda value: None,
    "dependentRequired": _unless(
        lambda value: isinstance(value, Mapping) and all(map(_is_names, value.values())),
        "an object of lists of names",
    ),
    "enum": _unless(lambda value: isinstance(value, list) and bool(value), "a list of values"),
    "format": _text,
    "multipleOf": _unless(lambda value: _is_number(value) and value > 0, "a number above 0"),
    "pattern": _text,
    "required": _unless(_is_names, "a list of names"),
    "type": _unless(_is_types, f"a type's name ({', '.join(BY_TYPE)}) or a list of them"),
    "uniqueItems": _unless(lambda value: isinstance(value, bool), "true or false"),
}
_SCHEMAS = ONE_SCHEMA | SCHEMA_LISTS | NAMED_SCHEMAS
