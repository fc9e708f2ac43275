"""What goes out to Anthropic's API; every body is judged by the types of the official client."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from anthropic.types import message_create_params as official
from pydantic import BaseModel, Field, TypeAdapter

import llmroute
from llmroute.deployments import Deployment
from llmroute.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from llmroute.providers import get_provider
from llmroute.providers.base import HTTPCall
from llmroute.providers.params import DroppedParamsWarning
from llmroute.schemas import response_format
from llmroute.testing.anthropic_api import AnthropicEmulator
from llmroute.types.chat_request import ChatRequest

OLDER, NEWER = "claude-haiku-4-5", "claude-opus-5"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
PDF = base64.b64encode(b"%PDF-1.4").decode()
CACHE = {"type": "ephemeral", "ttl": "1h"}
HI = {"role": "user", "content": "Hi"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Says it.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
THEIRS = {
    "name": "weather",
    "description": "Says it.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PLACE = Deployment(provider="anthropic", model=OLDER, api_base="http://h", api_key="sk-1")

provider = get_provider("anthropic")
_JUDGE: TypeAdapter[Any] = TypeAdapter(official.MessageCreateParamsNonStreaming)


def built(messages: Any = (HI,), model: str = OLDER, **request: Any) -> HTTPCall:
    deployment = Deployment(provider="anthropic", model=model, api_base="http://h", api_key="sk-1")
    chat = ChatRequest(model=f"anthropic/{model}", messages=list(messages), **request)
    call = provider.build(chat, deployment)
    assert isinstance(call, HTTPCall)
    return call


def sent(
    messages: Any = (HI,), model: str = OLDER, *, official: bool = True, **params: Any
) -> dict[str, Any]:
    """The body; the official types take it, and know every key of it."""
    body: dict[str, Any] = json.loads(built(messages, model, params=params).body)
    if official:
        assert _as_data(_JUDGE.validate_python(body)) == body
    return body


def _as_data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_data(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_as_data(item) for item in value]
    return value


def blocks_of(*parts: Any) -> Any:
    """What the parts of a user's message become."""
    (message,) = sent([{"role": "user", "content": list(parts)}])["messages"]
    return message["content"]


# Messages


def test_system_and_developer_prompts_go_to_the_top() -> None:
    body = sent(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            HI,
        ]
    )
    assert body["system"] == "Be brief.\n\nBe kind."
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]


ASSISTANT = {"role": "assistant", "content": "Hey"}
LATE = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize("model", ["claude-opus-4-8", NEWER, "claude-fable-5"])
@pytest.mark.parametrize("after", [[], [ASSISTANT, HI]])
def test_late_system_message_stays_where_a_model_takes_it(model: str, after: Any) -> None:
    body = sent([HI, LATE, {**LATE, "role": "developer"}, *after], model)
    block = {"type": "text", "text": "Be brief."}
    assert body["messages"][1] == {"role": "system", "content": [block, block]}
    assert "system" not in body


@pytest.mark.parametrize(
    ("model", "messages"),
    [
        (OLDER, [HI, LATE]),
        ("claude-opus-4-20250514", [HI, LATE]),
        (NEWER, [LATE, HI]),
        (NEWER, [HI, LATE, HI]),
        (NEWER, [HI, ASSISTANT, LATE, HI]),
    ],
)
def test_late_system_message_goes_to_the_top_elsewhere(model: str, messages: Any) -> None:
    body = sent(messages, model)
    assert body["system"] == "Be brief."
    assert "system" not in [message["role"] for message in body["messages"]]


def test_late_system_message_that_changes_the_tools_stays() -> None:
    part = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}}
    body = sent([HI, {"role": "system", "content": [part]}], "claude-sonnet-5", official=False)
    assert body["messages"][1] == {"role": "system", "content": [part]}


def test_cache_control_stays_where_it_was_written() -> None:
    text = {"type": "text", "text": "Long.", "cache_control": CACHE}
    tool = {**WEATHER, "cache_control": CACHE}
    body = sent(
        [{"role": "system", "content": [text]}, {"role": "user", "content": [text]}], tools=[tool]
    )
    assert body["system"] == [text]
    assert body["messages"][0]["content"] == [text]
    assert body["tools"] == [{**THEIRS, "cache_control": CACHE}]
    whole = sent([{**HI, "cache_control": CACHE}])
    assert whole["messages"][0]["content"] == [
        {"type": "text", "text": "Hi", "cache_control": CACHE}
    ]


def test_messages_of_one_side_become_one() -> None:
    body = sent([HI, {"role": "user", "content": "there"}, {"role": "assistant", "content": "Hey"}])
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]
    assert [block["text"] for block in body["messages"][0]["content"]] == ["Hi", "there"]


