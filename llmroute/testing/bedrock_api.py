"""An emulator of Bedrock's Converse API.

A real HTTP server on loopback that answers `/model/{id}/converse` and `converse-stream`, and
`invoke` with scripted HTTP answers. It checks signatures and bearer keys, and refuses what the
service refuses in requests:

    with BedrockEmulator() as server:
        server.script("Hello!", failure(429, "ThrottlingException"), [{"text": "Hi"}])
        completion("bedrock/amazon.nova-lite-v1:0", "Hi", **server.place)
        server.requests[0].json["messages"]

Written from https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
the pages beside it (2026-11-28). Token counts are counts of words, unless a `Says` names others.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .bedrock_checks import RefusedError, check_access, check_request
from .event_frames import event_frame, exception_frame
from .llama_api_script import HTTPAnswer, sample, words
from .loopback import Exchange, LoopbackServer, RecordedRequest

__all__ = [
    "BedrockEmulator",
    "HTTPAnswer",
    "Says",
    "Step",
    "event_stream",
    "exception_event",
    "failure",
]

Block: TypeAlias = Mapping[str, Any]
JSON_HEADERS = {"content-type": "application/json", "x-amzn-requestid": "emulated-request"}
STREAM_HEADERS = {**JSON_HEADERS, "content-type": "application/vnd.amazon.eventstream"}
_PATH = re.compile(r"/model/([^/]+)/(converse|converse-stream|invoke)")


@dataclass(frozen=True, slots=True)
class Says:
    """What the emulated model says: content blocks, and what else the answer holds."""

    blocks: Sequence[Block]
    stop_reason: str | None = None
    """`None`: `"tool_use"` after a call, else `"end_turn"`."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Counts, which win over those of words."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other fields of the answer, such as `trace`; those of a stream's `metadata`."""


Step: TypeAlias = str | Sequence[Block] | Says | HTTPAnswer
"""How one request is answered; a string is one block of text."""


class BedrockEmulator(LoopbackServer):
    """The emulator; a context manager.

    Answers come from `script()`; without one, it says the last user message back, gives JSON that
    fits the schema asked for, and calls the tool that `toolChoice` demands. A request that it
    refuses uses up no step of the script.
    """

    region = "us-east-1"
    key_id = "AKIAEMULATED"
    secret = "emulated/secret+key"
    session_token = "IQoJb3JpZ2luX2VtdWxhdG9y"
    api_key = "ABSKQmVkcm9ja0VtdWxhdG9y"

    def __init__(self) -> None:
        super().__init__()
        self._steps: deque[Step] = deque()
        self._lock = threading.Lock()

    @property
    def place(self) -> dict[str, str]:
        """The arguments of a call that reach it, with credentials to sign with."""
        return {
            "api_base": self.url,
            "aws_region_name": self.region,
            "aws_access_key_id": self.key_id,
            "aws_secret_access_key": self.secret,
            "aws_session_token": self.session_token,
        }

    def script(self, *steps: Step) -> None:
        """Appends answers for the coming requests, one each."""
        with self._lock:
            self._steps.extend(steps)

    def respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        """Answers one request."""
        try:
            check_access(
                request,
                region=self.region,
                secret=self.secret,
                session_token=self.session_token,
                api_key=self.api_key,
            )
            found = _PATH.fullmatch(request.path)
            if found is None:
                raise RefusedError(404, "UnknownOperationException", "There is no such operation.")
            if found[2] != "invoke":
                check_request(request.json)
        except RefusedError as refused:
            _send(exchange, failure(refused.status, refused.type, str(refused)))
            return
        with self._lock:
            step = self._steps.popleft() if self._steps else unscripted(request.json)
        if isinstance(step, HTTPAnswer):
            _send(exchange, step)
        elif found[2] == "converse-stream":
            exchange.begin(STREAM_HEADERS)
            for data in event_stream(step, request.json):
                exchange.write(data)
            exchange.end()
        else:
            exchange.answer(200, _dumps(whole(step, request.json)), JSON_HEADERS)


def failure(status: int, type: str, message: str = "emulated failure") -> HTTPAnswer:
    """An error as the service sends it."""
    headers = {**JSON_HEADERS, "x-amzn-errortype": f"{type}:http://internal.amazon.com/coral/"}
    return HTTPAnswer(status, _dumps({"message": message}), headers)


def exception_event(type: str, message: str = "emulated failure", **more: Any) -> bytes:
    """An error as the service sends it in a stream that has begun."""
    return exception_frame(type, _dumps({"message": message, **more}))


