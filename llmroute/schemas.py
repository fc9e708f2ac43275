"""Pydantic models as the JSON schemas that providers take for structured output and tools.

What OpenAI's strict mode takes is a part of JSON Schema (platform.openai.com/docs/guides/
structured-outputs, "Supported schemas", 2026-11-28): every object closed and all its properties
required, an object at the root, no `default`, no `oneOf`, nothing beside a `$ref`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from .errors import BadRequestError

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
    {"allOf", "not", "oneOf", "patternProperties", "prefixItems", "uniqueItems"}
)
_LISTS_OF_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED_SCHEMAS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties"})


def with_schemas(params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` of a chat call with the models in `response_format` and `tools` as schemas.

    A schema the caller wrote is brought into the form of strict mode where it is marked strict, and
    otherwise left as it is. Raises `BadRequestError` for a type that has no JSON schema.
    """
    ready = dict(params)
    asked = ready.get("response_format")
    if isinstance(asked, type):
        ready["response_format"] = response_format(asked)
    elif isinstance(asked, Mapping):
        ready["response_format"] = _in_strict_form(asked, "json_schema", "schema")
    if "tools" in ready:
        ready["tools"] = [
            function_tool(tool)
            if isinstance(tool, type)
            else _in_strict_form(tool, "function", "parameters")
            for tool in ready["tools"]
        ]
    return ready


def response_format(model: type) -> dict[str, Any]:
    """OpenAI's `response_format` for a pydantic model, a dataclass or a `TypedDict`.

    The schema asks for every field, those with a default too. It is marked strict unless it needs
    what strict mode cannot say: a mapping with free keys, a tuple, a set, a field of any type, or
    something else than an object at the root. Raises `BadRequestError` for a type that has no JSON
    schema.
    """
    schema = _schema(model, "response_format")
    return {
        "type": "json_schema",
        "json_schema": {
            "name": _name(model),
            "schema": schema,
            "strict": fits_strict_mode(schema),
        },
    }


def function_tool(model: type) -> dict[str, Any]:
    """The tool whose arguments are the fields of `model`; see `response_format`.

    Its name is the class's, its description the docstring.
    """
    schema = _schema(model, "tools")
    function = {
        "name": _name(model),
        "parameters": schema,
        "strict": fits_strict_mode(schema),
    }
    if description := schema.pop("description", None):
        function["description"] = description
    return {"type": "function", "function": function}


def strict(schema: Any) -> Any:
    """A copy of a JSON schema in the form of OpenAI's strict mode, as far as it can be said there.

    Only schemas are changed: values in `const`, `enum` and `examples` stay as they are.
    """
    if isinstance(schema, dict) and "$ref" in schema:
        schema = _with_root(schema)
    return _strict(schema)


def fits_strict_mode(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes `schema`, one that `strict()` gave."""
    root_is_object = isinstance(schema, dict) and schema.get("type") == "object"
    return root_is_object and all(map(_is_sayable, _schemas_in(schema)))


def _in_strict_form(outer: Mapping[str, Any], part: str, field: str) -> Mapping[str, Any]:
    """`outer`, whose `part` has a schema in `field`, with that schema strict if it is marked so."""
    inner = outer.get(part)
    if not isinstance(inner, Mapping) or inner.get("strict") is not True or field not in inner:
        return outer
    return {**outer, part: {**inner, field: strict(inner[field])}}


def _schema(model: type, param: str) -> dict[str, Any]:
    try:
        schema = TypeAdapter(model).json_schema()
    except Exception as exc:  # pydantic raises many kinds for types it cannot describe
        raise BadRequestError(
            f"{model.__name__} in {param} has no JSON schema: {exc}", param=param
        ) from exc
    in_strict_form: dict[str, Any] = strict(schema)
    return in_strict_form


def _name(model: type) -> str:
    """The class's name in the characters OpenAI takes: `Page[int]` becomes `Page_int`."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", model.__name__).strip("_")[:64] or "answer"


def _with_root(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with the definition that its root only names, as recursive models have it."""
    section, _, name = schema["$ref"].removeprefix("#/").partition("/")
    target = (schema.get(section) or {}).get(name)
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
    if schema.keys() & _NOT_SAYABLE:
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