def test_empty_texts_are_left_out_and_a_prefill_ends_without_white_space() -> None:
    body = sent([HI, {"role": "user", "content": " "}, {"role": "assistant", "content": "So: \n"}])
    assert body["messages"][0]["content"] == [{"type": "text", "text": "Hi"}]
    assert body["messages"][1]["content"] == [{"type": "text", "text": "So:"}]


def test_no_message_at_all_is_refused() -> None:
    with pytest.raises(BadRequestError, match="at least one"):
        sent([{"role": "system", "content": "Be brief."}])


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
            },
        ),
        (
            {"type": "image_url", "image_url": "https://pics.example/a.png"},
            {"type": "image", "source": {"type": "url", "url": "https://pics.example/a.png"}},
        ),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            },
        ),
        (
            {
                "type": "file",
                "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
            },
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain;base64,SMOp"}},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Hé"},
            },
        ),
        (
            {"type": "file", "file": {"file_id": "https://docs.example/a.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://docs.example/a.pdf"}},
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://docs.example/b.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://docs.example/b.pdf"}},
        ),
    ],
)
def test_images_and_documents(part: Any, block: Any) -> None:
    assert blocks_of(part) == [block]


def test_uploaded_files_need_their_beta() -> None:
    part = {"type": "file", "file": {"file_id": "file_1"}}
    call = built([{"role": "user", "content": [part]}])
    (message,) = json.loads(call.body)["messages"]
    assert message["content"] == [
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
    ]
    assert call.headers["anthropic-beta"] == "files-api-2025-04-14"


@pytest.mark.parametrize(
    ("part", "error", "match"),
    [
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            UnsupportedOperationError,
            "audio",
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}},
            BadRequestError,
            "image/tiff",
        ),
    ],
)
def test_media_it_does_not_take(part: Any, error: type[APIError], match: str) -> None:
    with pytest.raises(error, match=match):
        blocks_of(part)


def test_calls_and_results() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": "weather", "arguments": a}}
        for i, a in enumerate(['{"city": "Bonn"}', ""])
    ]
    body = sent(
        [
            HI,
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c0", "content": "Rain."},
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [{"type": "text", "text": "See:"}, image],
                "is_error": True,
            },
            {"role": "user", "content": "So?"},
        ]
    )
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
    }
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "c0", "name": "weather", "input": {"city": "Bonn"}},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {}},
    ]
    assert body["messages"][2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c0", "content": "Rain."},
            {
                "type": "tool_result",
                "tool_use_id": "c1",
                "content": [{"type": "text", "text": "See:"}, picture],
                "is_error": True,
            },
            {"type": "text", "text": "So?"},
        ],
    }


def test_arguments_that_are_no_json_are_refused() -> None:
    function = {"name": "weather", "arguments": '{"city": "Bo'}
    call = {"id": "c0", "type": "function", "function": function}
    with pytest.raises(BadRequestError, match="not JSON"):
        sent([HI, {"role": "assistant", "content": None, "tool_calls": [call]}])


def test_thinking_blocks_by_litellms_name_go_back() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    ]
    said = {"role": "assistant", "content": "Hey", "thinking_blocks": thoughts}
    body = sent([HI, said, HI])
    assert body["messages"][1]["content"] == [*thoughts, {"type": "text", "text": "Hey"}]


def test_thinking_without_its_signature_stays_here() -> None:
    said = {"role": "assistant", "content": "Hey", "reasoning_content": "Hm."}
    assert sent([HI, said, HI])["messages"][1]["content"] == [{"type": "text", "text": "Hey"}]


