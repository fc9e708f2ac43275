"""Pydantic models as the JSON schemas that providers take for structured output and tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from .errors import BadRequestError
from .providers.strict_schema import fits_strict_mode, strict as strict


def with_schemas(params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` of a chat call with the models in `response_format` and `tools` as schemas.

    Raises `BadRequestError` for a type that has no JSON schema.
    """
    ready = dict(params)
    if isinstance(asked := ready.get("response_format"), type):
        ready["response_format"] = response_format(asked)
    if "tools" in ready:
        ready["tools"] = [
            function_tool(tool) if isinstance(tool, type) else tool for tool in ready["tools"]
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
