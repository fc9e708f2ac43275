"""A server that speaks OpenAI's protocol on loopback and always says the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .loopback import Exchange, LoopbackServer, RecordedRequest

_JSON = {"content-type": "application/json"}


class OpenAIServer(LoopbackServer):
    """Answers `/chat/completions`, `/completions` and `/embeddings` under any path.

    Use it in a `with` block; `requests` holds what it was asked.
    """

    def __init__(self, answer: str = "Hello from the loopback server.") -> None:
        super().__init__()
        self.answer = answer
        """What it says, streamed word by word."""

    @property
    def base_url(self) -> str:
        """What to pass as `api_base=`."""
        return f"{self.url}/v1"

    def respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        """Answers one request."""
        asked, path = request.json, request.path.partition("?")[0]
        chat = path.endswith("/chat/completions")
        if path.endswith("/embeddings"):
            self._send(exchange, 200, _embeddings(asked))
        elif not chat and not path.endswith("/completions"):
            error = {"message": f"There is no {path} here.", "type": "not_found"}
            self._send(exchange, 404, {"error": error})
        elif asked.get("stream"):
            exchange.begin({"content-type": "text/event-stream"})
            for chunk in self._chunks(asked, chat):
                exchange.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            exchange.write(b"data: [DONE]\n\n")
            exchange.end()
        else:
            said: dict[str, Any] = {"text": self.answer}
            if chat:
                said = {"message": {"role": "assistant", "content": self.answer}}
            answer = self._shell(asked, "chat.completion" if chat else "text_completion", said)
            self._send(exchange, 200, {**answer, "usage": self._usage()})

    def _chunks(self, asked: dict[str, Any], chat: bool) -> Iterator[dict[str, Any]]:
        kind = "chat.completion.chunk" if chat else "text_completion"
        *most, last = self.answer.split(" ")
        for piece in [*(f"{word} " for word in most), last]:
            said = {"delta": {"role": "assistant", "content": piece}} if chat else {"text": piece}
            yield self._shell(asked, kind, said, None)
        yield self._shell(asked, kind, {"delta": {}} if chat else {"text": ""})
        if (asked.get("stream_options") or {}).get("include_usage"):
            yield {**self._shell(asked, kind, {}), "choices": [], "usage": self._usage()}

    def _shell(
        self, asked: dict[str, Any], kind: str, said: dict[str, Any], reason: str | None = "stop"
    ) -> dict[str, Any]:
        return {
            "id": "loopback-1",
            "object": kind,
            "created": 1_700_000_000,
            "model": asked["model"],
            "choices": [{"index": 0, **said, "finish_reason": reason}],
        }

    def _usage(self) -> dict[str, int]:
        words = len(self.answer.split(" "))
        return {"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1}

    def _send(self, exchange: Exchange, status: int, body: dict[str, Any]) -> None:
        exchange.answer(status, json.dumps(body).encode(), _JSON)


def _embeddings(asked: dict[str, Any]) -> dict[str, Any]:
    inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": [0.0, 1.0]}
            for index in range(len(inputs))
        ],
        "model": asked["model"],
        "usage": {"prompt_tokens": len(inputs), "total_tokens": len(inputs)},
    }
