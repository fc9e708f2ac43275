"""JSON schemas in the form of OpenAI's strict mode.

It takes a part of JSON Schema (platform.openai.com/docs/guides/structured-outputs, "Supported
schemas", 2026-11-28): every object closed and all its properties required, an object at the root,
no `default`, no `oneOf`, nothing beside a `$ref`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ONE_SCHEMA = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_NOT_SAYABLE = frozenset(
    {
        "allOf",
        "contains",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "maxProperties",
        "minProperties",
        "not",
        "oneOf",
        "patternProperties",
        "prefixItems",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    }
)
# https://platform.openai.com/docs/guides/structured-outputs#supported-schemas; others get a 400.
_FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
_LOOKAROUNDS = ("(?=", "(?!", "(?<=", "(?<!")  # as some pydantic's patterns for a Decimal
_LISTS_OF_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED_SCHEMAS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties"})


def with_strict_schemas(params: dict[str, Any]) -> dict[str, Any]:
    """`params` with the schemas that are marked strict in its form; the others stay as they are."""
    if "response_format" in params:
        asked = params["response_format"]
        params["response_format"] = _in_strict_form(asked, "json_schema", "schema")
    if "tools" in params:
        params["tools"] = [
            _in_strict_form(tool, "function", "parameters") for tool in params["tools"]
        ]
    return params


def strict(schema: Any) -> Any:
    """A copy of a JSON schema in the form of OpenAI's strict mode, as far as it can be said there.

    Only schemas are changed: values in `const`, `enum` and `examples` stay as they are.
    """
    if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        schema = _with_root(schema)
    return _strict(schema)


def fits_strict_mode(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes `schema`, one that `strict()` gave."""
    root_is_object = isinstance(schema, dict) and schema.get("type") == "object"
    return root_is_object and all(map(_is_sayable, _schemas_in(schema)))


def _in_strict_form(outer: Any, part: str, field: str) -> Any:
    """`outer`, whose `part` has a schema in `field`, with that schema strict if it is marked so."""
    inner = outer.get(part) if isinstance(outer, Mapping) else None
    if not isinstance(inner, Mapping) or inner.get("strict") is not True or field not in inner:
        return outer
    return {**outer, part: {**inner, field: strict(inner[field])}}


def _with_root(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with the definition that its root only names, as recursive models have it."""
    section, _, name = schema["$ref"].removeprefix("#/").partition("/")
    named = schema.get(section)
    target = named.get(name) if isinstance(named, dict) else None
    if not isinstance(target, dict):
        return schema
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _strict(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    copy = {key: _strict_value(key, value) for key, value in schema.items()}
    copy.pop("default", None)
    if isinstance(copy.get("oneOf"), list) and "anyOf" not in copy:
        copy["anyOf"] = copy.pop("oneOf")
        copy.pop("discriminator", None)
    if "$ref" in copy and len(copy) > 1:
        copy["anyOf"] = [{"$ref": copy.pop("$ref")}]
    if _is_object(copy):
        _close(copy)
    return copy


def _strict_value(keyword: str, value: Any) -> Any:
    if keyword in _ONE_SCHEMA:
        return _strict(value)
    if keyword in _LISTS_OF_SCHEMAS and isinstance(value, list):
        return [_strict(item) for item in value]
    if (keyword == "properties" or keyword in _NAMED_SCHEMAS) and isinstance(value, dict):
        return {name: _strict(part) for name, part in value.items()}
    return value


def _is_object(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type")
    return kinds == "object" or (isinstance(kinds, list) and "object" in kinds)


def _close(schema: dict[str, Any]) -> None:
    """Lets an object have its own properties only, and all of them."""
    properties = schema.get("properties")
    if isinstance(properties, dict):
        schema["additionalProperties"] = False
        named = schema.get("required")
        if not isinstance(named, list) or sorted(map(str, named)) != sorted(properties):
            schema["required"] = list(properties)
    else:
        schema.setdefault("additionalProperties", False)


def _is_sayable(schema: Any) -> bool:
    """Whether strict mode has words for this one schema, without those in it."""
    if not isinstance(schema, dict):
        return False
    if not schema.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
        return False  # any value at all
    if schema.keys() & _NOT_SAYABLE or schema.get("format", "date") not in _FORMATS:
        return False
    if any(part in str(schema.get("pattern")) for part in _LOOKAROUNDS):
        return False
    if _is_object(schema):
        return schema.get("additionalProperties") is False and "properties" in schema
    return "items" in schema or schema.get("type") != "array"


def _schemas_in(schema: Any) -> Iterator[Any]:
    """`schema` and every schema in it."""
    yield schema
    for keyword, value in schema.items() if isinstance(schema, dict) else ():
        if keyword in _ONE_SCHEMA and isinstance(value, dict):
            yield from _schemas_in(value)
        elif keyword in _LISTS_OF_SCHEMAS and isinstance(value, list):
            for item in value:
                yield from _schemas_in(item)
        elif (keyword == "properties" or keyword in _NAMED_SCHEMAS) and isinstance(value, dict):
            for part in value.values():
                yield from _schemas_in(part)
