"""How many Python functions a call runs: what it costs, without a clock and its noise.

`benchmarks/client.py` measures time; these limits only keep it from creeping up unseen.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from servers import ScriptedServer, chunked

import llmroute
from llmroute.transport.http import sync_connection

MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Tell me about foxes."},
]
BASE = {"id": "c1", "created": 1, "model": "m"}
CHUNKS = 40


def _answer() -> list[bytes]:
    message = {"role": "assistant", "content": "Foxes are small."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = json.dumps({**BASE, "object": "chat.completion", "choices": choices}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return [head.encode() + b"\r\n\r\n" + body]


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    payload = {**BASE, "object": "chat.completion.chunk", "choices": choices}
    return chunked(b"data: " + json.dumps(payload).encode() + b"\n\n")


EVENT = _event({"content": "word"})


def _stream(chunks: int) -> list[bytes]:
    kind = b"content-type: text/event-stream\r\ntransfer-encoding: chunked"
    events = [EVENT] * (chunks - 1) + [_event({}, "stop"), chunked(b"data: [DONE]\n\n")]
    return [b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n\r\n", *events, b"0\r\n\r\n"]


def _count(run: Callable[[], object]) -> int:
    """How many Python functions `run` calls in this thread, once it is warm."""
    for _ in range(3):
        run()
    calls = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    gc.collect()  # what earlier tests have left has callbacks of its own
    gc.disable()
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


def test_a_call() -> None:
    with ScriptedServer(_answer()) as server:

        def call() -> None:
            where = {"api_base": server.url, "api_key": "k"}
            assert llmroute.completion("openai/m", MESSAGES, **where).text == "Foxes are small."

        assert _count(call) <= 170


def test_an_async_call() -> None:
    with ScriptedServer(_answer()) as server, asyncio.Runner() as runner:

        async def call() -> None:
            where = {"api_base": server.url, "api_key": "k"}
            answer = await llmroute.acompletion("openai/m", MESSAGES, **where)
            assert answer.text == "Foxes are small."

        assert _count(lambda: runner.run(call())) <= 300  # with the loop's own


def test_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The difference between a long stream and a short one, per chunk, each arriving alone."""
    monkeypatch.setattr(sync_connection, "READ_BYTES", len(EVENT))

    def stream(chunks: int) -> int:
        with ScriptedServer([b"".join(_stream(chunks))]) as server:

            def call() -> None:
                where = {"api_base": server.url, "api_key": "k"}
                given = llmroute.completion("openai/m", MESSAGES, stream=True, **where)
                assert sum(1 for _ in given) == chunks

            return _count(call)

    assert (stream(2 * CHUNKS) - stream(CHUNKS)) / CHUNKS <= 40
