"""An emulator of Anthropic's Messages API.

A real HTTP server on loopback that answers `/v1/messages`, whole and streamed, and refuses what
the service refuses in requests:

    with AnthropicEmulator() as server:
        server.script("Hello!", failure(529, "overloaded_error"), [{"type": "text", "text": "Hi"}])
        completion("anthropic/claude-haiku-4-5", "Hi", api_base=server.url, api_key=server.api_key)
        server.requests[0].json["messages"]

Written from https://platform.claude.com/docs/en/api/messages and the pages on streaming and errors
beside it (2026-11-28). Token counts are counts of words, unless a `Says` names others.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .anthropic_checks import RefusedError, check_headers, check_request
from .llama_api_script import HTTPAnswer, sample, words
from .loopback import Exchange, LoopbackServer, RecordedRequest

__all__ = [
    "AnthropicEmulator",
    "HTTPAnswer",
    "Says",
    "Step",
    "error_event",
    "event_stream",
    "failure",
]

Block: TypeAlias = Mapping[str, Any]
JSON_HEADERS = {"content-type": "application/json", "request-id": "req_emulated"}
SSE_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_emulated"}
# Blocks of which a stream sends a part in deltas: the key, and the value they start with.
_GROWING = {"text": ("text", ""), "thinking": ("thinking", ""), "compaction": ("content", None)}
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")


@dataclass(frozen=True, slots=True)
class Says:
    """What the emulated model says: content blocks, and what else the answer holds."""

    blocks: Sequence[Block]
    stop_reason: str | None = None
    """`None`: `"tool_use"` after a call, else `"end_turn"`."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Counts, which win over those of words."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other fields of the message, such as `container` or `stop_sequence`."""


Step: TypeAlias = str | Sequence[Block] | Says | HTTPAnswer
"""How one request is answered; a string is one block of text."""


class AnthropicEmulator(LoopbackServer):
    """The emulator; a context manager.

    Answers come from `script()`; without one, it says the last user message back, gives JSON that
    fits the schema asked for, and calls the tool that `tool_choice` demands. A request that it
    refuses uses up no step of the script.
    """

    def __init__(self, *, api_key: str = "emulated-key") -> None:
        """Prepares a server that takes `api_key` alone; it runs from the `with` block's start."""
        super().__init__()
        self.api_key = api_key
        self._steps: deque[Step] = deque()
        self._lock = threading.Lock()

    def script(self, *steps: Step) -> None:
        """Appends answers for the coming requests, one each."""
        with self._lock:
            self._steps.extend(steps)

    def respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        """Answers one request."""
        try:
            check_headers(request, self.api_key)
            check_request(body := request.json)
        except RefusedError as refused:
            _send(exchange, failure(refused.status, refused.type, str(refused)))
            return
        with self._lock:
            step = self._steps.popleft() if self._steps else unscripted(body)
        if isinstance(step, HTTPAnswer):
            _send(exchange, step)
        elif body.get("stream"):
            exchange.begin(SSE_HEADERS)
            for frame in event_stream(step, body):
                exchange.write(frame)
            exchange.end()
        else:
            exchange.answer(200, _dumps(message(step, body)), JSON_HEADERS)


def failure(
    status: int,
    type: str,
    message: str = "emulated failure",
    headers: Mapping[str, str] | None = None,
) -> HTTPAnswer:
    """An error as the service sends it."""
    return HTTPAnswer(status, _dumps(_error(type, message)), {**JSON_HEADERS, **(headers or {})})


def error_event(type: str, message: str = "emulated failure") -> bytes:
    """An error as the service sends it in a stream that has begun."""
    return _frame(_error(type, message))


