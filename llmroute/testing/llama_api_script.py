"""What the Llama API emulator is told to answer, and what it answers untold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .loopback import RecordedRequest

Fault: TypeAlias = Literal[
    "cut",
    "reset",
    "truncated",
    "invalid_json",
    "no_end",
    "no_finish",
    "second_end",
    "bare_error",
    "error_event",
]
"""What goes wrong with an answer:

- `"cut"`: the connection ends in the middle, without the end of the body
- `"reset"`: the connection is aborted in the middle
- `"truncated"`: the body ends properly, but within an event (or within the JSON)
- `"invalid_json"`: an event (or the answer) is not JSON

and only in a stream:

- `"no_end"`: the body ends properly, but no last event came
- `"no_finish"`: the last event comes without a reason
- `"second_end"`: the last events come twice
- `"bare_error"`: a line of JSON without `data:`, as the Llama API reports a failure in a stream
- `"error_event"`: an event named `error`
"""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call of the emulated model."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    """A mapping, or the exact text (it may be no JSON)."""
    id: str | None = None
    """`None`: one is made."""

    @property
    def text(self) -> str:
        """The arguments as the model writes them."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Reply:
    """What the emulated model says."""

    text: str = ""
    tool_calls: Sequence[ToolUse] = ()
    stop_reason: str | None = None
    """`"stop"`, `"length"` or `"tool_calls"`; `None`: what fits the rest."""
    pieces: Sequence[str] | None = None
    """How a stream cuts the text; `None`: after every word."""
    prompt_tokens: int | None = None
    """`None`: the words of the messages are counted."""
    completion_tokens: int | None = None
    """`None`: the words of the answer are counted."""
    delay: float = 0.0
    """Seconds before the first byte."""
    gap: float = 0.0
    """Seconds between two events of a stream."""
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class HTTPAnswer:
    """An answer as bytes, whatever was asked; see also `failure()` and `redirect()`."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the first byte."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The connection is aborted before any answer."""

    delay: float = 0.0
    """Seconds before that."""


Step: TypeAlias = str | Reply | HTTPAnswer | Disconnect
"""How one request is answered; a string is the text of a `Reply`."""
Script: TypeAlias = Step | Callable[[RecordedRequest], Step]


def failure(
    status: int,
    detail: str = "emulated failure",
    *,
    title: str | None = None,
    retry_after: float | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> HTTPAnswer:
    """An error as the Llama API sends it. `retry_after` is seconds or an HTTP date."""
    headers = {"content-type": "application/problem+json", **(headers or {})}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return HTTPAnswer(status, problem(status, detail, title), headers)


def redirect(location: str, status: int = 307) -> HTTPAnswer:
    """A redirect, with the empty chunk as body that the retired service sent along with it."""
    empty = {"id": "", "model": "", "choices": [], "created": 0, "object": ""}
    headers = {"content-type": "application/json", "location": location}
    return HTTPAnswer(status, json.dumps(empty).encode(), headers)


def problem(status: int, detail: str, title: str | None = None) -> bytes:
    """The Llama API's error body."""
    title = title or _TITLES.get(status, "Internal Server Error" if status >= 500 else "Error")
    return json.dumps({"title": title, "detail": detail, "status": status}).encode()


# 400, 404 and 500 as recorded; the others by their reason phrases.
_TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


def words(text: str) -> list[str]:
    """`text` cut before every word; the emulator's stand-in for tokens."""
    return re.findall(r"\s*\S+|\s+$", text)


def count_prompt(messages: Sequence[Mapping[str, Any]]) -> int:
    """The words of all messages; an image counts as one."""
    return sum(1 + _count(message.get("content")) for message in messages)


def _count(content: Any) -> int:
    if isinstance(content, str):
        return len(words(content))
    if isinstance(content, Mapping):
        content = [content]
    return sum(len(words(part["text"])) if "text" in part else 1 for part in content or ())


def finished(reply: Reply, body: Mapping[str, Any]) -> Reply:
    """`reply` with everything left open decided, and cut to the request's token limit."""
    pieces = list(reply.pieces if reply.pieces is not None else words(reply.text))
    calls = [
        ToolUse(call.name, call.text, call.id or f"call-{number}")
        for number, call in enumerate(reply.tool_calls, 1)
    ]
    reason = reply.stop_reason or ("tool_calls" if calls else "stop")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit is not None and len(pieces) > limit:
        pieces, calls, reason = pieces[:limit], [], reply.stop_reason or "length"
    used = len(pieces) + sum(1 + len(words(call.text)) for call in calls)
    return Reply(
        text="".join(pieces),
        tool_calls=calls,
        stop_reason=reason,
        pieces=pieces,
        prompt_tokens=_or(reply.prompt_tokens, count_prompt(body["messages"])),
        completion_tokens=_or(reply.completion_tokens, used),
        delay=reply.delay,
        gap=reply.gap,
        fault=reply.fault,
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def untold(body: Mapping[str, Any]) -> Reply:
    """The answer when the script has none.

    JSON that fits the schema if one was asked for, the tool that `tool_choice` demands, else the
    last user message said back.
    """
    response_format = body.get("response_format") or {}
    if response_format.get("type") == "json_schema":
        schema = response_format["json_schema"].get("schema", {})
        return Reply(json.dumps(sample(schema, schema)))
    if (tool := _demanded(body)) is not None:
        schema = tool.get("parameters") or {}
        return Reply(tool_calls=[ToolUse(tool["name"], sample(schema, schema) or {})])
    return Reply(f"You said: {_last_user_text(body['messages'])}")


def _demanded(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choice, tools = body.get("tool_choice"), [tool["function"] for tool in body.get("tools") or ()]
    if isinstance(choice, Mapping):
        return next((tool for tool in tools if tool["name"] == choice["function"]["name"]), None)
    return tools[0] if choice == "required" and tools else None


def _last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    content = next((m.get("content") for m in reversed(messages) if m["role"] == "user"), "")
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "[image]") for part in content or ())


def sample(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """A small value that fits a JSON schema; knows what pydantic emits for plain classes."""
    if "$ref" in schema:
        return sample(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return sample(schema[key][0], root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "null")
    if kind == "object":
        return {name: sample(part, root) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {}), root)] * schema.get("minItems", 1)
    plain = {"string": "text", "integer": 1, "number": 1.5, "boolean": True}
    return plain.get(kind)
