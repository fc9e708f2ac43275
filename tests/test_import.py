"""What `import llmroute` loads, and what the first call loads on top."""

from __future__ import annotations

import json
import subprocess
import sys

from servers import ScriptedServer

ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
)
HEAVY = ["httpx", "httpcore", "h11", "anyio", "asyncio", "ssl", "tiktoken", "tenacity", "jinja2"]
HEAVY += ["llama_cpp", "numpy", "llmroute.engine", "llmroute.registry", "llmroute.testing"]


def _loaded_after(code: str, *names: str) -> list[str]:
    """Which of `names` a fresh interpreter has loaded after `code`."""
    report = f"import sys, json; print(json.dumps([n for n in {names!r} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    loaded: list[str] = json.loads(done.stdout)
    return loaded


def test_the_import_loads_next_to_nothing() -> None:
    assert _loaded_after("import llmroute", *HEAVY, "pydantic", "llmroute.api") == []


def test_a_call_loads_only_what_it_needs() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
    with ScriptedServer([head + ANSWER]) as server:
        where = {"api_base": server.url, "api_key": "k"}
        call = (
            "import llmroute\n"
            f"answer = llmroute.completion('openai/m', 'hi', **{where!r})\n"
            "assert answer.text == 'hi'"
        )
        assert _loaded_after(call, *HEAVY) == []
