"""Pydantic models as the JSON schemas that providers take for structured output."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from .errors import BadRequestError


def response_format(model: type) -> dict[str, Any]:
    """OpenAI's `response_format` for a pydantic model, a dataclass or a `TypedDict`.

    The schema is made strict: no other properties, all of them required, as OpenAI's strict mode
    asks. Raises `BadRequestError` for a type that has no JSON schema.
    """
    try:
        schema = TypeAdapter(model).json_schema()
    except Exception as exc:  # pydantic raises many kinds for types it cannot describe
        raise BadRequestError(
            f"response_format={model.__name__} has no JSON schema: {exc}", param="response_format"
        ) from exc
    return {
        "type": "json_schema",
        "json_schema": {"name": model.__name__, "schema": strict(schema), "strict": True},
    }


def strict(schema: Any) -> Any:
    """A copy of `schema` in which every object takes its own properties only, all required."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {key: strict(value) for key, value in schema.items()}
    kinds = copy.get("type")
    if kinds != "object" and not (isinstance(kinds, list) and "object" in kinds):
        return copy
    if isinstance(copy.get("properties"), dict):
        copy["additionalProperties"] = False
        copy["required"] = list(copy["properties"])
    else:
        copy.setdefault("additionalProperties", False)
    return copy