def whole(step: str | Sequence[Block] | Says, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer."""
    says = _says(step)
    return {
        "output": {"message": {"role": "assistant", "content": list(says.blocks)}},
        "stopReason": says.stop_reason or _reason(says.blocks),
        "usage": _usage(says, body),
        "metrics": {"latencyMs": 1},
        **says.more,
    }


def event_stream(step: str | Sequence[Block] | Says, body: Mapping[str, Any]) -> list[bytes]:
    """The frames of a streamed answer, as they are sent."""
    says = _says(step)
    reason = says.stop_reason or _reason(says.blocks)
    usage = {"usage": _usage(says, body), "metrics": {"latencyMs": 1}, **says.more}
    blocks = enumerate(says.blocks)
    return [
        _event("messageStart", {"role": "assistant"}),
        *(_event(*event) for number, block in blocks for event in _block(number, block)),
        _event("messageStop", {"stopReason": reason}),
        _event("metadata", usage),
    ]


def unscripted(body: Mapping[str, Any]) -> Step:
    """The answer when the script has none."""
    match body.get("outputConfig"):
        case {"textFormat": {"structure": {"jsonSchema": {"schema": str(text)}}}}:
            schema = json.loads(text)
            return json.dumps(sample(schema, schema))
    if (spec := _demanded(body)) is not None:
        schema = spec["inputSchema"]["json"]
        use = {"toolUseId": "tooluse_1", "name": spec["name"]}
        return [{"toolUse": {**use, "input": sample(schema, schema) or {}}}]
    last = body["messages"][-1]["content"]
    return "You said: " + " ".join(b.get("text", f"[{next(iter(b))}]") for b in last)


def _demanded(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    config = body.get("toolConfig") or {}
    choice = config.get("toolChoice") or {}
    specs: list[Block] = [
        tool["toolSpec"] for tool in config.get("tools") or () if "toolSpec" in tool
    ]
    if "tool" in choice:
        return next(spec for spec in specs if spec["name"] == choice["tool"]["name"])
    return specs[-1] if "any" in choice else None


def _says(step: str | Sequence[Block] | Says) -> Says:
    if isinstance(step, Says):
        return step
    return Says([{"text": step}] if isinstance(step, str) else step)


def _reason(blocks: Sequence[Block]) -> str:
    called = any("toolUse" in block and "type" not in block["toolUse"] for block in blocks)
    return "tool_use" if called else "end_turn"


def _usage(says: Says, body: Mapping[str, Any]) -> dict[str, Any]:
    asked = len(words(json.dumps(body["messages"])))
    said = len(words(json.dumps(list(says.blocks))))
    return {"inputTokens": asked, "outputTokens": said, "totalTokens": asked + said, **says.usage}


def _block(number: int, block: Block) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of one block: a start for what is not text or reasoning, then deltas."""
    start, deltas = _pieces_of(block)
    index = {"contentBlockIndex": number}
    if start is not None:
        yield "contentBlockStart", {**index, "start": start}
    for delta in deltas:
        yield "contentBlockDelta", {**index, "delta": delta}
    yield "contentBlockStop", index


def _pieces_of(block: Block) -> tuple[Block | None, list[Block]]:
    match block:
        case {"text": str(text)}:
            return None, [{"text": piece} for piece in _pieces(text)]
        case {"citationsContent": {"content": content, "citations": citations}}:
            texts = [{"text": piece} for part in content for piece in _pieces(part["text"])]
            return None, [*texts, *({"citation": citation} for citation in citations)]
        case {"reasoningContent": {"reasoningText": {"text": str(text), **rest}}}:
            pieces: list[Block] = [{"text": piece} for piece in _pieces(text)]
            pieces += ({"signature": rest["signature"]} for _ in rest)
            return None, [{"reasoningContent": piece} for piece in pieces]
        case {"reasoningContent": reasoning}:
            return None, [{"reasoningContent": reasoning}]
        case {"toolUse": {"input": input, **use}}:
            text = json.dumps(input) if input else ""
            return {"toolUse": use}, [{"toolUse": {"input": p}} for p in _pieces(text)]
        case {"toolResult": {"content": content, **result}}:
            return {"toolResult": result}, [{"toolResult": content}]
    return block, []


def _pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)] or [""]


def _event(name: str, payload: Mapping[str, Any]) -> bytes:
    # `p` only fills up, so that the length of a frame does not tell that of its text.
    return event_frame(name, _dumps({**payload, "p": "abcdefgh"}))


def _send(exchange: Exchange, answer: HTTPAnswer) -> None:
    exchange.answer(answer.status, answer.body, answer.headers)


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
