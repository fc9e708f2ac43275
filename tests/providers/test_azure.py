"""Azure OpenAI over loopback: where a call goes, what opens the door, and what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

import llmroute
from llmroute import (
    AuthenticationError,
    BadRequestError,
    ContentPolicyViolationError,
    UnsupportedParamsError,
)
from llmroute.prepare import ProviderOptions
from llmroute.providers import get_provider
from llmroute.providers.azure import DEFAULT_VERSION
from llmroute.resolve import resolve
from llmroute.testing.openai_api import OpenAIServer
from tests.servers import ScriptedServer

FILTERED = {
    "error": {
        "message": "The response was filtered.",
        "type": None,
        "param": "prompt",
        "code": None,
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
        },
    }
}
Call = Callable[..., Any]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    for option in get_provider("azure").options:
        for variable in option.env:
            monkeypatch.delenv(variable, raising=False)
    with OpenAIServer("One two three") as server:
        monkeypatch.setenv("AZURE_API_BASE", server.url)
        monkeypatch.setenv("AZURE_API_KEY", "azure-key")
        yield server


def ask(**given: Any) -> str:
    return llmroute.completion("azure/my deployment", "Hi", num_retries=0, **given).text


def ask_async(**given: Any) -> str:
    async def run() -> str:
        answer = await llmroute.acompletion("azure/my deployment", "Hi", num_retries=0, **given)
        return answer.text

    return asyncio.run(run())


@pytest.mark.parametrize("call", [ask, ask_async])
def test_build_names_the_deployment_in_the_path_and_the_key_in_api_key(
    call: Call, server: OpenAIServer
) -> None:
    assert call() == "One two three"
    sent = server.requests[-1]
    path = "/openai/deployments/my%20deployment/chat/completions"
    assert sent.path == f"{path}?api-version={DEFAULT_VERSION}"
    assert sent.headers["api-key"] == "azure-key"
    assert "authorization" not in sent.headers
    assert sent.json["model"] == "my deployment"


@pytest.mark.parametrize(
    ("base", "version", "path"),
    [
        ("", "2024-10-21", "/openai/deployments/d{}?api-version=2024-10-21"),
        ("/openai", None, "/openai/deployments/d{}?api-version=" + DEFAULT_VERSION),
        ("/?api-version=2024-06-01", None, "/openai/deployments/d{}?api-version=2024-06-01"),
        ("?subscription=s", None, "/openai/deployments/d{}?subscription=s&api-version="
         + DEFAULT_VERSION),
        ("/openai/deployments/other{}?api-version=2024-06-01", None,
         "/openai/deployments/other{}?api-version=2024-06-01"),
        ("/openai/deployments/other", "2024-10-21",
         "/openai/deployments/other{}?api-version=2024-10-21"),
        ("/openai/v1", None, "/openai/v1{}"),
        ("/openai/v1/", "2024-10-21", "/openai/v1{}"),
        ("/openai/v1{}?api-version=preview", None, "/openai/v1{}?api-version=preview"),
        ("", "v1", "/openai/v1{}"),
        ("/openai", "latest", "/openai/v1{}"),
        ("", "preview", "/openai/v1{}?api-version=preview"),
        ("/gateway", "v1", "/gateway/openai/v1{}"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("operation", ["chat", "text", "embedding"])
def test_build_url(
    base: str, version: str | None, path: str, operation: str, server: OpenAIServer
) -> None:
    below = {"chat": "/chat/completions", "text": "/completions", "embedding": "/embeddings"}
    place = {"api_base": server.url + base.format(below[operation]), "api_version": version}
    if operation == "chat":
        llmroute.completion("azure/d", "Hi", **place)
    elif operation == "text":
        llmroute.text_completion("azure/d", "Hi", **place)
    else:
        llmroute.embedding("azure/d", ["Hi"], **place)
    assert server.requests[-1].path == path.format(below[operation])


def test_build_agrees_with_the_official_client(server: OpenAIServer) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=server.url, api_key="azure-key", api_version="2024-10-21"
    ) as client:
        client.chat.completions.create(model="d", messages=[{"role": "user", "content": "Hi"}])
    llmroute.completion("azure/d", "Hi", api_version="2024-10-21")
    theirs, ours = server.requests
    assert (ours.path, ours.json) == (theirs.path, theirs.json)
    assert ours.headers["api-key"] == theirs.headers["api-key"]


def test_api_version_from_the_environment(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_API_VERSION", "2024-02-01")
    ask()
    ask(api_version="2024-10-21")
    ask(model_kwargs={"api_version": "2023-05-15"})
    versions = [request.path.rpartition("=")[2] for request in server.requests]
    assert versions == ["2024-02-01", "2024-10-21", "2023-05-15"]


@pytest.mark.parametrize("unsupported", ["raise", "drop", "pass"])
def test_options_are_never_in_the_body(unsupported: Any, server: OpenAIServer) -> None:
    ask(
        api_version="2024-10-21",
        azure_ad_token="a-token",
        azure_ad_token_provider=None,
        unsupported=unsupported,
    )
    assert server.requests[-1].json.keys() == {"model", "messages"}


def test_options_are_for_their_provider_only(server: OpenAIServer) -> None:
    with pytest.raises(UnsupportedParamsError, match="api_version"):
        llmroute.completion("openai/m", "Hi", api_base=server.url, api_key="k", api_version="v1")
    assert server.requests == []
    assert llmroute.completion("azure/m", "Hi", mock_response="x", api_version="v1").text == "x"


def test_options_have_types_and_names_that_are_known() -> None:
    with pytest.raises(BadRequestError, match="api_version must be a text, not int"):
        ask(api_version=2)
    names = {option.name for option in get_provider("azure").options}
    assert names <= ProviderOptions.__annotations__.keys()


def test_token_goes_in_place_of_the_key(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(azure_ad_token="a-token")
    monkeypatch.delenv("AZURE_API_KEY")
    monkeypatch.setenv("AZURE_AD_TOKEN", "token-of-the-environment")
    ask()
    given, found = (request.headers for request in server.requests)
    assert given["authorization"] == "Bearer a-token"
    assert found["authorization"] == "Bearer token-of-the-environment"
    assert "api-key" not in given
    assert "api-key" not in found


def test_token_of_the_environment_goes_to_own_hosts_only() -> None:
    environ = {"AZURE_AD_TOKEN": "a-token-of-mine"}
    home = resolve("azure/d", api_base="https://x.openai.azure.com", environ=environ)
    away = resolve("azure/d", api_base="https://x.example", environ=environ)
    assert home.model_kwargs == {"azure_ad_token": "a-token-of-mine"}
    assert away.model_kwargs == {}


@pytest.mark.parametrize("call", [ask, ask_async])
def test_token_provider_is_called_for_each_request(call: Call, server: OpenAIServer) -> None:
    numbers = iter(range(10))
    for _ in range(2):
        call(azure_ad_token_provider=lambda: f"token-{next(numbers)}-of-entra")
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer token-0-of-entra", "Bearer token-1-of-entra"]


def test_token_provider_is_called_again_for_a_retry() -> None:
    numbers = iter(range(10))
    busy = http(503, b'{"error": {"message": "busy"}}', b"retry-after: 0\r\n")
    with ScriptedServer([busy], [http(200, _completion())]) as server:
        answer = llmroute.completion(
            "azure/d",
            "Hi",
            api_base=server.url,
            azure_ad_token_provider=lambda: f"token-{next(numbers)}",
        )
    assert answer.text == "Hi"
    assert [r.headers["authorization"] for r in server.requests] == [
        "Bearer token-0",
        "Bearer token-1",
    ]


@pytest.mark.parametrize("token", [None, "", 3])
def test_token_provider_that_gives_none(token: Any, server: OpenAIServer) -> None:
    with pytest.raises(AuthenticationError, match="azure_ad_token_provider"):
        ask(azure_ad_token_provider=lambda: token)
    assert server.requests == []


def test_token_does_not_appear_in_errors() -> None:
    said = json.dumps({"error": {"message": "The token very-secret-token is stale."}}).encode()
    with (
        ScriptedServer([http(401, said)]) as server,
        pytest.raises(AuthenticationError) as caught,
    ):
        ask(api_base=server.url, azure_ad_token_provider=lambda: "very-secret-token")
    assert "very-secret-token" not in str(vars(caught.value)) + str(caught.value)


def test_without_key_and_token_the_error_names_both(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_API_KEY")
    with pytest.raises(AuthenticationError) as caught:
        ask()
    for name in ("AZURE_API_KEY", "AZURE_AD_TOKEN", "api_key=", "azure_ad_token_provider="):
        assert name in caught.value.message
    assert server.requests == []


def test_extra_headers_may_open_the_door(server: OpenAIServer) -> None:
    ask(extra_headers={"Api-Key": "theirs"})
    ask(extra_headers={"Authorization": "Bearer theirs"})
    first, second = (request.headers for request in server.requests)
    assert first["api-key"] == "theirs"
    assert second["authorization"] == "Bearer theirs"
    assert "api-key" not in second


@pytest.mark.parametrize("code", [None, "content_filter", "invalid_request"])
def test_error_of_the_content_filter(code: str | None) -> None:
    body = {"error": {**FILTERED["error"], "code": code}}
    with (
        ScriptedServer([http(400, json.dumps(body).encode())]) as server,
        pytest.raises(ContentPolicyViolationError) as caught,
    ):
        ask(api_base=server.url, api_key="k")
    assert caught.value.status_code == 400
    assert caught.value.body == body


def test_error_of_the_content_filter_in_a_stream() -> None:
    first = _event(choices=[_choice(delta={"role": "assistant", "content": "H"})])
    with ScriptedServer(
        [http(200, first + b"data: " + json.dumps(FILTERED).encode() + b"\n\n")]
    ) as server:
        stream = llmroute.completion(
            "azure/d", "Hi", stream=True, api_base=server.url, api_key="k", num_retries=0
        )
        with pytest.raises(llmroute.StreamInterruptedError) as caught, stream:
            list(stream)
    assert isinstance(caught.value.__cause__, ContentPolicyViolationError)
    assert caught.value.partial.text == "H"


def test_stream_with_results_of_the_content_filter() -> None:
    prompt = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]
    offsets = {"check_offset": 0, "start_offset": 0, "end_offset": 5}
    events = [
        {"id": "", "object": "", "created": 0, "model": "", "choices": [],
         "prompt_filter_results": prompt},
        _chunk(choices=[_choice(delta={"role": "assistant", "content": "Hello"})]),
        _chunk(choices=[_choice(delta={}, finish_reason="stop")]),
        {"id": "", "object": "", "created": 0, "model": "",
         "choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": offsets}]},
        _chunk(choices=[], usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
    ]  # fmt: skip
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    with (
        ScriptedServer([http(200, body + b"data: [DONE]\n\n")]) as server,
        llmroute.completion(
            "azure/d", "Hi", stream=True, api_base=server.url, api_key="k"
        ) as stream,
    ):
        answer = stream.get_final_completion()
    assert (answer.id, answer.model, answer.text) == ("chatcmpl-1", "gpt-4o-2024", "Hello")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer["prompt_filter_results"] == prompt


def http(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\n%bcontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)


def _completion() -> bytes:
    message = {"role": "assistant", "content": "Hi"}
    whole = {**_chunk(choices=[]), "object": "chat.completion"}
    return json.dumps(
        {**whole, "choices": [_choice(message=message, finish_reason="stop")]}
    ).encode()


def _chunk(**fields: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
    return {**head, "model": "gpt-4o-2024", **fields}


def _choice(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": None, **fields}


def _event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(_chunk(**fields)).encode() + b"\n\n"
