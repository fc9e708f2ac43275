"""How far a reader walks to follow one call: files, functions and lines that a warm call runs.

    python benchmarks/reading.py

`transport/http/` counts as one file, its door, whatever runs behind it: who follows a call need not
know how HTTP is spoken. Lines are those of the functions that run, without docstrings, comments and
blank lines.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import llmroute

ROOT = Path(llmroute.__file__).parent
DOOR = ROOT / "transport" / "http"
ANSWERS = {
    "/chat/completions": {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi"},
                "finish_reason": "stop",
            }
        ],
    },
    "/embeddings": {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    },
}


class Handler(BaseHTTPRequestHandler):
    """Answers every call with what its path asks for."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps(ANSWERS[self.path]).encode()
        kind = "application/json"
        if asked.get("stream"):
            body, kind = self.events(), "text/event-stream"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def events(self) -> bytes:
        base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        deltas: list[tuple[dict[str, str], str | None]] = [
            ({"content": "a"}, None),
            ({"content": "b"}, None),
            ({}, "stop"),
        ]
        chunks = [
            {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
            for delta, reason in deltas
        ]
        lines = [*map(json.dumps, chunks), "[DONE]"]
        return "".join(f"data: {line}\n\n" for line in lines).encode()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@functools.cache
def _source(path: str) -> tuple[list[str], dict[int, int]]:
    """A file's lines, and for the first line of each function that of its body's first code."""
    text = Path(path).read_text()
    bodies = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            bodies[first] = body[0].lineno if body else node.end_lineno or node.lineno
    return text.splitlines(), bodies


def _lines(code: CodeType) -> int:
    lines, bodies = _source(code.co_filename)
    first = bodies.get(code.co_firstlineno, code.co_firstlineno)
    last = max((line for *_, line in code.co_lines() if line), default=first)
    kept = (line.strip() for line in lines[first - 1 : last])
    return sum(1 for line in kept if line and not line.startswith("#"))


def walk(call: Callable[[], object]) -> set[CodeType]:
    """The functions of llmroute that a warm `call` runs in this thread."""
    for _ in range(3):
        call()
    seen: set[CodeType] = set()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        ours = frame.f_code.co_filename.startswith(str(ROOT))
        if event == "call" and ours and not _behind_the_door(frame.f_back):
            seen.add(frame.f_code)

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return {code for code in seen if not code.co_name.startswith("<")}


def _behind_the_door(frame: FrameType | None) -> bool:
    """Whether `transport/http/` is among the callers."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(str(DOOR)):
            return True
        frame = frame.f_back
    return False


def figures(codes: set[CodeType]) -> tuple[int, int, int]:
    """Files, functions and lines, with all of `transport/http/` as one file and one function."""
    door = {code for code in codes if code.co_filename.startswith(str(DOOR))}
    read = codes - door
    files = {code.co_filename for code in read}
    return len(files) + bool(door), len(read) + bool(door), sum(map(_lines, read))


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = {"api_base": f"http://127.0.0.1:{server.server_port}", "api_key": "none"}
    with asyncio.Runner() as runner:
        calls: dict[str, Callable[[], object]] = {
            "plain": lambda: llmroute.completion("openai/m", "Hello", **where),
            "plain, async": lambda: runner.run(llmroute.acompletion("openai/m", "Hi", **where)),
            "streamed": lambda: list(llmroute.completion("openai/m", "Hi", stream=True, **where)),
            "embedding": lambda: llmroute.embedding("openai/m", "Hello", **where),
        }
        print(f"{'call':<14}{'files':>7}{'functions':>11}{'lines':>7}")
        for name, call in calls.items():
            files, functions, lines = figures(walk(call))
            print(f"{name:<14}{files:>7}{functions:>11}{lines:>7}")
        if "-v" in sys.argv:
            for code in sorted(
                walk(calls["plain"]), key=lambda c: (c.co_filename, c.co_firstlineno)
            ):
                print(Path(code.co_filename).relative_to(ROOT), code.co_name, _lines(code))
    server.shutdown()


if __name__ == "__main__":
    main()