def message(step: str | Sequence[Block] | Says, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer."""
    says = _says(step)
    return {
        "id": "msg_emulated",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": list(says.blocks),
        "stop_reason": says.stop_reason or _reason(says.blocks),
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(words(json.dumps(body["messages"]))),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": len(words(json.dumps(list(says.blocks)))),
            "service_tier": "standard",
            **says.usage,
        },
        **says.more,
    }


def event_stream(step: str | Sequence[Block] | Says, body: Mapping[str, Any]) -> list[bytes]:
    """The events of a streamed answer, as they are sent."""
    whole = message(step, body)
    ending = {k: whole.pop(k) for k in ("stop_reason", "stop_sequence")}
    usage, blocks = whole["usage"], whole["content"]
    final = {k: v for k, v in usage.items() if k not in ("cache_creation", "service_tier")}
    ending |= {k: whole.pop(k) for k in ("container", "stop_details") if k in whole}
    aside = {k: whole.pop(k) for k in ("context_management",) if k in whole}
    start = {**whole, "content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = {**usage, "output_tokens": 1}
    return [
        _frame({"type": "message_start", "message": start}),
        _frame({"type": "ping"}),
        *(_frame(event) for number, block in enumerate(blocks) for event in _block(number, block)),
        _frame({"type": "message_delta", "delta": ending, "usage": final, **aside}),
        _frame({"type": "message_stop"}),
    ]


def unscripted(body: Mapping[str, Any]) -> Step:
    """The answer when the script has none."""
    format = (body.get("output_config") or {}).get("format")
    if format is not None:
        return json.dumps(sample(format["schema"], format["schema"]))
    if (tool := _demanded(body)) is not None:
        schema = tool["input_schema"]
        input = sample(schema, schema) or {}
        return [{"type": "tool_use", "id": "toolu_1", "name": tool["name"], "input": input}]
    return f"You said: {_last_text(body['messages'])}"


def _says(step: str | Sequence[Block] | Says) -> Says:
    if isinstance(step, Says):
        return step
    return Says([{"type": "text", "text": step}] if isinstance(step, str) else step)


def _reason(blocks: Sequence[Block]) -> str:
    return "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"


def _demanded(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choice = body.get("tool_choice") or {}
    tools = [tool for tool in body.get("tools") or () if "input_schema" in tool]
    if choice.get("type") == "tool":
        tools = [tool for tool in tools if tool["name"] == choice["name"]]
    return tools[0] if tools and choice.get("type") in ("any", "tool") else None


def _last_text(messages: Sequence[Mapping[str, Any]]) -> str:
    content = next(m["content"] for m in reversed(messages) if m["role"] == "user")
    if isinstance(content, str):
        return content
    return " ".join(block.get("text", f"[{block['type']}]") for block in content)


def _block(number: int, block: Block) -> Iterator[dict[str, Any]]:
    """The events of one block: those that grow start empty and come in pieces."""
    begun = dict(block)
    deltas: list[dict[str, Any]] = []
    if block["type"] in _CALLS:
        begun["input"] = {}
        text = json.dumps(block["input"]) if block["input"] else ""
        deltas += ({"type": "input_json_delta", "partial_json": piece} for piece in _pieces(text))
    elif block["type"] in _GROWING:
        key, empty = _GROWING[block["type"]]
        begun[key] = empty
        kind = f"{block['type']}_delta"
        deltas += ({"type": kind, key: piece} for piece in _pieces(block[key] or ""))
        if "citations" in begun:
            begun["citations"] = []
            cited = block["citations"]
            deltas += ({"type": "citations_delta", "citation": citation} for citation in cited)
        if "signature" in begun:
            begun["signature"] = ""
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
    yield {"type": "content_block_start", "index": number, "content_block": begun}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": number, "delta": delta}
    yield {"type": "content_block_stop", "index": number}


def _pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)] or [""]


def _error(type: str, message: str) -> dict[str, Any]:
    error = {"type": type, "message": message, "details": None}
    return {"type": "error", "error": error, "request_id": "req_emulated"}


def _send(exchange: Exchange, answer: HTTPAnswer) -> None:
    exchange.answer(answer.status, answer.body, answer.headers)


def _frame(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\n".encode() + b"data: " + _dumps(event) + b"\n\n"


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
