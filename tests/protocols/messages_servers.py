"""Two servers on loopback: a model that chats, and Anthropic's protocol over it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import llmroute
from llmroute.testing.loopback import Exchange, LoopbackServer, RecordedRequest

MODEL = "openai/chatty"
_JSON = {"content-type": "application/json"}
_SSE = {"content-type": "text/event-stream"}
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 7,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


class ChatServer(LoopbackServer):
    """Speaks OpenAI's protocol and says what the script says, one entry a request."""

    def __init__(self) -> None:
        super().__init__()
        self._script: deque[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]] | None]]
        self._script = deque()
        self.cuts = False
        """Whether streams end before their finish reason."""

    @property
    def options(self) -> dict[str, str]:
        """What leads a call to it."""
        return {"api_base": f"{self.url}/v1", "api_key": "sk-loopback"}

    def script(
        self,
        message: Mapping[str, Any],
        finish_reason: str = "stop",
        *,
        usage: Mapping[str, Any] | None = USAGE,
        deltas: Sequence[Mapping[str, Any]] | None = None,
        **choice: Any,
    ) -> None:
        """Appends an answer. `deltas`: how a stream cuts it; `None`: in small pieces."""
        beside = {} if usage is None else {"usage": dict(usage)}
        whole = {"index": 0, "message": message, "finish_reason": finish_reason, **choice}
        pieces = None if deltas is None else [dict(delta) for delta in deltas]
        self._script.append((whole, beside, pieces))

    def respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        """Answers one request."""
        choice, beside, pieces = self._script.popleft()
        head = {"id": "chat-1", "created": 1_700_000_000, "model": request.json["model"]}
        if not request.json.get("stream"):
            body = {**head, "object": "chat.completion", "choices": [choice], **beside}
            exchange.answer(200, json.dumps(body).encode(), _JSON)
            return
        exchange.begin(_SSE)
        message = choice.pop("message")
        ending = {**choice, "delta": {}}
        begun = {"index": 0, "finish_reason": None}
        choices = [{**begun, "delta": delta} for delta in pieces or _deltas(message)]
        for number, each in enumerate([*choices, ending]):
            if self.cuts and number == len(choices):
                break
            chunk = {**head, "object": "chat.completion.chunk", "choices": [each]}
            exchange.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        else:
            last = {**head, "object": "chat.completion.chunk", "choices": [], **beside}
            exchange.write(b"data: " + json.dumps(last).encode() + b"\n\ndata: [DONE]\n\n")
        exchange.end()


def _deltas(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for key in ("reasoning_content", "content", "refusal"):
        deltas += ({key: piece} for piece in _pieces(message.get(key) or ""))
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = {"name": call["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": function}]})
        for piece in _pieces(call["function"]["arguments"]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    return deltas


def _pieces(text: str) -> list[str]:
    return [text[at : at + 5] for at in range(0, len(text), 5)]


class MessagesServer(LoopbackServer):
    """Serves `/v1/messages` with what `llmroute.messages()` gives at the model behind it."""

    def __init__(self, behind: ChatServer) -> None:
        super().__init__()
        self._behind = behind

    def respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        """Answers one request."""
        asked = request.json
        given = {k: v for k, v in asked.items() if k not in ("model", "messages", "stream")}
        given.update(self._behind.options)
        if not asked.get("stream"):
            answer = llmroute.messages(MODEL, asked["messages"], **given)
            exchange.answer(200, answer.to_json().encode(), _JSON)
            return
        exchange.begin(_SSE)
        with llmroute.messages(MODEL, asked["messages"], stream=True, **given) as stream:
            for event in stream:
                exchange.write(f"event: {event.type}\ndata: {event.to_json()}\n\n".encode())
        exchange.end()
