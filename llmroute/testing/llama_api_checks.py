"""What the Llama API's two surfaces refuse.

From recordings: `tool_choice` and `response_format` on the compat surface, arguments in the
history that don't fit the tool's schema, unknown paths. Assumed, because no recording shows the
answer: the exact words for a union-typed parameter and for a response format, a wrong key, an
unknown model, empty messages, and that the native surface refuses fields its official client does
not know (so that a mistake shows instead of being ignored).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_NATIVE_FIELDS = frozenset(
    {"messages", "model", "max_completion_tokens", "repetition_penalty", "response_format"}
    | {"stream", "temperature", "tool_choice", "tools", "top_k", "top_p", "user"}
)
_NATIVE_MESSAGE_FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "stop_reason", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "string": (str,),
}


class RefusedError(Exception):
    """The surface answers with this status and detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def check_compat(body: Mapping[str, Any]) -> None:
    """Raises `RefusedError` for what the OpenAI-compatible surface does not take."""
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, Mapping):
        raise RefusedError(400, "tool_choice function object is not currently supported")
    if choice != "auto":
        raise RefusedError(400, "tool_choice other than auto is not supported")
    _check_format(body, {"json_schema"})
    for tool in body.get("tools") or ():
        _check_unions(tool["function"].get("parameters") or {})
    _check_history(body)


def check_native(body: Mapping[str, Any]) -> None:
    """Raises `RefusedError` for what the native surface does not take."""
    for name in body.keys() - _NATIVE_FIELDS:
        raise RefusedError(400, f"Unexpected field `{name}`")
    _check_format(body, {"json_schema", "text"})
    for message in body.get("messages") or ():
        known = _NATIVE_MESSAGE_FIELDS.get(message.get("role"))
        if known is None:
            raise RefusedError(400, f"Unexpected role `{message.get('role')}`")
        for name in message.keys() - known:
            raise RefusedError(
                400, f"Unexpected field `{name}` in a message of role {message['role']}"
            )
        if message.get("content", "") is None:
            raise RefusedError(400, "content must not be null")
    _check_history(body)


def check_chat(body: Any, models: Sequence[str]) -> None:
    """Raises `RefusedError` for what neither surface takes."""
    if not isinstance(body, Mapping):
        raise RefusedError(400, "the body must be a JSON object")
    if not _objects(messages := body.get("messages"), "role") or not messages:
        raise RefusedError(400, "messages must be objects with a role, at least one")
    if body.get("model") not in models:
        raise RefusedError(404, f"Model '{body.get('model')}' was not found")
    if not _objects(tools := body.get("tools", []), "function") or not all(
        _objects([tool["function"]], "name") for tool in tools
    ):
        raise RefusedError(400, "tools must be functions with a name")
    for message in messages:
        if not _objects(message.get("tool_calls") or [], "function"):
            raise RefusedError(400, "tool_calls must be objects with a function")


def _objects(values: Any, key: str) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, Mapping) and key in value for value in values
    )


def _check_format(body: Mapping[str, Any], known: set[str]) -> None:
    if "response_format" in body:
        kind = (body["response_format"] or {}).get("type")
        if kind not in known:
            raise RefusedError(400, f"response_format of type {kind} is not supported")


def _check_unions(schema: Any) -> None:
    if isinstance(schema, list):
        for part in schema:
            _check_unions(part)
    elif isinstance(schema, Mapping):
        if "anyOf" in schema or "oneOf" in schema or isinstance(schema.get("type"), list):
            raise RefusedError(400, "union types are not supported in tool parameters")
        for part in schema.values():
            _check_unions(part)


def _check_history(body: Mapping[str, Any]) -> None:
    """Arguments of earlier tool calls must have the types that the tool declares."""
    tools = {tool["function"]["name"]: tool["function"] for tool in body.get("tools") or ()}
    for message in body["messages"]:
        for call in message.get("tool_calls") or ():
            function = call["function"]
            parameters = tools.get(function.get("name"), {}).get("parameters") or {}
            for name, value in _arguments(function.get("arguments", "")).items():
                declared = parameters.get("properties", {}).get(name, {}).get("type")
                if declared in _PYTHON_TYPES and not isinstance(value, _PYTHON_TYPES[declared]):
                    raise RefusedError(400, f"Unexpected param value `{name}`: {json.dumps(value)}")


def _arguments(text: str) -> Mapping[str, Any]:
    try:
        arguments = json.loads(text)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, Mapping) else {}
