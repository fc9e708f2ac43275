"""`meta_llama/`: every recording replays through the provider, out and in; and its refusals."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmroute.deployments import Deployment
from llmroute.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    ProviderRetiredError,
    UnsupportedParamsError,
)
from llmroute.providers import get_provider
from llmroute.providers.base import HTTPCall
from llmroute.providers.params import DroppedParamsWarning
from llmroute.types.chat import ChatCompletion
from llmroute.types.chat_request import ChatRequest

WIRE = Path(__file__).parent.parent / "wire" / "llama_api"
MODEL = "Llama-4-Maverick-17B-128E-Instruct-FP8"
HELLO = [{"role": "user", "content": "Hello"}]
COMPAT = Deployment(
    provider="meta_llama", model=MODEL, api_base="http://llama.test/compat/v1", api_key="sesame"
)
NATIVE = replace(COMPAT, api_base="http://llama.test/v1", model_kwargs={"surface": "native"})
METAS = replace(COMPAT, api_base="https://api.llama.com/compat/v1")

provider = get_provider("meta_llama")


def recording(name: str) -> Any:
    return json.loads((WIRE / name).read_text())


def sent(deployment: Deployment = COMPAT, **request: Any) -> Any:
    request = {"messages": HELLO, **request}
    call = provider.build(ChatRequest(model=f"meta_llama/{MODEL}", **request), deployment)
    assert isinstance(call, HTTPCall)
    return json.loads(call.body)


def answered(body: Any, **request: Any) -> ChatCompletion:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    chat = ChatRequest(model=f"meta_llama/{MODEL}", messages=HELLO, **request)
    answer = provider.parse(raw, chat)
    assert isinstance(answer, ChatCompletion)
    return answer


# What goes out


def openai_request(body: dict[str, Any]) -> dict[str, Any]:
    """A recorded body as the arguments that should produce it."""
    params = {k: v for k, v in body.items() if k not in ("model", "messages")}
    return {"messages": [openai_message(message) for message in body["messages"]], "params": params}


def openai_message(message: dict[str, Any]) -> dict[str, Any]:
    """The assistant's recorded native message is what our own answer to it is made of."""
    if message["role"] != "assistant":
        return message
    answer = answered({"completion_message": message})
    return answer.choices[0].message.to_dict()


REQUESTS = [
    "native/01_text_curl.json",
    "native/02_text_with_id.json",
    "native/03_image.json",
    "native/04_json_by_prompt.json",
    "native/06_tool_turn1.json",
    "native/07_tool_turn2.json",
    "native/08_structured_output.json",
    "compat/01_text.json",
    "compat/02_text.json",
]


@pytest.mark.parametrize("name", REQUESTS)
def test_recorded_requests_go_out(name: str) -> None:
    body = recording(name)["request"]["body"]
    deployment = NATIVE if name.startswith("native") else COMPAT
    assert sent(deployment, **openai_request(body)) == body


def test_the_translators_request_goes_out() -> None:
    body = recording("compat/03_usage_translator.json")["request"]
    scout = Deployment(provider="meta_llama", model=body["model"], api_base=COMPAT.api_base)
    assert sent(scout, **openai_request(body)) == body


def test_the_retired_services_urls_were_the_recorded_ones() -> None:
    for name in REQUESTS:
        url = recording(name)["request"]["url"]
        native = name.startswith("native")
        deployment = Deployment(
            provider="meta_llama",
            model=MODEL,
            api_base=provider.base_url,
            api_key="sesame",
            model_kwargs={"surface": "native"} if native else {},
        )
        call = provider.build(ChatRequest(model="m", messages=HELLO), deployment)
        assert isinstance(call, HTTPCall)
        assert call.url == url
        assert call.headers["authorization"] == "Bearer sesame"
        assert "sesame" not in repr(call)


