"""Which properties a schema lists for an object, over all that applies to the same object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...json_schemas.modern import ModernSchema, Schema
from ...json_schemas.refusal import GrammarError

_MAX_PROPERTIES = 1_000
_DEFINITION = "#/$defs/"


@dataclass(frozen=True, slots=True)
class Listed:
    """What a schema lists."""

    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    open: bool = False
    """Whether it says that there may be others."""


NOTHING = Listed()


def union(*found: Listed) -> Listed:
    """All that any of them lists. Raises `GrammarError` for too much."""
    names = frozenset[str]().union(*(each.names for each in found))
    if len(names) > _MAX_PROPERTIES:
        raise GrammarError(f"an object of more than {_MAX_PROPERTIES:,} properties is not taken")
    patterns = frozenset[str]().union(*(each.patterns for each in found))
    return Listed(names, patterns, any(each.open for each in found))


def groups(schema: Mapping[str, Any], definitions: ModernSchema) -> list[list[Schema]]:
    """What applies to the same object as `schema`: alternatives stand in one group."""
    found: list[list[Schema]] = [[part] for part in schema.get("allOf", ())]
    if "$ref" in schema:
        found.append([definitions.definitions[name_of(schema)]])
    found += [schema[keyword] for keyword in ("anyOf", "oneOf") if keyword in schema]
    found += [[schema[keyword]] for keyword in ("if", "then", "else") if keyword in schema]
    found += [[part] for part in schema.get("dependentSchemas", {}).values()]
    return found


def name_of(schema: Mapping[str, Any]) -> str:
    """The definition that the `$ref` of a schema names."""
    return str(schema["$ref"]).removeprefix(_DEFINITION)


class ListedProperties:
    """What each part of one schema lists."""

    def __init__(self, schema: ModernSchema) -> None:
        self._schema = schema
        self._known: dict[int, Listed] = {}
        """By the identity of the part; the schema keeps all of them alive."""

    def of(self, part: Schema) -> Listed:
        """What `part` lists, with all that applies to the same object."""
        if isinstance(part, bool):
            return NOTHING
        if id(part) not in self._known:
            self._known[id(part)] = NOTHING  # what comes back to itself lists nothing more
            inner = (self.of(each) for group in groups(part, self._schema) for each in group)
            self._known[id(part)] = union(own(part), *inner)
        return self._known[id(part)]


def own(schema: Mapping[str, Any]) -> Listed:
    """What the keywords of one schema object list themselves."""
    names = {*schema.get("properties", ()), *schema.get("required", ())}
    for name, others in schema.get("dependentRequired", {}).items():
        names.update((name, *others))
    others_allowed = any(
        schema.get(keyword, False) is not False
        for keyword in ("additionalProperties", "unevaluatedProperties")
    )
    return Listed(frozenset(names), frozenset(schema.get("patternProperties", ())), others_allowed)
