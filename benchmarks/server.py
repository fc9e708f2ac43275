"""The server of the benchmarks: canned answers over raw asyncio, so that it costs next to nothing.

`python server.py CORE` prints its port and serves until its stdin ends. A body with `"stream":
true` gets a stream of events, one every `PACE` seconds as from a fast model, or all at once if the
path begins with `/burst`. `GET /stats` tells how many connections and requests there were.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

CHUNKS = 1000
"""Events in a stream, without the last ones."""
PACE = 0.0003
"""Seconds between two events. Long enough for one to be read before the next comes."""

_BASE = {"id": "chatcmpl-1", "created": 1700000000, "model": "bench"}
_USAGE = {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 52}
_TEXT = "The quick brown fox jumps over the lazy dog, and then it does so again. " * 3


def _head(kind: str, framing: str) -> bytes:
    lines = [
        "HTTP/1.1 200 OK",
        "date: Sat, 01 Jan 2000 00:00:00 GMT",
        "server: benchmark",
        f"content-type: {kind}",
        "x-request-id: req_0123456789",
        "openai-processing-ms: 12",
        framing,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _event(choices: list[object], **more: object) -> bytes:
    payload = {**_BASE, "object": "chat.completion.chunk", "choices": choices, **more}
    data = b"data: " + json.dumps(payload).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def _whole() -> bytes:
    message = {"role": "assistant", "content": _TEXT}
    choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
    payload = {**_BASE, "object": "chat.completion", "choices": choices, "usage": _USAGE}
    body = json.dumps(payload).encode()
    return _head("application/json", f"content-length: {len(body)}") + body


def _delta(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _event([{"index": 0, "delta": delta, "finish_reason": finish}])


ANSWER = _whole()
STREAM_HEAD = _head("text/event-stream", "transfer-encoding: chunked")
EVENTS = [
    _delta({"role": "assistant", "content": ""}),
    *[_delta({"content": f" word{i}"}) for i in range(CHUNKS - 2)],
    _delta({}, "stop"),
    _event([], usage=_USAGE),
    b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
]

connections = requests = 0


class Benchmark(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        global connections
        connections += 1
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        _, found, length = head.partition(b"content-length: ")
        size = int(length.split(b"\r\n")[0]) if found else 0
        if len(self._buffer) < end + 4 + size:
            return
        body = bytes(self._buffer[end + 4 :])
        self._buffer.clear()
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        global requests
        if head.startswith(b"get /stats"):
            stats = b"%d %d" % (connections, requests)
            self._transport.write(_head("text/plain", f"content-length: {len(stats)}") + stats)
            return
        requests += 1
        if b'"stream":true' not in body[-200:].replace(b" ", b"") + body[:200].replace(b" ", b""):
            self._transport.write(ANSWER)
        elif head.startswith(b"post /burst"):
            self._transport.write(STREAM_HEAD + b"".join(EVENTS))
        else:
            self._transport.write(STREAM_HEAD)
            self._next(0)

    def _next(self, number: int) -> None:
        if number < len(EVENTS) and not self._transport.is_closing():
            self._transport.write(EVENTS[number])
            asyncio.get_running_loop().call_later(PACE, self._next, number + 1)


async def main() -> None:
    os.sched_setaffinity(0, {int(sys.argv[1])})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Benchmark, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
