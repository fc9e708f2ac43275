"""Definitions of tools as a template takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..tools.typed import types_of

JSON: TypeAlias = Any
Definitions: TypeAlias = Sequence[Mapping[str, JSON]]


def ways_to_show(tools: Definitions) -> Iterator[Definitions]:
    """As the caller wrote them; with what may be left out; with that for each argument too.

    Templates that fail for want of a description or a type take one of the latter.
    """
    yield tools
    yield [_filled(tool, _function) for tool in tools]
    yield [_filled(tool, _function_with_arguments) for tool in tools]


def _filled(tool: Mapping[str, JSON], fill: Any) -> dict[str, JSON]:
    return {"type": "function", **tool, "function": fill(tool["function"])}


def _function(function: Mapping[str, JSON]) -> dict[str, JSON]:
    parameters = {"type": "object", "properties": {}, **(function.get("parameters") or {})}
    return {"description": "", **_said(function), "parameters": parameters}


def _function_with_arguments(function: Mapping[str, JSON]) -> dict[str, JSON]:
    filled = _function(function)
    parameters = filled["parameters"]
    properties = {
        key: _argument(schema, parameters) for key, schema in parameters["properties"].items()
    }
    return {**filled, "parameters": {"required": [], **parameters, "properties": properties}}


def _argument(schema: JSON, root: JSON) -> dict[str, JSON]:
    types = types_of(schema, root) or frozenset()
    said = schema if isinstance(schema, Mapping) else {}
    return {"type": next(iter(types)) if len(types) == 1 else "any", "description": "", **said}


def _said(function: Mapping[str, JSON]) -> dict[str, JSON]:
    return {key: value for key, value in function.items() if value is not None}
