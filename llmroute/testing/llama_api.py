"""An emulator of Meta's Llama API, whose public preview ended on 2026-07-06.

A real HTTP server on loopback that speaks both surfaces, the native `/v1` and the
OpenAI-compatible `/compat/v1`, with their quirks, their refusals and, on demand, faults:

    with LlamaAPIEmulator() as server:
        server.script("Hello!", failure(429, retry_after=1), Reply("Hel", fault="cut"))
        completion(MODEL, "Hi", api_base=server.compat_url, api_key=server.api_key)
        server.requests[0].json["messages"]

The answers have the shapes of recordings; where no recording exists, the module that makes them
says so. Token counts are counts of words, and every answer says so in the header
`x-emulated-usage`.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .llama_api_checks import RefusedError, check_chat, check_compat, check_native
from .llama_api_script import (
    Disconnect,
    Fault,
    HTTPAnswer,
    Reply,
    Script,
    Step,
    ToolUse,
    failure,
    finished,
    problem,
    redirect,
    untold,
)
from .llama_api_surfaces import CREATED, Compat, Native, Surface
from .loopback import Exchange, LoopbackServer, RecordedRequest

__all__ = [
    "MODELS",
    "Disconnect",
    "Fault",
    "HTTPAnswer",
    "LlamaAPIEmulator",
    "RecordedRequest",
    "Reply",
    "Script",
    "Step",
    "ToolUse",
    "failure",
    "redirect",
]

MODELS = (
    "Llama-3.3-70B-Instruct",
    "Llama-3.3-8B-Instruct",
    "Llama-4-Maverick-17B-128E-Instruct-FP8",
    "Llama-4-Scout-17B-16E-Instruct-FP8",
)
"""The models the API had, in the order it listed them."""

_SURFACES: dict[str, Surface] = {"/v1": Native(), "/compat/v1": Compat()}
_CHECKS = {"/v1": check_native, "/compat/v1": check_compat}
_JSON = {"content-type": "application/json", "x-emulated-usage": "words"}
_SSE = {"content-type": "text/event-stream", "x-emulated-usage": "words"}
_BOOM = problem(500, "boom")


class LlamaAPIEmulator(LoopbackServer):
    """The emulator; a context manager.

    Answers come from `script()`; without one, it says the last user message back, gives JSON that
    fits the schema asked for, and calls the tool that `tool_choice` demands. A request that the
    surface refuses uses up no step of the script.
    """

    def __init__(
        self,
        *,
        api_key: str | None = "sesame-llama",
        models: Sequence[str] = MODELS,
        sunset: Literal["forbidden", "unreachable"] | None = None,
    ) -> None:
        """Prepares a server; it runs from the `with` block's start, or from `start()`.

        `api_key` is the only key it takes (`None`: any, or none). `sunset` lets it behave like the
        retired host: `"forbidden"` answers 403 to everything, `"unreachable"` aborts every
        connection.
        """
        super().__init__()
        self.api_key = api_key
        self.models = tuple(models)
        self.sunset = sunset
        self._steps: deque[Script] = deque()
        self._repeated: Script | None = None
        self._answered = 0
        self._lock = threading.Lock()

    @property
    def native_url(self) -> str:
        """The base URL of the native surface."""
        return f"{self.url}/v1"

    @property
    def compat_url(self) -> str:
        """The base URL of the OpenAI-compatible surface."""
        return f"{self.url}/compat/v1"

    def script(self, *steps: Script, repeat: bool = False) -> None:
        """Appends answers for the coming chat requests, one each.

        A string is the text of a `Reply`; a function gets the `RecordedRequest` and returns the
        answer. `repeat`: the last one also answers every request after it.
        """
        with self._lock:
            self._steps.extend(steps)
            if repeat:
                self._repeated = steps[-1]

    def respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        """Answers one request."""
        if self.sunset == "unreachable":
            exchange.reset()
            return
        try:
            self._route(request, exchange)
        except RefusedError as refused:
            _send(exchange, failure(refused.status, refused.detail))

    def _route(self, request: RecordedRequest, exchange: Exchange) -> None:
        if self.sunset == "forbidden":
            raise RefusedError(403, "The requested model is not available for your application")
        expected = f"Bearer {self.api_key}"
        if self.api_key is not None and request.headers.get("authorization") != expected:
            raise RefusedError(401, "Invalid or missing API key")
        path = request.path.partition("?")[0]
        prefix = next((base for base in _SURFACES if path.startswith(f"{base}/")), "")
        what = (request.method, path.removeprefix(prefix))
        if not prefix:
            raise _not_found(path)
        if what == ("POST", "/chat/completions"):
            self._chat(prefix, request, exchange)
        elif what == ("POST", "/moderations") and prefix == "/v1":
            _send_json(exchange, _moderation(_body(request)))
        elif what == ("GET", "/models"):
            listing: dict[str, Any] = {"data": [_model(name) for name in self.models]}
            if prefix == "/compat/v1":
                listing["object"] = "list"
            _send_json(exchange, listing)
        elif what[0] == "GET" and what[1].removeprefix("/models/") in self.models:
            _send_json(exchange, _model(what[1].removeprefix("/models/")))
        else:
            raise _not_found(path)

    def _chat(self, prefix: str, request: RecordedRequest, exchange: Exchange) -> None:
        body = _body(request)
        check_chat(body, self.models)
        _CHECKS[prefix](body)
        number, step = self._next(request, body)
        exchange.pause(step.delay)
        if isinstance(step, Disconnect):
            exchange.reset()
        elif isinstance(step, HTTPAnswer):
            _send(exchange, step)
        elif body.get("stream"):
            _stream(exchange, _SURFACES[prefix], number, body, finished(step, body))
        else:
            answer = _SURFACES[prefix].answer(number, body["model"], finished(step, body))
            _send_broken(exchange, json.dumps(answer, ensure_ascii=False).encode(), step.fault)

    def _next(
        self, request: RecordedRequest, body: Mapping[str, Any]
    ) -> tuple[int, Reply | HTTPAnswer | Disconnect]:
        with self._lock:
            self._answered += 1
            number = self._answered
            script = self._steps.popleft() if self._steps else self._repeated
        step = script(request) if callable(script) else script
        if step is None:
            step = untold(body)
        return number, Reply(step) if isinstance(step, str) else step


def _body(request: RecordedRequest) -> Any:
    try:
        return request.json
    except ValueError:
        raise RefusedError(400, "the body is not JSON") from None


def _not_found(path: str) -> RefusedError:
    return RefusedError(404, f"Path '{path}' was not found")


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "created": CREATED, "object": "model", "owned_by": "Meta"}


def _moderation(body: Mapping[str, Any]) -> dict[str, Any]:
    """Flags what speaks of bombs. A clean result has null categories, as recorded."""
    results = []
    for message in body.get("messages") or ():
        flagged = "bomb" in str(message.get("content"))
        categories = ["indiscriminate-weapons"] if flagged else None
        results.append({"flagged": flagged, "flagged_categories": categories})
    return {"model": body.get("model", "Llama-Guard"), "results": results}


def _send(exchange: Exchange, answer: HTTPAnswer) -> None:
    exchange.answer(answer.status, answer.body, answer.headers)


def _send_json(exchange: Exchange, body: Mapping[str, Any]) -> None:
    exchange.answer(200, json.dumps(body, ensure_ascii=False).encode(), _JSON)


def _send_broken(exchange: Exchange, body: bytes, fault: Fault | None) -> None:
    """A plain answer, with its fault."""
    half = body[: len(body) // 2]
    if fault in ("truncated", "invalid_json"):
        body = half
    if fault in ("cut", "reset"):
        exchange.begin(_JSON)
        exchange.write(half)
        exchange.cut() if fault == "cut" else exchange.reset()
    elif fault in (None, "truncated", "invalid_json"):
        exchange.answer(200, body, _JSON)
    else:
        _send(exchange, failure(500, f"emulator: the fault {fault} needs stream=true"))


def _stream(
    exchange: Exchange, surface: Surface, number: int, body: Mapping[str, Any], reply: Reply
) -> None:
    """A streamed answer, with its fault."""
    content, ending, marker = surface.events(number, body, reply)
    if reply.fault == "no_finish":
        ending = surface.without_reason(ending)
    frames = [_frame(payload) for payload in content]
    if reply.fault in (None, "no_finish", "second_end"):
        end = [_frame(payload) for payload in ending] + ([marker] if marker else [])
        frames += end * (2 if reply.fault == "second_end" else 1)
    else:
        frames = frames[: len(frames) // 2 + 1] + _broken_rest(reply.fault, _frame(ending[0]))
    exchange.begin(_SSE)
    _write_all(exchange, frames, reply.gap)
    if reply.fault == "cut":
        exchange.cut()
    elif reply.fault == "reset":
        exchange.reset()
    else:
        exchange.end()


def _broken_rest(fault: Fault | None, last: bytes) -> list[bytes]:
    """What follows the first half of a broken stream's content."""
    if fault == "truncated":
        return [last[: len(last) // 2]]
    if fault == "invalid_json":
        return [b'data: {"id": \n\n']
    if fault == "bare_error":
        return [_BOOM + b"\n\n"]
    if fault == "error_event":
        return [b"event: error\ndata: " + _BOOM + b"\n\n"]
    return []


def _frame(payload: Any) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def _write_all(exchange: Exchange, frames: Sequence[bytes], gap: float) -> None:
    for position, frame in enumerate(frames):
        if position and gap:
            exchange.pause(gap)
        exchange.write(frame)