@pytest.mark.parametrize(
    ("base", "options", "url"),
    [
        ("http://h/compat/v1", {}, "http://h/compat/v1/chat/completions"),
        ("http://h/v1", {}, "http://h/v1/chat/completions"),
        ("http://h/compat/v1", {"surface": "native"}, "http://h/v1/chat/completions"),
        ("http://h/v1", {"surface": "compat"}, "http://h/v1/chat/completions"),
        ("http://h/v1", {"surface": "native"}, "http://h/v1/chat/completions"),
        ("http://h", {}, "http://h/compat/v1/chat/completions"),
        ("http://h", {"surface": "native"}, "http://h/v1/chat/completions"),
        ("http://h/llama", {}, "http://h/llama/chat/completions"),
        ("http://h/llama", {"surface": "native"}, "http://h/llama/chat/completions"),
    ],
)
@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_surface(base: str, options: dict[str, str], url: str, limit: str) -> None:
    deployment = Deployment(provider="meta_llama", model=MODEL, api_base=base, model_kwargs=options)
    request = ChatRequest(model="m", messages=HELLO, params={limit: 5})
    call = provider.build(request, deployment)
    assert isinstance(call, HTTPCall)
    assert call.url == url
    native = options.get("surface") == "native"
    assert json.loads(call.body)["max_completion_tokens" if native else limit] == 5


def test_an_unknown_surface_is_refused() -> None:
    deployment = Deployment(
        provider="meta_llama",
        model=MODEL,
        api_base="http://h/v1",
        model_kwargs={"surface": "natif"},
    )
    with pytest.raises(BadRequestError, match='neither "native" nor "compat"'):
        provider.build(ChatRequest(model="m", messages=HELLO), deployment)


def test_the_compat_surface_gets_no_null() -> None:
    history = answered(recording("compat/01_text.json")["response"]["body"])
    message = history.choices[0].message.to_dict()
    assert message["id"] == history.id
    tool_call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    silent = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [tool_call]}
    body = sent(messages=[*HELLO, message, silent])
    assert body["messages"][1] == {"role": "assistant", "content": message["content"]}
    assert body["messages"][2] == {"role": "assistant", "content": "", "tool_calls": [tool_call]}


def test_native_messages() -> None:
    tool_call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = sent(
        NATIVE,
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "assistant", "content": [{"type": "text", "text": "a"}], "refusal": None},
            {"role": "assistant", "content": None, "tool_calls": [tool_call], "id": "gone"},
            {"role": "tool", "content": [{"type": "text", "text": "b"}], "tool_call_id": "1"},
        ],
        params={"top_k": 3, "repetition_penalty": 1.1, "user": "u", "top_p": 0.5},
        stream=True,
    )
    assert body == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "assistant", "content": "a"},
            {
                "role": "assistant",
                "content": {"type": "text", "text": ""},
                "stop_reason": "tool_calls",
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "content": [{"type": "text", "text": "b"}], "tool_call_id": "1"},
        ],
        "top_k": 3,
        "repetition_penalty": 1.1,
        "user": "u",
        "top_p": 0.5,
        "stream": True,
    }