# Tools


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("none", None, {"type": "none"}),
        ("required", None, {"type": "any"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            None,
            {"type": "tool", "name": "weather"},
        ),
        ({"type": "tool", "name": "weather"}, None, {"type": "tool", "name": "weather"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("auto", True, {"type": "auto"}),
    ],
)
def test_tools_and_their_choice(choice: Any, parallel: Any, expected: Any) -> None:
    params = {"tool_choice": choice, "parallel_tool_calls": parallel}
    given = {name: value for name, value in params.items() if value is not None}
    body = sent(tools=[WEATHER], **given)
    assert body["tools"] == [THEIRS]
    assert body.get("tool_choice") == expected


def test_an_unknown_tool_choice_is_refused() -> None:
    with pytest.raises(BadRequestError, match="tool_choice"):
        sent(tools=[WEATHER], tool_choice="maybe")


def test_its_own_tools_and_keys_pass() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    custom = {"type": "custom", **THEIRS, "defer_loading": True}
    extra = {"allowed_callers": ["direct"], "input_examples": [{"city": "Bonn"}]}
    body = sent(tools=[search, custom, {**WEATHER, **extra}])
    assert body["tools"] == [search, custom, {**THEIRS, **extra}]


def test_a_tool_without_parameters() -> None:
    body = sent(tools=[{"type": "function", "function": {"name": "now"}}])
    schema = {"type": "object", "properties": {}}
    assert body["tools"] == [{"name": "now", "input_schema": schema}]


def test_strict_tools_get_a_schema_that_is_enforced() -> None:
    count = {"type": "integer", "minimum": 1}
    schema = {"type": "object", "properties": {"n": count}, "required": ["n"]}
    function = {"name": "f", "parameters": schema, "strict": True}
    (tool,) = sent(tools=[{"type": "function", "function": function}])["tools"]
    assert tool["strict"] is True
    assert tool["input_schema"] == {
        "type": "object",
        "properties": {"n": {"type": "integer", "description": "(minimum: 1)"}},
        "required": ["n"],
        "additionalProperties": False,
    }


def test_web_search_options() -> None:
    where = {"type": "approximate", "approximate": {"country": "DE", "city": "Bonn"}}
    options = {"search_context_size": "low", "user_location": where}
    assert sent(web_search_options=options)["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "max_uses": 1,
            "user_location": {"type": "approximate", "country": "DE", "city": "Bonn"},
        }
    ]


def test_betas_join_those_of_the_caller() -> None:
    call = built(
        params={"mcp_servers": [{"type": "url", "url": "https://m.example", "name": "m"}]},
        extra_headers={"Anthropic-Beta": "mine-2026-01-01"},
    )
    assert call.headers["anthropic-beta"] == "mine-2026-01-01,mcp-client-2025-11-20"


# Structured output


class Bee(BaseModel):
    """A bee."""

    name: str = Field(min_length=1)
    legs: int = Field(ge=6, le=6)
    friends: list[str] = []


@pytest.mark.parametrize("kind", ["pydantic", "json_schema"])
def test_structured_output(kind: str) -> None:
    schema = {"type": "object", "properties": {"legs": {"type": "integer"}}, "required": ["legs"]}
    wish = {"type": "json_schema", "json_schema": {"name": "bee", "schema": schema}}
    format = response_format(Bee) if kind == "pydantic" else wish
    body = sent(response_format=format)
    assert set(body["output_config"]) == {"format"}
    found = body["output_config"]["format"]
    assert found["type"] == "json_schema"
    assert found["schema"]["additionalProperties"] is False
    legs = found["schema"]["properties"]["legs"]
    assert legs["type"] == "integer"
    assert not legs.keys() & {"minimum", "maximum"}
    if kind == "pydantic":
        assert "minimum: 6" in legs["description"]


def test_structured_output_keeps_a_property_by_the_name_of_a_keyword() -> None:
    schema = {
        "type": "object",
        "properties": {
            "pattern": {"type": "string"},
            "minimum": {"oneOf": [{"type": "integer", "maximum": 3}, {"type": "null"}]},
            "kind": {"const": {"pattern": "x"}},
        },
        "required": ["pattern", "minimum"],
    }
    wish = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    found = sent(response_format=wish)["output_config"]["format"]["schema"]
    assert set(found["properties"]) == {"pattern", "minimum", "kind"}
    assert found["properties"]["kind"] == {"const": {"pattern": "x"}}
    assert found["properties"]["minimum"] == {
        "anyOf": [{"type": "integer", "description": "(maximum: 3)"}, {"type": "null"}]
    }


def test_json_without_a_schema_is_refused() -> None:
    wish: dict[str, Any] = {"response_format": {"type": "json_object"}}
    with pytest.raises(UnsupportedParamsError, match="schema"):
        sent(**wish)
    with pytest.warns(DroppedParamsWarning):
        dropped = built(params=wish, unsupported="drop")
    assert "response_format" not in json.loads(dropped.body)
    passed = built(params=wish, unsupported="pass")
    assert json.loads(passed.body)["response_format"] == {"type": "json_object"}
    assert "output_config" not in sent(response_format={"type": "text"})


