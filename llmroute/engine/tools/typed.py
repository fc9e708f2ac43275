"""Arguments that are written as plain text, in the types that the function's schema gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from .source import Source
from .values import literal, quoted, read_value

_STRING = frozenset({"string"})


def argument_schema(schema: Any, key: str, root: Any = None) -> Any:
    """The schema of one argument of a function, or of a member of an object within `root`.

    `None` if nothing is said of it.
    """
    more = None
    for part in _parts(schema, schema if root is None else root):
        properties = part.get("properties")
        if isinstance(properties, Mapping) and key in properties:
            return properties[key]
        more = more or part.get("additionalProperties")
    return more if isinstance(more, Mapping) else None


def item_schema(schema: Any, root: Any) -> Any:
    """The schema of the items of a list; `None` if nothing is said of them."""
    return next((part["items"] for part in _parts(schema, root) if "items" in part), None)


def types_of(schema: Any, root: Any) -> frozenset[str] | None:
    """The JSON types that `schema` takes; `None` for all. `$ref` is looked up in `root`."""
    return _Types(root).of(schema)


def is_text(types: frozenset[str] | None) -> bool:
    """Whether an argument of these types is text, whatever is written."""
    return types == _STRING


def as_json(written: str, types: frozenset[str] | None) -> str:
    """`written` as JSON text: of one of `types` if it can be read so, else as a string."""
    if is_text(types):
        return quoted(written)
    text = written.strip()
    for found in _readings(text, types):
        if types is None or "string" not in types or _type_of(found) & types:
            return found
    return quoted(written)


def _readings(text: str, types: frozenset[str] | None) -> Iterator[str]:
    """The ways to read `text` as something else than a string."""
    if _is_json(text):
        yield text
    elif found := literal(text):
        yield found
    elif types and "string" not in types and text.startswith(("{", "[")):
        yield repaired(text)


def repaired(text: str) -> str:
    """An object or a list that is nearly JSON, as JSON."""
    source = Source()
    source.feed(text)
    source.ended = True
    written: list[str] = []
    for _ in read_value(source, written.append):
        pass
    found = "".join(written)
    return found if _is_json(found) else quoted(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's


def _type_of(text: str) -> frozenset[str]:
    match json.loads(text):
        case None:
            return frozenset({"null"})
        case bool():
            return frozenset({"boolean"})
        case int():
            return frozenset({"integer", "number"})
        case float() as number:
            return frozenset({"integer", "number"} if number.is_integer() else {"number"})
        case str():
            return _STRING
        case list():
            return frozenset({"array"})
    return frozenset({"object"})


class _Types:
    """The types of schemas of one function; each schema is looked at once."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[int, frozenset[str] | None] = {}

    def of(self, schema: Any) -> frozenset[str] | None:
        if not isinstance(schema, Mapping):
            return None
        if id(schema) not in self._known:
            self._known[id(schema)] = frozenset()  # where it refers to itself: nothing more
            said = [types for types in self._said(schema) if types is not None]
            self._known[id(schema)] = frozenset.intersection(*said) if said else None
        return self._known[id(schema)]

    def _said(self, schema: Mapping[str, Any]) -> Iterator[frozenset[str] | None]:
        """What each keyword says of the types."""
        kind = schema.get("type")
        if isinstance(kind, str):
            yield frozenset({kind})
        elif isinstance(kind, list):
            yield frozenset(name for name in kind if isinstance(name, str))
        if "const" in schema:
            yield _types_of_values([schema["const"]])
        if isinstance(schema.get("enum"), list):
            yield _types_of_values(schema["enum"])
        for keyword in ("anyOf", "oneOf"):
            if branches := _list(schema.get(keyword)):
                types = [self.of(branch) for branch in branches]
                yield None if None in types else frozenset[str]().union(*filter(None, types))
        for part in _list(schema.get("allOf")):
            yield self.of(part)
        if "$ref" in schema:
            yield self.of(_target(schema["$ref"], self._root))


def _types_of_values(values: Sequence[Any]) -> frozenset[str]:
    return frozenset[str]().union(*(_type_of(json.dumps(value)) for value in values))


def _parts(schema: Any, root: Any) -> Iterator[Mapping[str, Any]]:
    """A schema, and those it refers to or is combined of."""
    waiting, seen = [schema], set[int]()
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, Mapping) or id(schema) in seen:
            continue
        seen.add(id(schema))
        yield schema
        for keyword in ("allOf", "anyOf", "oneOf"):
            waiting += _list(schema.get(keyword))
        waiting.append(_target(schema.get("$ref"), root))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _target(reference: Any, root: Any) -> Any:
    """What a `#/...` points to; `None` if nothing."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found = root
    for name in reference[1:].strip("/").split("/") if reference[1:] else ():
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal():
            found = found[int(name)] if int(name) < len(found) else None
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    return found
