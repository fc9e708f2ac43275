"""Everything that is checked before anything is sent: no server listens in these tests."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from servers import ScriptedServer

import llmroute
from llmroute import Message, TimeLimits
from llmroute.calls.chat import chat_job

HI = [{"role": "user", "content": "hi"}]
NOWHERE = "http://127.0.0.1:9/v1"


def complete(messages: Any = HI, **given: Any) -> Any:
    return llmroute.completion("openai/m", messages, api_base=NOWHERE, num_retries=0, **given)


def acomplete(messages: Any = HI, **given: Any) -> Any:
    return asyncio.run(
        llmroute.acompletion("openai/m", messages, api_base=NOWHERE, num_retries=0, **given)
    )


@pytest.fixture(params=[complete, acomplete], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return request.param


@pytest.mark.parametrize(
    "messages",
    [
        [],
        None,
        7,
        {"role": "user", "content": "hi"},
        ["hi"],
        [{"content": "hi"}],
        [{"role": "", "content": "hi"}],
        [{"role": "user"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": 7}],
        [*HI, {"role": "tool", "tool_call_id": "x"}],
        [{"role": "user", "content": "\ud800"}],
        [{"role": "user", "content": [{"type": "text", "text": object()}]}],
    ],
    ids=repr,
)
def test_messages_that_are_none(call: Callable[..., Any], messages: Any) -> None:
    with pytest.raises(llmroute.BadRequestError):
        call(messages)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": float("inf")}, "top_p"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"n": True}, "n"),
        ({"stop": 7}, "stop"),
        ({"tools": {"type": "function"}}, "tools"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_parameters_of_a_wrong_type(
    call: Callable[..., Any], given: dict[str, Any], param: str
) -> None:
    with pytest.raises(llmroute.BadRequestError) as caught:
        call(**given)
    assert caught.value.param == param
    assert param in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": "5"},
        {"timeout": True},
        {"timeout": float("inf")},
        {"timeout": TimeLimits(total=-1)},
        {"timeout": TimeLimits(connect="5")},  # type: ignore[arg-type]
        {"num_retries": -1},
        {"num_retries": 1.5},
    ],
)
def test_options_that_are_none(given: dict[str, Any]) -> None:
    with pytest.raises(llmroute.BadRequestError):
        llmroute.completion("openai/m", HI, api_base=NOWHERE, **given)


@pytest.mark.parametrize("base", ["localhost:8000/v1", "ftp://host/v1", "/v1", "http://"])
def test_urls_that_are_none(base: str) -> None:
    with pytest.raises(llmroute.BadRequestError, match="http"):
        llmroute.completion("openai/m", HI, api_base=base)


@pytest.mark.parametrize("model", ["", "openai/", 7, None])
def test_models_that_are_none(model: Any) -> None:
    with pytest.raises(llmroute.BadRequestError):
        llmroute.completion(model, HI)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("temprature", "temperature"), ("max_token", "max_tokens"), ("api_bas", "api_base")],
)
def test_a_mistyped_parameter_gets_a_near_match(typo: str, meant: str) -> None:
    for policy in ("raise", "drop"):
        with pytest.raises(llmroute.UnsupportedParamsError, match=meant) as caught:
            complete(**{typo: 1, "unsupported": policy})
        assert caught.value.param == typo


ANSWER = json.dumps(
    {
        "id": "a",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
        ],
    }
).encode()
SERVED = [b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)]


def sent(messages: Any = HI, model: str = "openai/m", **given: Any) -> tuple[dict[str, Any], Any]:
    """The body that goes out, and the answer."""
    with ScriptedServer(SERVED) as server:
        answer = llmroute.completion(model, messages, api_base=server.url, **given)
    return json.loads(server.requests[0].body), answer


def test_policies_for_what_a_provider_does_not_take() -> None:
    refused = {"top_k": 5}
    with pytest.raises(llmroute.UnsupportedParamsError) as caught:
        complete(**refused)
    assert caught.value.param == "top_k"
    for policy in ({"unsupported": "drop"}, {"drop_params": True}):
        with pytest.warns(llmroute.DroppedParamsWarning, match="top_k"):
            body, answer = sent(**refused, **policy)
        assert "top_k" not in body
        assert answer.call_info.dropped_params == ("top_k",)
    body, answer = sent(**refused, unsupported="pass", made_up=1)
    assert (body["top_k"], body["made_up"]) == (5, 1)
    assert answer.call_info.dropped_params == ()


def test_extra_body_and_headers_go_out_last() -> None:
    with ScriptedServer(SERVED) as server:
        llmroute.completion(
            "openai/m",
            HI,
            base_url=f"{server.url}/",
            api_key="k",
            temperature=0.1,
            extra_body={"temperature": 0.9, "own": {"x": 1}},
            extra_headers={"X-Team": "a", "Authorization": "Basic abc"},
        )
    (request,) = server.requests
    assert request.line.startswith("POST /chat/completions ")
    body = json.loads(request.body)
    assert (body["temperature"], body["own"]) == (0.9, {"x": 1})
    assert request.headers["x-team"] == "a"
    assert request.headers["authorization"] == "Basic abc"


def test_a_parameter_that_is_none_is_not_sent() -> None:
    body, _ = sent(temperature=None, stop=None, tools=None)
    assert sorted(body) == ["messages", "model"]


class City(BaseModel):
    """A city."""

    class Mayor(BaseModel):
        name: str

    name: str
    people: int = 0
    mayor: Mayor


def test_a_pydantic_model_as_response_format() -> None:
    body, _ = sent(response_format=City)
    sent_format = body["response_format"]
    assert sent_format["type"] == "json_schema"
    assert sent_format["json_schema"]["name"] == "City"
    schema = sent_format["json_schema"]["schema"]
    assert schema["required"] == ["name", "people", "mayor"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Mayor"]["additionalProperties"] is False


def test_a_response_format_that_is_no_schema() -> None:
    with pytest.raises(llmroute.BadRequestError, match="no JSON schema"):
        complete(response_format=threading_lock())


def threading_lock() -> type:
    import threading

    return threading.Thread


def test_a_spoken_answer_goes_back_by_its_id() -> None:
    spoken = Message.model_validate(
        {"audio": {"id": "audio-1", "data": "aGk=", "transcript": "hi"}}
    )
    (sent,) = chat_job("openai/m", [spoken], False, {"api_base": NOWHERE}).request.messages
    assert sent == {"role": "assistant", "audio": {"id": "audio-1"}, "content": None}


@pytest.mark.parametrize("as_object", [True, False])
def test_chat_job_leaves_out_the_empty_fields_that_a_gateway_filled_in(as_object: bool) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = Message.model_validate(
        {
            "content": "",
            "audio": {"id": "", "data": "", "expires_at": 0, "transcript": ""},
            "tool_calls": [{**call, "custom": {"name": "", "input": ""}}],
        }
    )
    message = said if as_object else said.model_dump()
    (sent,) = chat_job("openai/m", [message], False, {"api_base": NOWHERE}).request.messages
    assert sent == {"role": "assistant", "content": "", "tool_calls": [call]}


def test_messages_of_other_kinds() -> None:
    from openai.types.chat import ChatCompletionMessage

    theirs = ChatCompletionMessage(role="assistant", content="yes")
    body, _ = sent([*HI, theirs, {"role": "user", "content": [{"type": "text", "text": "x"}]}])
    assert body["messages"][1] == {"role": "assistant", "content": "yes"}
    assert sent("just a text")[0]["messages"] == [{"role": "user", "content": "just a text"}]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, TimeLimits()),
        (5, TimeLimits(total=5.0)),
        (TimeLimits(idle=1), TimeLimits(idle=1)),
        (
            httpx.Timeout(3, connect=1),
            TimeLimits(connect=1, first_token=3, idle=3),
        ),
    ],
    ids=["none", "seconds", "ours", "httpx"],
)
def test_timeouts(given: Any, expected: TimeLimits) -> None:
    assert chat_job("openai/m", HI, False, {"timeout": given, "api_base": NOWHERE}).time_limits == (
        expected
    )


def test_a_prompt_that_cannot_fit_is_not_sent() -> None:
    model = "meta_llama/Llama-4-Scout-17B-16E-Instruct-FP8"
    with pytest.raises(llmroute.ContextWindowExceededError, match="128000"):
        llmroute.completion(model, "word " * 140_000, api_key="k")


def test_no_warnings_in_an_ordinary_call() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sent(temperature=0.5)
