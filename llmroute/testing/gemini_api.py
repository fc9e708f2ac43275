"""A server that speaks Gemini's generateContent on loopback.

It refuses what Google refuses: fields it does not know, and function calls of an earlier turn that
come back without their signature (https://ai.google.dev/gemini-api/docs/thought-signatures).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .loopback import Exchange, LoopbackServer, RecordedRequest

_JSON = {"content-type": "application/json; charset=UTF-8"}
SIGNATURE = "c2lnbmF0dXJlIG9mIHRoZSBlbXVsYXRvcg=="
"""The signature on the parts of its answers."""
KEY = "gemini-key"
"""The only key it takes, and as a bearer the only token."""

# AI Studio's paths, and those of Vertex AI.
_PATH = re.compile(
    r"/v1beta(1/projects/[^/]+/locations/[^/]+/publishers/google)?"
    r"/models/(?P<model>[^:/]+):(?P<method>\w+)"
)
_BODY = frozenset(
    [
        "cachedContent",
        "contents",
        "generationConfig",
        "labels",
        "safetySettings",
        "serviceTier",
        "systemInstruction",
        "toolConfig",
        "tools",
    ]
)
_PARTS = frozenset(
    [
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "mediaResolution",
        "text",
        "thought",
        "thoughtSignature",
        "toolCall",
        "toolResponse",
        "videoMetadata",
    ]
)


class RefusedError(Exception):
    """What the server answers instead: `args` are the status, Google's name for it, and why."""


class GeminiServer(LoopbackServer):
    """Answers chats and embeddings of any model. Use it in a `with` block.

    It says `answer` after a thought. A request with functions is answered by a call of each, with
    empty arguments, until their results have come.
    """

    def __init__(self, answer: str = "Hello from the loopback server.") -> None:
        super().__init__()
        self.answer = answer
        """What it says, streamed word by word."""

    @property
    def base_url(self) -> str:
        """What to pass as `api_base=`."""
        return f"{self.url}/v1beta"

    def respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        """Answers one request."""
        try:
            self._respond(request, exchange)
        except RefusedError as refusal:
            status, name, why = refusal.args
            error = {"code": status, "message": why, "status": name}
            if status == 400 and why.startswith("API key"):
                kind = "type.googleapis.com/google.rpc.ErrorInfo"
                error["details"] = [{"@type": kind, "reason": "API_KEY_INVALID"}]
            exchange.answer(status, json.dumps({"error": error}, indent=2).encode(), _JSON)

    def _respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        path, _, query = request.path.partition("?")
        bearer = request.headers.get("authorization") == f"Bearer {KEY}"
        if request.headers.get("x-goog-api-key") != KEY and not bearer:
            raise RefusedError(400, "INVALID_ARGUMENT", "API key not valid.")
        found = _PATH.fullmatch(path)
        if found is None:
            raise RefusedError(404, "NOT_FOUND", f"There is no {path} here.")
        method = found["method"]
        if method == "batchEmbedContents":
            vectors = [{"values": _vector(asked)} for asked in request.json["requests"]]
            exchange.answer(200, json.dumps({"embeddings": vectors}).encode(), _JSON)
            return
        if method not in ("generateContent", "streamGenerateContent"):
            raise RefusedError(404, "NOT_FOUND", f"There is no method {method}.")
        _check(request.json)
        model = found["model"]
        pieces = list(self._pieces(request.json))
        if method == "generateContent":
            whole = [part for piece in pieces for part in piece]
            exchange.answer(200, json.dumps(_answer(whole, model, "STOP")).encode(), _JSON)
        elif query != "alt=sse":
            bodies = [_answer(piece, model, "STOP") for piece in pieces]
            exchange.answer(200, json.dumps(bodies).encode(), _JSON)
        else:
            exchange.begin({"content-type": "text/event-stream"})
            for number, piece in enumerate(pieces, 1):
                reason = "STOP" if number == len(pieces) else None
                data = json.dumps(_answer(piece, model, reason)).encode()
                exchange.write(b"data: " + data + b"\r\n\r\n")
            exchange.end()

    def _pieces(self, asked: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """The parts of the answer, as a stream brings them."""
        yield [{"text": "Let me think.", "thought": True}]
        calls = list(_calls(asked))
        for number, name in enumerate(calls):
            signed = {"thoughtSignature": SIGNATURE} if number == 0 else {}
            yield [{"functionCall": {"name": name, "args": {}, "id": f"own-{number}"}, **signed}]
        if not calls:
            *most, last = self.answer.split(" ")
            for piece in [*(f"{word} " for word in most), last]:
                yield [{"text": piece}]
            yield [{"text": "", "thoughtSignature": SIGNATURE}]


def _calls(asked: Mapping[str, Any]) -> Iterator[str]:
    """The names of the functions to call."""
    config = (asked.get("toolConfig") or {}).get("functionCallingConfig") or {}
    last = asked["contents"][-1]["parts"]
    if config.get("mode") == "NONE" or any("functionResponse" in part for part in last):
        return
    allowed = config.get("allowedFunctionNames")
    for tool in asked.get("tools") or ():
        for function in tool.get("functionDeclarations") or ():
            if allowed is None or function["name"] in allowed:
                yield function["name"]


def _answer(parts: Sequence[Mapping[str, Any]], model: str, reason: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    counts = {"promptTokenCount": 7, "candidatesTokenCount": 5, "thoughtsTokenCount": 3}
    return {
        "candidates": [candidate],
        "usageMetadata": {**counts, "totalTokenCount": 15},
        "modelVersion": model,
        "responseId": "loopback-1",
    }


def _check(asked: Mapping[str, Any]) -> None:
    _known(asked, _BODY, "the body")
    for content in asked.get("contents") or ():
        for part in content["parts"]:
            _known(part, _PARTS, "a part")
        calls = [part for part in content["parts"] if "functionCall" in part]
        if content.get("role") == "model" and calls and "thoughtSignature" not in calls[0]:
            raise RefusedError(
                400, "INVALID_ARGUMENT", "A functionCall lacks its thought_signature."
            )
    if not asked.get("contents"):
        raise RefusedError(400, "INVALID_ARGUMENT", "contents are not specified.")


def _known(given: Mapping[str, Any], names: frozenset[str], where: str) -> None:
    for name in given:
        if name not in names:
            raise RefusedError(400, "INVALID_ARGUMENT", f'Unknown name "{name}" in {where}.')


def _vector(asked: Mapping[str, Any]) -> list[float]:
    """A vector with the text's length in it, so that vectors differ."""
    length = asked.get("outputDimensionality") or 2
    text = asked["content"]["parts"][0]["text"]
    return [float(len(text))] + [0.5] * (length - 1)