def tool(parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


ONE_TYPE = {"type": "object", "properties": {"a": {"type": "integer"}}}
UNIONS = [
    ({"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, "f.a"),
    ({"properties": {"a": {"type": ["string", "null"]}}}, "f.a"),
    ({"properties": {"a": {"items": {"oneOf": []}}}}, "f.a.items"),
    ({"properties": {"a": {"allOf": [{"properties": {"b": {"anyOf": []}}}]}}}, "f.a.b"),
    ({"$defs": {"D": {"properties": {"b": {"anyOf": []}}}}}, "f.D.b"),
]


@pytest.mark.parametrize(
    ("params", "param", "words"),
    [
        ({"tools": [tool(ONE_TYPE)], "tool_choice": "required"}, "tool_choice", "auto"),
        (
            {
                "tools": [tool(ONE_TYPE)],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            },
            "tool_choice",
            "auto",
        ),
        ({"response_format": {"type": "json_object"}}, "response_format", "json_schema"),
        *[({"tools": [tool(schema)]}, "tools", where) for schema, where in UNIONS],
    ],
)
def test_what_metas_host_refused_is_refused_for_it_alone(
    params: Any, param: str, words: str
) -> None:
    with pytest.raises(UnsupportedParamsError, match=words) as caught:
        sent(METAS, params=params)
    assert caught.value.param == param
    with pytest.warns(DroppedParamsWarning, match=param):
        assert param not in sent(METAS, params=params, unsupported="drop")
    assert sent(METAS, params=params, unsupported="pass")[param] == params[param]
    assert sent(COMPAT, params=params)[param] == params[param]


def test_a_property_may_be_named_like_a_keyword() -> None:
    params = {"tools": [tool({"properties": {"anyOf": {"type": "string"}, "type": {}}})]}
    assert sent(METAS, params=params)["tools"] == params["tools"]


@pytest.mark.parametrize(
    ("params", "left"),
    [
        ({"tools": [tool(ONE_TYPE)], "tool_choice": "none"}, {}),
        ({"tool_choice": "auto"}, {}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"tools": [tool(ONE_TYPE)], "tool_choice": "auto"},
            {"tools": [tool(ONE_TYPE)], "tool_choice": "auto"},
        ),
    ],
)
def test_metas_host_is_not_asked_what_goes_without_saying(params: Any, left: Any) -> None:
    assert sent(METAS, params=params) == {"model": MODEL, "messages": HELLO, **left}


@pytest.mark.parametrize(
    "params",
    [
        {"tools": [tool(ONE_TYPE)], "tool_choice": "none"},
        {"response_format": {"type": "text"}},
    ],
)
def test_another_host_is_asked_what_the_caller_says(params: Any) -> None:
    assert sent(COMPAT, params=params) == {"model": MODEL, "messages": HELLO, **params}


@pytest.mark.parametrize("name", ["stop", "seed", "n", "logprobs", "parallel_tool_calls"])
def test_what_the_native_surface_refuses(name: str) -> None:
    with pytest.raises(UnsupportedParamsError, match=f"'{name}'"):
        sent(NATIVE, params={name: 2})


def test_native_response_formats_and_tool_choices() -> None:
    with pytest.raises(UnsupportedParamsError, match="json_schema"):
        sent(NATIVE, params={"response_format": {"type": "json_object"}})
    for choice in ("none", "auto", "required", {"type": "function", "function": {"name": "f"}}):
        params = {"tools": [tool(UNIONS[0][0])], "tool_choice": choice}
        assert sent(NATIVE, params=params)["tool_choice"] == choice


# What comes in


@pytest.mark.parametrize(
    "name", [path.relative_to(WIRE).as_posix() for path in sorted(WIRE.glob("native/0[1-7]*"))]
)
def test_recorded_native_answers(name: str) -> None:
    body = recording(name)["response"]["body"]
    answer = answered(body, created=1746107585, call_id="c0ffee")
    message = body["completion_message"]
    (choice,) = answer.choices
    assert answer.text == message["content"]["text"]
    assert choice.finish_reason == message["stop_reason"]
    assert answer.id == body.get("id", "chatcmpl-c0ffee")
    assert (answer.model, answer.created) == (MODEL, 1746107585)
    counts = {metric["metric"]: metric["value"] for metric in body["metrics"]}
    assert answer.usage is not None
    assert answer.usage.to_dict() == {
        "completion_tokens": counts["num_completion_tokens"],
        "prompt_tokens": counts["num_prompt_tokens"],
        "total_tokens": counts["num_total_tokens"],
    }
    calls = [
        (call.id, call.type, call.function and call.function.to_dict())
        for call in choice.message.tool_calls or ()
    ]
    assert calls == [
        (call["id"], "function", call["function"]) for call in message.get("tool_calls") or ()
    ]


def test_a_tool_call_has_no_content() -> None:
    answer = answered(recording("native/06_tool_turn1.json")["response"]["body"])
    assert answer.choices[0].message.content is None


def test_structured_output() -> None:
    recorded = recording("native/08_structured_output.json")["response"]["content_text"]
    for content in (recorded, {"type": "text", "text": recorded}):
        answer = answered(
            {"completion_message": {"role": "assistant", "content": content, "stop_reason": "stop"}}
        )
        assert json.loads(answer.text)["street"] == "123 Main St"
        assert answer.usage is None


@pytest.mark.parametrize("name", ["compat/01_text.json", "compat/02_text.json"])
def test_recorded_compat_answers(name: str) -> None:
    body = recording(name)["response"]["body"]
    answer = answered(body)
    assert answer.object == "chat.completion"
    assert answer.id == body["id"]
    assert answer.created == body["created"]
    assert answer.text == body["choices"][0]["message"]["content"]
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    assert choice.logprobs is None
    assert choice.message.refusal is None
    assert choice.message.tool_calls is None
    assert choice.message["id"] == body["id"]
    assert answer.usage is not None
    assert answer.usage.to_dict() == body["usage"]


def test_unknown_fields_and_reasons_survive() -> None:
    answer = answered(
        {
            "completion_message": {"content": "a", "stop_reason": "bored", "mood": "blue"},
            "metrics": [
                {"metric": "num_prompt_tokens", "value": 1.0},
                {"metric": "num_completion_tokens", "value": 2.0},
                {"metric": "seconds", "value": 0.5},
            ],
            "region": "north",
        }
    )
    (choice,) = answer.choices
    assert choice.finish_reason is None
    assert choice["native_finish_reason"] == "bored"
    assert choice.message["mood"] == "blue"
    assert answer["region"] == "north"
    assert answer.usage is not None
    assert answer.usage.to_dict() == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "seconds": 0.5,
    }


def test_metrics_that_are_no_usage_are_kept_as_they_are() -> None:
    metrics = [{"metric": "num_prompt_tokens", "value": 1}]
    answer = answered(
        {"completion_message": {"content": "a", "stop_reason": "stop"}, "metrics": metrics}
    )
    assert answer.usage is None
    assert answer["metrics"] == metrics


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"completion_message": 1}',
        b'{"completion_message": {"content": 1}}',
        b'{"completion_message": {"content": "a", "tool_calls": [{}]}}',
        b'{"choices": []}',
    ],
)
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(APIResponseValidationError):
        answered(body)


