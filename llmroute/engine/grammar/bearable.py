"""Whether llguidance can bear a prepared schema.

It takes those no value of which ends, and its stack overflows, which ends the process, where
hundreds of definitions lead from one to the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ...json_schemas.modern import Schema
from ...json_schemas.refusal import GrammarError

_MAX_LEVELS = 300
"""Of schemas within schemas, through definitions: a stack of 8 MB overflows at about 1,500."""


def check_levels(root: Schema, definitions: Mapping[str, Schema]) -> None:
    """Raises `GrammarError` for a schema in which it goes too deep, going from first to last."""
    seen: set[str] = set()
    waiting: list[tuple[Any, int]] = [(root, 0)]
    while waiting:
        value, level = waiting.pop()
        if level > _MAX_LEVELS:
            raise GrammarError("it leads too far from one definition to the next")
        if isinstance(value, list):
            waiting += [(item, level) for item in reversed(value)]
        if not isinstance(value, dict):
            continue
        waiting += [(item, level + 1) for item in reversed(value.values())]
        if isinstance(value.get("$ref"), str) and (name := _name(value)) not in seen:
            seen.add(name)
            waiting.append((definitions[name], level + 1))


def check_productive(root: Schema, definitions: Mapping[str, Schema]) -> None:
    """Raises `GrammarError` if every value of `root` holds itself."""
    users: defaultdict[str, list[str]] = defaultdict(list)
    for name, part in definitions.items():
        for used in _references(part):
            users[used].append(name)
    known: set[str] = set()
    open_ = list(definitions)
    while open_:
        name = open_.pop()
        if name not in known and _ends(definitions[name], known):
            known.add(name)
            open_ += users[name]
    if not _ends(root, known):
        raise GrammarError("nothing can ever match it: it contains itself without an end")


def _references(value: Any) -> Iterator[str]:
    """The definitions that a part of a schema names."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield _name(value)
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _ends(schema: Schema, known: set[str]) -> bool:
    if isinstance(schema, bool):
        return schema
    return (
        ("$ref" not in schema or _name(schema) in known)
        and all(_ends(part, known) for part in schema.get("allOf", ()))
        and ("anyOf" not in schema or any(_ends(part, known) for part in schema["anyOf"]))
        and (len(schema.get("type", ())) != 1 or _own_ends(schema, known))
    )


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _own_ends(schema: Mapping[str, Any], known: set[str]) -> bool:
    """Whether an object or an array ends, by its own keywords."""
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    least, first = schema.get("minItems", 0), schema.get("prefixItems", [])
    rest = [schema.get("items", True)] if least > len(first) else []
    needed = [properties.get(name, others) for name in schema.get("required", ())]
    return all(_ends(part, known) for part in (*needed, *first[:least], *rest))
