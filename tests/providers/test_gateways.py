"""The rows: each reaches the right path with the right key and body, over a real socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

import llmroute
from llmroute.providers import get_provider
from llmroute.providers.gateways import ALIASES, GATEWAYS
from llmroute.testing.openai_api import OpenAIServer
from llmroute.types.chat_request import CHAT
from llmroute.types.request import Unsupported
from llmroute.types.samplers import LOCAL_PARAMS
from tests.servers import ScriptedServer

CHECKED = re.compile(r"\d{4}-\d\d-\d\d")


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer("One two three") as server:
        yield server


def base_at(server: OpenAIServer, name: str) -> str:
    """The row's own base URL, on the loopback server."""
    return server.url + urlsplit(GATEWAYS[name].base_url or "/v1").path


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_row_says_where_its_facts_are_from(name: str) -> None:
    row = GATEWAYS[name]
    assert row.source.startswith("https://") or name == "llmroute_proxy"
    assert CHECKED.fullmatch(row.checked)
    assert row.base_env
    assert row.key_env
    if row.base_url:
        parts = urlsplit(row.base_url)
        assert not row.base_url.endswith("/")
        assert parts.scheme == ("http" if parts.hostname == "localhost" else "https")


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_rows_quirks_are_about_parameters_there_are(name: str) -> None:
    row = GATEWAYS[name]
    known = CHAT.param_names | {"best_of", "echo"}
    assert row.unsupported_params <= known
    assert row.extra_params <= LOCAL_PARAMS
    assert set(row.renamed_params) <= known
    assert set(row.operations) <= {"chat", "text", "embedding", "responses"}
    assert "chat" in row.operations


@pytest.mark.parametrize("name", [*GATEWAYS, *ALIASES])
def test_a_prefix_leads_to_its_row(name: str) -> None:
    assert get_provider(name) is GATEWAYS[ALIASES.get(name, name)]


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_chat_call_on_the_wire(
    name: str, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, base = GATEWAYS[name], base_at(server, name)
    monkeypatch.setenv(row.base_env[0], base)
    monkeypatch.setenv(row.key_env[0], "sk-own")
    answer = llmroute.completion(f"{name}/some/model", "Hi", max_completion_tokens=9)
    assert answer.text == "One two three"
    request = server.requests[-1]
    assert (request.method, request.path) == ("POST", f"{urlsplit(base).path}/chat/completions")
    assert request.headers["authorization"] == "Bearer sk-own"
    limit = row.renamed_params.get("max_completion_tokens", "max_completion_tokens")
    assert request.json == {
        "model": "some/model",
        "messages": [{"role": "user", "content": "Hi"}],
        limit: 9,
    }


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_stream_on_the_wire(name: str, server: OpenAIServer) -> None:
    with llmroute.completion(
        f"{name}/m", "Hi", stream=True, api_base=base_at(server, name), api_key="sk-1"
    ) as stream:
        assert "".join(chunk.text for chunk in stream) == "One two three"
        usage = stream.get_final_completion().usage
    asked = server.requests[-1].json
    if GATEWAYS[name].stream_usage:
        assert asked["stream_options"] == {"include_usage": True}
        assert usage
        assert usage.completion_tokens == 3
    else:
        assert "stream_options" not in asked


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_other_operations_go_out_or_are_refused(name: str, server: OpenAIServer) -> None:
    place: dict[str, Any] = {"api_base": base_at(server, name), "api_key": "sk-1"}
    calls = {
        "text": (lambda: llmroute.text_completion(f"{name}/m", "Once", **place), "/completions"),
        "embedding": (lambda: llmroute.embedding(f"{name}/m", ["a", "b"], **place), "/embeddings"),
    }
    for operation, (call, path) in calls.items():
        if operation in GATEWAYS[name].operations:
            call()
            assert server.requests[-1].path == urlsplit(place["api_base"]).path + path
        else:
            with pytest.raises(llmroute.UnsupportedOperationError, match=f"{name} has no"):
                call()


@pytest.mark.parametrize("name", GATEWAYS)
@pytest.mark.parametrize("unsupported", ["raise", "drop", "pass"])
def test_samplers_beyond_openais_follow_the_row(
    name: str, unsupported: Unsupported, server: OpenAIServer
) -> None:
    def ask() -> dict[str, Any]:
        llmroute.completion(
            f"{name}/m",
            "Hi",
            top_k=5,
            unsupported=unsupported,
            api_base=base_at(server, name),
            api_key="sk-1",
        )
        asked: dict[str, Any] = server.requests[-1].json
        return asked

    if "top_k" in GATEWAYS[name].extra_params or unsupported == "pass":
        assert ask()["top_k"] == 5
    elif unsupported == "drop":
        with pytest.warns(UserWarning, match=f"{name} does not take 'top_k'"):
            assert "top_k" not in ask()
    else:
        with pytest.raises(llmroute.UnsupportedParamsError, match=f"{name} does not take 'top_k'"):
            ask()


@pytest.mark.parametrize("name", [name for name, row in GATEWAYS.items() if row.base_path])
@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/"])
def test_a_server_of_ones_own_is_found_with_and_without_v1(
    name: str, tail: str, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GATEWAYS[name].base_env[0], server.url + tail)
    assert asyncio.run(llmroute.acompletion(f"{name}/m", "Hi")).text == "One two three"
    assert server.requests[-1].path == "/v1/chat/completions"
    assert "authorization" not in server.requests[-1].headers


def test_a_retried_call_of_openai_has_the_same_idempotency_key() -> None:
    busy = [b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 2\r\n\r\n{}"]
    with ScriptedServer(busy) as server, pytest.raises(llmroute.ServiceUnavailableError):
        llmroute.completion("openai/m", "Hi", api_base=server.url, api_key="k-1", num_retries=1)
    first, second = (request.headers["idempotency-key"] for request in server.requests)
    assert first == second
    assert len(first) > 20


def test_mistral_gets_its_own_names(server: OpenAIServer) -> None:
    llmroute.completion("mistral/m", "Hi", seed=3, api_base=server.base_url, api_key="sk-1")
    assert server.requests[-1].json["random_seed"] == 3


def test_the_server_of_these_tests_speaks_openais_protocol(server: OpenAIServer) -> None:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-1", max_retries=0) as client:
        hello: Any = [{"role": "user", "content": "Hi"}]
        chat = client.chat.completions.create(model="m", messages=hello)
        assert chat.choices[0].message.content == "One two three"
        chunks = list(
            client.chat.completions.create(
                model="m", messages=hello, stream=True, stream_options={"include_usage": True}
            )
        )
        said = [c.choices[0].delta.content or "" for c in chunks if c.choices]
        assert said == ["One ", "two ", "three", ""]
        assert chunks[-1].usage
        assert client.completions.create(model="m", prompt="x").choices[0].text == "One two three"
        vectors = client.embeddings.create(model="m", input=["a", "b"], encoding_format="float")
        assert [v.embedding for v in vectors.data] == [[0.0, 1.0]] * 2
        with pytest.raises(openai.NotFoundError):
            client.models.list()
