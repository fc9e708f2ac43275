"""What Python prints of a mistake: the caller's line and what is wrong, all on one screen."""

from __future__ import annotations

import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import CLOSE, ScriptedServer, chunked

import llmroute

ROOT = Path(__file__).parents[1]
OPENAI = '"openai/m", "Hi", api_key="k", num_retries=0'
MISSING = "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BEGUN = (
    b'data: {"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
)

BEFORE_SENDING = [
    'completion("gpt-4o", "Hi")',
    'completion("opnai/gpt-4o", "Hi")',
    'completion("openai/gpt-4o", "Hi")',
    'completion("openai", "Hi")',
    'completion("openai/m", b"Hi", api_key="k")',
    'completion("openai/m", [], api_key="k")',
    'completion("openai/m", [{"content": "Hi"}], api_key="k")',
    'completion("openai/m", "Hi", api_key="k", temprature=1)',
    'completion("openai/m", "Hi", api_key="k", max_tokens="100")',
    'completion("openai/m", "Hi", api_key="k", response_format="json_object")',
    'completion("openai/m", "Hi", api_key="k", tools={})',
    'completion("openai/m", "Hi", api_key="k", timeout=0)',
    'completion("openai/m", "Hi", api_key="k", num_retries=-1)',
    'completion("openai/m", "Hi", api_key=5)',
    'completion("openai/m", "Hi", api_key="k", api_base="ftp://host/v1")',
    'completion("openai/m", "Hi", api_key="k", client=3)',
    'completion("openai/m", "Hi", api_key="k", stream=True, timeout=-1)',
    'completion("llama_cpp/model.gguf", "Hi")',
    'text_completion("openai/m", None, api_key="k")',
    'embedding("openai/m", [], api_key="k")',
    'rerank("openai/m", "Hi", ["a"], api_key="k")',
    'responses("opnai/m", "Hi")',
    'responses("openai/m", None, api_key="k")',
    'get_model_info("openai/gpt-99")',
]
LOCAL = [
    'completion("llamacpp//nowhere/model.gguf", "Hi")',
    'completion("llamacpp//nowhere/model.gguf", "Hi", stream=True)',
    'completion(f"llamacpp/{GGUF}", "Hi", model_kwargs={"nctx": 8})',
    'completion(f"llamacpp/{GGUF}", "Hi", temperature=-1)',
    'completion(f"llamacpp/{GGUF}", "Hi", grammar="root ::= (")',
    'completion("llamacpp/" + __file__, "Hi")',
    'warm_up("/nowhere/model.gguf")',
    'load_session("/nowhere/model.gguf", "/nowhere/session")',
    'token_counter("llamacpp//nowhere/model.gguf", text="Hi")',
]


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("LLMROUTE_DEBUG", raising=False)


@pytest.fixture(scope="module")
def deaf() -> Iterator[str]:
    """The base URL of a port where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def printed(folder: Path, line: str, **names: object) -> list[str]:
    """What Python prints when `line` fails in a script that has it below its imports."""
    script = folder / "script.py"
    script.write_text(f"from llmroute import *\n{line}\n")
    code = compile(script.read_text(), str(script), "exec")
    try:
        exec(code, {"__file__": str(script), **names})
    except llmroute.LLMRouteError as error:
        own = error.__traceback__
        assert own is not None
        error.__traceback__ = own.tb_next  # without this function's line
        return "".join(traceback.format_exception(error)).splitlines()
    raise AssertionError(f"{line} did not fail")


@pytest.mark.parametrize("line", BEFORE_SENDING)
def test_mistake_before_sending(line: str, tmp_path: Path) -> None:
    lines = printed(tmp_path, line)
    assert len(lines) == 4, "\n".join(lines)
    assert lines[2].strip() == line
    assert lines[3].startswith("llmroute.errors.")


@pytest.mark.native
@pytest.mark.parametrize("line", LOCAL)
def test_mistake_with_a_local_model(line: str, tmp_path: Path, tiny_random: Path) -> None:
    lines = printed(tmp_path, line, GGUF=tiny_random)
    assert len(lines) == 4, "\n".join(lines)
    assert lines[2].strip() == line


@pytest.mark.parametrize("stream", [False, True])
def test_error_of_a_server(stream: bool, tmp_path: Path) -> None:
    with ScriptedServer([MISSING.encode()]) as server:
        call = f'completion({OPENAI}, api_base="{server.url}", stream={stream})'
        lines = printed(tmp_path, call)
    assert len(lines) == 4, "\n".join(lines)
    assert "NotFoundError: 404" in lines[-1]


@pytest.mark.parametrize("stream", [False, True])
def test_refused_connection_keeps_its_cause(stream: bool, tmp_path: Path, deaf: str) -> None:
    lines = printed(tmp_path, f'completion({OPENAI}, api_base="{deaf}", stream={stream})')
    assert len(lines) == 8, "\n".join(lines)
    assert lines[0].startswith("ConnectionRefusedError")
    assert "APIConnectionError: Nothing listens" in lines[-1]


def test_stream_that_breaks_off(tmp_path: Path) -> None:
    with ScriptedServer([HEAD + chunked(BEGUN), CLOSE]) as server:
        call = f'for _ in completion({OPENAI}, api_base="{server.url}", stream=True): pass'
        lines = printed(tmp_path, call)
    assert len(lines) == 14, "\n".join(lines)  # with two causes, four lines each
    assert sum("llmroute/transport" in line for line in lines) == 1
    assert "StreamInterruptedError" in lines[-1]


def test_async_call_shows_none_of_our_files(tmp_path: Path, deaf: str) -> None:
    call = f'import asyncio; asyncio.run(acompletion({OPENAI}, api_base="{deaf}"))'
    shown = "\n".join(printed(tmp_path, call))
    assert "asyncio" in shown
    assert "llmroute/" not in shown.replace("script.py", "")


def test_debug_keeps_the_whole_chain(
    tmp_path: Path, deaf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMROUTE_DEBUG", "1")
    lines = printed(tmp_path, f'completion({OPENAI}, api_base="{deaf}")')
    assert len(lines) > 20
    assert any("drive.py" in line for line in lines)
    assert sum(line.startswith("Traceback") for line in lines) == 2


def test_context_of_the_caller_stays_whole() -> None:
    """What the caller was handling when the call failed is theirs, with its lines."""

    def wrong() -> None:
        raise KeyError("mine")

    def call_meanwhile() -> None:
        try:
            wrong()
        except KeyError:
            llmroute.completion("gpt-4o", "Hi")

    with pytest.raises(llmroute.BadRequestError) as caught:
        call_meanwhile()
    context: Any = caught.value.__context__
    assert isinstance(context, KeyError)
    assert [frame.name for frame in traceback.extract_tb(context.__traceback__)][-1] == "wrong"


def test_mistake_as_python_itself_prints_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text('import llmroute\nllmroute.completion("gpt-4o", "Hi")\n')
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=ROOT)
    assert len(done.stderr.splitlines()) == 4, done.stderr
