"""The mistakes of the first hour: each is an error of ours that says what to do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import llmroute
from llmroute import TimeLimits
from llmroute.testing.llama_api import LlamaAPIEmulator
from llmroute.testing.openai_api import OpenAIServer

ROOT = Path(__file__).parents[1]
Call = Callable[..., Any]


@pytest.fixture(params=["sync", "async", "sync stream", "async stream"])
def call(request: pytest.FixtureRequest) -> Call:
    """`completion()` in all its forms; all fail alike, and streams before their first chunk."""
    kind, stream = request.param.split()[0], "stream" in request.param

    def sync(*args: Any, **given: Any) -> Any:
        return llmroute.completion(*args, **given, stream=stream, num_retries=0)

    def wait(*args: Any, **given: Any) -> Any:
        return asyncio.run(llmroute.acompletion(*args, **given, stream=stream, num_retries=0))

    return sync if kind == "sync" else wait


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


def failing(expected: type[llmroute.LLMRouteError], call: Call, *args: Any, **given: Any) -> str:
    """The message of the error, which must be exactly of the class `expected`."""
    with pytest.raises(llmroute.LLMRouteError) as caught:
        call(*args, **given)
    assert type(caught.value) is expected, caught.value
    return str(caught.value)


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("groq/llama-3.3-70b-versatile", "GROQ_API_KEY"),
        ("meta_llama/Llama-3.3-8B-Instruct", "LLAMA_API_KEY"),
        ("meta/muse-spark-1.1", "MODEL_API_KEY"),
    ],
)
def test_no_key(model: str, variable: str, call: Call) -> None:
    told = failing(llmroute.AuthenticationError, call, model, "Hi")
    assert variable in told
    assert "api_key=" in told


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("openia/gpt-4o", "Did you mean 'openai'?"),
        ("OpenAI/gpt-4o", "Did you mean 'openai'?"),
        ("meta-llama/Llama-3.3-8B", "Did you mean 'meta_llama'?"),
        ("lmstudio/x", "Did you mean 'lm_studio'?"),
        ("nothing_like_it/x", "Known are: anthropic, "),
        ("gpt-4o", "provider/model, such as 'openai/gpt-4o'"),
        ("Llama-3.3-8B-Instruct", "such as 'meta_llama/Llama-3.3-8B-Instruct'"),
        ("something", "such as 'openai/gpt-4o'"),
        ("openai", "write openai/ and the name of one of its models"),
        ("openai/", "has no model name"),
        ("", "provider/model"),
        ("/models/x.gguf", "'llamacpp//models/x.gguf'"),
        ("./x.gguf", "'llamacpp/./x.gguf'"),
    ],
)
def test_a_model_string_that_leads_nowhere(model: str, hint: str, call: Call) -> None:
    assert hint in failing(llmroute.BadRequestError, call, model, "Hi", api_key="sk-1")


def test_arguments_the_wrong_way_round(call: Call) -> None:
    hello = [{"role": "user", "content": "Hi"}]
    assert "model must be" in failing(llmroute.BadRequestError, call, hello, "openai/gpt-4o")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"temprature": 1}, "'temperature'"),
        ({"maxTokens": 5}, "'max_tokens'"),
        ({"apikey": "x"}, "'api_key'"),
        ({"api_url": "http://h"}, "extra_body="),
    ],
)
@pytest.mark.parametrize("unsupported", ["raise", "drop"])
def test_a_mistyped_parameter(
    given: dict[str, Any], hint: str, unsupported: str, call: Call
) -> None:
    told = failing(
        llmroute.UnsupportedParamsError,
        call,
        "openai/gpt-4o",
        "Hi",
        unsupported=unsupported,
        **{"api_key": "sk-1", **given},
    )
    assert hint in told


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": "hot"},
        {"max_tokens": 1.5},
        {"timeout": 0},
        {"timeout": "soon"},
        {"num_retries": -1},
        {"extra_body": "x"},
        {"extra_headers": {"x": 1}},
        {"model_kwargs": ["n_ctx"]},
        {"unsupported": "ignore"},
        {"api_base": 8080},
        {"api_key": 5},
    ],
)
def test_a_value_that_cannot_be(given: dict[str, Any], server: OpenAIServer) -> None:
    place = {"api_base": server.base_url, "api_key": "sk-1"}
    told = failing(
        llmroute.BadRequestError, llmroute.completion, "openai/m", "Hi", **{**place, **given}
    )
    assert next(iter(given)) in told


@pytest.mark.parametrize(
    "messages", [[], None, {"role": "user", "content": "Hi"}, ["Hi"], [{"content": "Hi"}], [{}], 5]
)
def test_messages_that_are_none(messages: Any, call: Call) -> None:
    told = failing(llmroute.BadRequestError, call, "openai/gpt-4o", messages, api_key="sk-1")
    assert "message" in told


@pytest.mark.parametrize(
    "base", ["localhost:8080", "//h", "http://", "http://h:99999", "http://[::1", "ftp://h"]
)
def test_a_wrong_base_url_is_named_without_showing_it(base: str, call: Call) -> None:
    told = failing(llmroute.BadRequestError, call, "openai/m", "Hi", api_base=base, api_key="k")
    shown = "api_base (ftp://h ...)" if base == "ftp://h" else "api_base"
    assert f"{shown} is not a URL to call: it must begin with http:// or https://" in told


@pytest.mark.parametrize("name", ["timeout", "temperature", "unsupported", "seed"])
def test_a_key_in_the_wrong_argument_is_not_shown(name: str, call: Call) -> None:
    key = "sk-in-the-wrong-place"
    told = failing(llmroute.BadRequestError, call, "openai/m", "Hi", api_key="k", **{name: key})
    assert f"{name}=<str>" in told
    assert key not in told


@pytest.mark.parametrize(
    "timeout",
    [TimeLimits(idle=-1), -1, 10**5000, True, float("nan")],
    ids=["idle", "negative", "huge", "true", "nan"],
)
def test_a_wrong_time_limit_is_named(timeout: Any, call: Call) -> None:
    told = failing(llmroute.BadRequestError, call, "openai/m", "Hi", api_key="k", timeout=timeout)
    assert "timeout" in told
    assert "seconds above zero" in told


def test_nothing_listens(call: Call) -> None:
    given = {"api_base": "http://127.0.0.1:1"}
    told = failing(llmroute.APIConnectionError, call, "ollama/llama3.2", "Hi", **given)
    assert "Nothing listens at 127.0.0.1:1" in told
    assert "http://127.0.0.1:1/v1/chat/completions" in told


def test_https_to_a_server_that_has_none(call: Call, server: OpenAIServer) -> None:
    base = server.base_url.replace("http:", "https:")
    told = failing(
        llmroute.APIConnectionError, call, "openai/m", "Hi", api_base=base, api_key="sk-1"
    )
    assert "api_base" in told


def test_a_path_that_is_not_there() -> None:
    with LlamaAPIEmulator() as server:
        base = f"{server.url}/v9"
        with pytest.raises(llmroute.NotFoundError) as caught:
            llmroute.embedding("openai/m", ["a"], api_base=base, api_key=server.api_key)
    assert caught.value.url == f"{base}/embeddings"


def test_a_fragment_in_a_base_url(server: OpenAIServer) -> None:
    with pytest.raises(llmroute.BadRequestError, match="api_base has a fragment") as caught:
        llmroute.completion("openai/m", "Hi", api_base=f"{server.url}/v1#", api_key="sk-1")
    assert caught.value.url == f"{server.url}/v1"
    assert server.requests == []


def test_user_and_password_in_a_url_are_not_shown(server: OpenAIServer) -> None:
    base = server.base_url.replace("//", "//me:sesame@")
    with pytest.raises(llmroute.LLMRouteError) as caught:
        llmroute.completion("openai/m", "Hi", api_base=f"{base}#", num_retries=0)
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert "sesame" not in shown


def test_a_query_in_a_base_url_stays_behind_the_path(server: OpenAIServer) -> None:
    base = f"{server.base_url}/?api-version=1"
    assert llmroute.completion("openai/m", "Hi", api_base=base, api_key="sk-1").text
    assert server.requests[-1].path == "/v1/chat/completions?api-version=1"


@pytest.mark.parametrize("key", ["sk-\n1", "sk 1\n2", "ключ"])
def test_a_key_that_no_header_can_carry(key: str, call: Call, server: OpenAIServer) -> None:
    told = failing(
        llmroute.BadRequestError, call, "openai/m", "Hi", api_base=server.base_url, api_key=key
    )
    assert "authorization" in told
    assert key.strip() not in told


def test_an_empty_key_is_no_key(call: Call) -> None:
    told = failing(llmroute.AuthenticationError, call, "openai/gpt-4o", "Hi", api_key="")
    assert "OPENAI_API_KEY" in told


def test_the_warning_about_a_dropped_parameter_names_the_callers_line(
    server: OpenAIServer,
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        llmroute.completion(
            "openai/m", "Hi", top_k=5, drop_params=True, api_base=server.base_url, api_key="k"
        )
    assert [Path(w.filename).name for w in caught] == [Path(__file__).name]


# Models in this process.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "llama-3.2-1b.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    (tmp_path / "page.gguf").write_bytes(b"<!DOCTYPE html><html>")
    (tmp_path / "empty.gguf").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected", "hint"),
    [
        ("nowhere.gguf", llmroute.NotFoundError, "nowhere.gguf"),
        ("llama-3.2-1.gguf", llmroute.NotFoundError, "Did you mean"),
        ("page.gguf", llmroute.ModelFileError, "not a GGUF file"),
        ("empty.gguf", llmroute.ModelFileError, "empty"),
        ("llama-3.2-1b.gguf", llmroute.ModelFileError, "cut off"),
        (".", llmroute.ModelFileError, "directory"),
    ],
)
@pytest.mark.native
def test_a_file_that_is_no_model(
    name: str, expected: type[llmroute.LLMRouteError], hint: str, folder: Path, call: Call
) -> None:
    told = failing(expected, call, f"llamacpp/{folder / name}", "Hi")
    assert hint in told
    assert str(folder / name) in told


BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
import llmroute
model = "llamacpp/" + sys.argv[1]
for use in (
    lambda: llmroute.completion(model, "Hi"),
    lambda: llmroute.completion(model, "Hi", stream=True),
    lambda: llmroute.embedding(model, "Hi"),
    lambda: llmroute.token_counter(model, text="Hi"),
    lambda: llmroute.warm_up(model),
):
    try:
        use()
    except llmroute.MissingExtraError as error:
        assert isinstance(error, ImportError)
        print(error)
"""


@pytest.mark.parametrize("blocked", [["llama_cpp"], ["jinja2"], ["llama_cpp", "jinja2", "numpy"]])
def test_a_missing_extra_has_its_command(blocked: list[str], tiny_random: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKED.format(blocked=blocked), tiny_random],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.count("pip install 'llmroute[llamacpp]'") == 5, done.stderr