# Errors


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("01_404_path", NotFoundError),
        ("02_400_tool_choice_required", BadRequestError),
        ("03_400_tool_choice_object", BadRequestError),
        ("04_400_unexpected_param_value", BadRequestError),
    ],
)
def test_recorded_errors(name: str, error: type[APIError]) -> None:
    recorded = recording(f"errors/{name}.json")
    body = json.dumps(recorded["body"]).encode()
    got = provider.error(recorded["status"], {"x-request-id": "r1"}, body)
    assert type(got) is error
    assert recorded["body"]["detail"] in got.message
    assert got.request_id == "r1"
    assert got.body == recorded["body"]


def test_an_error_with_status_200() -> None:
    with pytest.raises(NotFoundError, match="was not found"):
        answered(recording("errors/01_404_path.json")["body"])


RETIRED = Deployment(provider="meta_llama", model=MODEL, api_base=provider.base_url)
FORBIDDEN = recording("errors/06_403_model_not_available.json")["detail_text"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429, 500, 503])
def test_the_retired_host_tells_the_ways_on(status: int) -> None:
    body = json.dumps({"title": "t", "detail": FORBIDDEN, "status": status}).encode()
    error = provider.error(status, {"date": "now"}, body)
    retired = provider.explain(error, RETIRED)
    assert isinstance(retired, ProviderRetiredError)
    assert retired.status_code == status
    for word in ("2026-07-06", "LLAMA_API_BASE", "api_base", "meta/", "llamacpp/", FORBIDDEN):
        assert word in retired.message
    assert retired.__cause__ is error
    copy = pickle.loads(pickle.dumps(retired))
    assert (type(copy), copy.message) == (ProviderRetiredError, retired.message)


@pytest.mark.parametrize("kind", [APIConnectionError, APITimeoutError, APIResponseValidationError])
def test_so_does_a_host_that_is_not_there(kind: type[APIError]) -> None:
    assert isinstance(provider.explain(kind("no such host"), RETIRED), ProviderRetiredError)


def test_nothing_else_is_taken_for_the_retirement() -> None:
    ours = UnsupportedParamsError("mistyped")
    assert provider.explain(ours, RETIRED) is ours
    theirs = provider.error(403, {"date": "now"}, b"{}")
    assert isinstance(theirs, PermissionDeniedError)
    for base in ("http://127.0.0.1/compat/v1", "https://api.llama.com.example/compat/v1"):
        elsewhere = Deployment(provider="meta_llama", model=MODEL, api_base=base)
        assert provider.explain(theirs, elsewhere) is theirs
    nobody = Deployment(provider="meta_llama", model=MODEL, api_base="http://127.0.0.1/compat/v1")
    refused = provider.explain(AuthenticationError("401"), nobody)
    assert "LLAMA_API_KEY" in refused.message