# Thinking


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "config"),
    [
        (NEWER, "low", {"type": "adaptive"}, {"effort": "low"}),
        (NEWER, "minimal", {"type": "adaptive"}, {"effort": "low"}),
        ("claude-sonnet-4-6", "high", {"type": "adaptive"}, {"effort": "high"}),
        (NEWER, "xhigh", {"type": "adaptive"}, {"effort": "xhigh"}),
        (NEWER, "max", {"type": "adaptive"}, {"effort": "max"}),
        (NEWER, "none", {"type": "disabled"}, None),
        (OLDER, "low", {"type": "enabled", "budget_tokens": 1024}, None),
        (OLDER, "high", {"type": "enabled", "budget_tokens": 4096}, None),
        ("claude-opus-4-20250514", "medium", {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-3-7-sonnet-20250219", "low", {"type": "enabled", "budget_tokens": 1024}, None),
        (OLDER, "none", {"type": "disabled"}, None),
    ],
)
def test_reasoning_effort(model: str, effort: str, thinking: Any, config: Any) -> None:
    body = sent(model=model, reasoning_effort=effort)
    assert body["thinking"] == thinking
    assert body.get("output_config") == config
    assert body["max_tokens"] > thinking.get("budget_tokens", 0)


def test_thinking_as_the_caller_wrote_it() -> None:
    wish = {"type": "enabled", "budget_tokens": 9000}
    body = sent(thinking=wish, reasoning_effort="low", max_tokens=10000)
    assert (body["thinking"], body["max_tokens"]) == (wish, 10000)
    assert sent(model="claude-unknown", thinking=wish)["max_tokens"] > 9000


def test_effort_joins_a_format() -> None:
    wish = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    config = sent(model=NEWER, reasoning_effort="high", response_format=wish)["output_config"]
    assert config["effort"] == "high"
    assert config["format"]["type"] == "json_schema"


def test_an_unknown_effort_is_refused() -> None:
    with pytest.raises(BadRequestError, match="reasoning_effort"):
        sent(reasoning_effort="max")


# Other parameters


def test_parameters_by_its_names() -> None:
    body = sent(
        official=False,  # whose newest types have no samplers: the newest models take none
        max_completion_tokens=7,
        stop=["END"],
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        user="ann",
        service_tier="default",
    )
    del body["messages"]
    assert body == {
        "model": OLDER,
        "max_tokens": 7,
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "metadata": {"user_id": "ann"},
        "service_tier": "standard_only",
    }
    assert sent(stop="END")["stop_sequences"] == ["END"]


def test_max_tokens_is_the_models_limit_or_a_default() -> None:
    assert sent()["max_tokens"] == 64000
    assert sent(model="claude-unknown")["max_tokens"] == 4096


@pytest.mark.parametrize(
    "params", [{"n": 2}, {"logprobs": True}, {"seed": 1}, {"frequency_penalty": 0.5}]
)
def test_what_it_does_not_take_is_refused_by_name(params: dict[str, Any]) -> None:
    (name,) = params
    with pytest.raises(UnsupportedParamsError, match=f"'{name}'"):
        sent(**params)
    passed = built(params=params, unsupported="pass")
    assert json.loads(passed.body)[name] == params[name]


def test_extra_body_wins_and_stream_is_said() -> None:
    body = json.loads(built(stream=True, extra_body={"max_tokens": 5, "new": 1}).body)
    assert (body["stream"], body["max_tokens"], body["new"]) == (True, 5, 1)


# The call


@pytest.mark.parametrize(
    "base",
    [
        "http://h",
        "http://h/",
        "http://h/v1",
        "http://h/v1/messages",
    ],
)
def test_url(base: str) -> None:
    deployment = Deployment(provider="anthropic", model=OLDER, api_base=base, api_key="sk-1")
    call = provider.build(ChatRequest(model="anthropic/x", messages=[HI]), deployment)
    assert isinstance(call, HTTPCall)
    assert call.url == "http://h/v1/messages"


def test_headers() -> None:
    call = built(extra_headers={"Anthropic-Version": "2027-01-01", "X-Mine": "1"})
    assert call.headers["x-api-key"] == "sk-1"
    assert call.headers["anthropic-version"] == "2027-01-01"
    assert call.headers["x-mine"] == "1"
    assert "authorization" not in call.headers
    assert "sk-1" not in repr(call)


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(AuthenticationError, match="ANTHROPIC_API_KEY"):
        llmroute.completion("anthropic/claude-opus-5", "Hi")


def test_the_emulator_takes_a_whole_tool_loop() -> None:
    tools: list[Any] = [WEATHER]
    with AnthropicEmulator() as server:
        place: dict[str, Any] = {"api_base": server.url, "api_key": server.api_key}
        model = f"anthropic/{OLDER}"
        messages: list[Any] = [HI]
        answer = llmroute.completion(model, messages, tools=tools, tool_choice="required", **place)
        said = answer.choices[0].message
        assert said.tool_calls
        messages += [
            said,
            {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "Rain."},
        ]
        assert llmroute.completion(model, messages, tools=tools, **place).text == (
            "You said: [tool_result]"
        )
        bee = llmroute.completion(model, "A bee.", response_format=Bee, **place)
        assert isinstance(json.loads(bee.text)["legs"], int)
