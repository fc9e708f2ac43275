"""Pydantic models and functions as the JSON schemas that providers take."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from .docstrings import read_docstring
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
            function_tool(tool) if callable(tool) else tool for tool in ready["tools"]
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


def function_tool(tool: Callable[..., Any]) -> dict[str, Any]:
    """The tool that a function is, or whose arguments are the fields of a class.

    Its name is the function's or the class's. A class's docstring describes it; a function's does
    up to `Args:`, where the entries describe the parameters that have no `Field(description=...)`
    of their own. For strict mode see `response_format`. Raises `BadRequestError` for a function
    whose parameters have no names (`*args`, `/`) or a type without a JSON schema.
    """
    schema = _schema(tool, "tools") if isinstance(tool, type) else _arguments(tool)
    function = {
        "name": _name(tool),
        "parameters": schema,
        "strict": fits_strict_mode(schema),
    }
    if description := schema.pop("description", None):
        function["description"] = description
    return {"type": "function", "function": function}


def _arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """The schema of what `function` takes, with its descriptions."""
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise BadRequestError(
            f"A tool must be a function, a class or a dict, not {function!r:.100}.", param="tools"
        )
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise BadRequestError(
                f"The parameter {parameter.name!r} of {function.__name__} in tools has no name that"
                " a model can give.",
                param="tools",
            )
    schema = _schema(function, "tools")
    summary, told = read_docstring(function)
    for name, text in told.items():
        if name in schema.get("properties", {}):
            schema["properties"][name].setdefault("description", text)
    return {**schema, "description": summary}


def _schema(model: Callable[..., Any], param: str) -> dict[str, Any]:
    try:
        # Of a function it is the schema of its arguments; pydantic's types do not say so.
        schema = TypeAdapter(model).json_schema()  # type: ignore[arg-type]
    except Exception as exc:  # pydantic raises many kinds for types it cannot describe
        raise BadRequestError(
            f"{model.__name__} in {param} has no JSON schema: {exc}", param=param
        ) from exc
    in_strict_form: dict[str, Any] = strict(schema)
    return in_strict_form


def _name(model: Callable[..., Any]) -> str:
    """Its name in the characters OpenAI takes: `Page[int]` becomes `Page_int`."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", model.__name__).strip("_")[:64] or "answer"
