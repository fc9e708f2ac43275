"""A Responses request as a chat call: items, tools, parameters, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response as OpenAIResponse
from pydantic import TypeAdapter

import llmroute
from llmroute import BadRequestError, LLMRouteError, UnsupportedParamsError
from llmroute.protocols.responses_input import chat_messages, items_of
from llmroute.protocols.responses_native import Native
from llmroute.protocols.responses_request import ChatCall, chat_call
from llmroute.protocols.responses_tools import flat_name

FUNCTION = {"type": "function", "name": "rain", "parameters": {"type": "object"}}
SEARCH = {"type": "web_search"}
CALL = {"type": "function_call", "call_id": "c1", "name": "rain", "arguments": "{}"}


def call_of(given: Any = "hi", **params: Any) -> ChatCall:
    return chat_call(items_of(given), params)


def messages_of(*items: Any) -> list[dict[str, Any]]:
    return chat_messages(items_of(list(items)), None)[0]


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts)}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "a"}, {"type": "text", "text": "a"}),
        (
            {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "low"},
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
        ),
        (
            {"type": "input_image", "file_id": "f1", "detail": "auto"},
            {"type": "file", "file": {"file_id": "f1"}},
        ),
        (
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:text/plain;base64,",
            },
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:text/plain;base64,"},
            },
        ),
        (
            {"type": "input_file", "file_url": "https://a.example/b.pdf"},
            {"type": "file", "file": {"file_data": "https://a.example/b.pdf"}},
        ),
        ({"type": "of_tomorrow", "x": 1}, {"type": "of_tomorrow", "x": 1}),
    ],
)
def test_chat_messages_translates_parts(part: dict[str, Any], expected: dict[str, Any]) -> None:
    assert messages_of(user(part)) == [{"role": "user", "content": [expected]}]


def test_chat_messages_joins_the_items_of_an_answer() -> None:
    said = {"type": "output_text", "text": "Let me see.", "annotations": []}
    second = {**CALL, "call_id": "c2", "namespace": "crm", "name": "list"}
    messages = messages_of(
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "id": "m", "role": "assistant", "content": [said]},
        CALL,
        second,
        {"type": "function_call_output", "call_id": "c1", "output": "wet"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "b"}],
        },
    )
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    answer = messages[1]
    assert (answer["content"], answer["reasoning_content"]) == ("Let me see.", "hm")
    names = [call["function"]["name"] for call in answer["tool_calls"]]
    assert names == ["rain", "crm__list"]
    assert messages[3]["content"] == [{"type": "text", "text": "b"}]


def test_chat_messages_keeps_written_messages_apart() -> None:
    written = [{"role": "assistant", "content": text} for text in ("a", "b")]
    assert [message["content"] for message in messages_of(*written)] == ["a", "b"]


def test_chat_messages_returns_custom_calls_and_refusals() -> None:
    call = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a "b"'}
    refusal = {"type": "refusal", "refusal": "No."}
    answer, output, refused = messages_of(
        call,
        {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
        {"type": "message", "id": "m", "role": "assistant", "content": [refusal]},
    )
    assert json.loads(answer["tool_calls"][0]["function"]["arguments"]) == {"input": 'a "b"'}
    assert output["content"] == "done"
    assert refused["refusal"] == "No."


def test_chat_messages_restores_what_the_provider_must_get_back() -> None:
    content = {"format": "anthropic", "blocks": [{"type": "thinking", "signature": "s"}]}
    native = Native({"provider_content": content}, {"c1": {"extra_content": {"a": 1}}})
    carrier = {"type": "reasoning", "summary": [], "encrypted_content": native.sealed()}
    [answer] = messages_of(CALL, carrier)
    assert answer["provider_content"] == content
    assert answer["tool_calls"][0]["extra_content"] == {"a": 1}


def test_chat_messages_names_what_a_chat_cannot_say() -> None:
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    searched = {"type": "web_search_call", "id": "w", "status": "completed"}
    messages, dropped = chat_messages(items_of([foreign, CALL, searched]), None)
    assert len(messages) == 1
    assert dropped == ["input[0].encrypted_content", "input[2] (web_search_call)"]


@pytest.mark.parametrize(
    ("item", "what"),
    [
        (3, r"input\[0\]"),
        ({"role": "robot", "content": "a"}, "robot"),
        ({"role": "user", "content": 3}, r"input\[0\]"),
        ({"role": "user", "content": [3]}, r"content\[0\]"),
        ({**CALL, "call_id": None}, "call_id"),
        ({"type": "function_call_output", "call_id": "c", "output": None}, r"input\[0\]"),
        ({"type": "item_reference", "id": "m"}, "previous_response_id"),
        ({"type": "reasoning", "summary": [], "encrypted_content": "llmroute1:%"}, "damaged"),
    ],
)
def test_chat_messages_names_the_wrong_item(item: Any, what: str) -> None:
    with pytest.raises(BadRequestError, match=what):
        messages_of(item)


@pytest.mark.parametrize("given", [3, None, []])
def test_chat_call_refuses_an_input_without_messages(given: Any) -> None:
    with pytest.raises(BadRequestError, match="input"):
        call_of(given)


def test_chat_call_takes_no_input_beside_instructions() -> None:
    assert call_of([], instructions="Say hi.").messages == [
        {"role": "system", "content": "Say hi."}
    ]


def test_chat_call_maps_parameters() -> None:
    call = call_of(
        max_output_tokens=5,
        reasoning={"effort": "low", "summary": "auto"},
        text={"verbosity": "low", "format": {"type": "json_object"}},
        temperature=0.5,
        top_logprobs=2,
        metadata={"a": "b"},
        parallel_tool_calls=False,
        include=["reasoning.encrypted_content", "web_search_call.results"],
        max_tool_calls=3,
    )
    assert call.params == {
        "max_completion_tokens": 5,
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_object"},
        "temperature": 0.5,
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert call.echo["dropped"] == ["max_tool_calls", "include (web_search_call.results)"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("background", True),
        ("conversation", "conv_1"),
        ("prompt", {"id": "p"}),
        ("truncation", "auto"),
    ],
)
def test_responses_refuses_what_a_chat_cannot_do(name: str, value: Any) -> None:
    given: Any = {name: value}
    with pytest.raises(UnsupportedParamsError, match=name) as caught:
        llmroute.responses("openai/m", "hi", mock_response="a", **given)
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"n": 2}, "one answer"),
        ({"colour": "red"}, "colour"),
        ({"text": {"format": {"type": "json_schema"}}}, "json_schema"),
        ({"tools": [{"type": "function", "function": {"name": "a"}}]}, "beside"),
        ({"tools": [FUNCTION, FUNCTION]}, "two tools"),
    ],
)
def test_responses_names_the_wrong_parameter(given: Any, what: str) -> None:
    with pytest.raises(BadRequestError, match=what):
        llmroute.responses("openai/m", "hi", mock_response="a", **given)


@pytest.mark.parametrize("choice", [{"type": "web_search"}, "required"])
def test_chat_call_refuses_to_force_a_tool_that_is_left_out(choice: Any) -> None:
    with pytest.raises(UnsupportedParamsError, match="web_search"):
        call_of(tools=[SEARCH], tool_choice=choice)


def test_chat_call_sends_no_tool_parameters_without_tools() -> None:
    call = call_of(tools=[SEARCH], tool_choice="auto", parallel_tool_calls=True)
    assert call.params == {}
    assert call.tools.dropped == ["tools[0] (web_search)"]


def test_chat_call_narrows_tools_to_the_allowed_ones() -> None:
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [FUNCTION]}
    call = call_of(tools=[FUNCTION, {**FUNCTION, "name": "wind"}], tool_choice=allowed)
    assert [tool["function"]["name"] for tool in call.params["tools"]] == ["rain"]
    assert call.params["tool_choice"] == "required"


def test_chat_call_forces_a_function_of_a_namespace() -> None:
    space = {"type": "namespace", "name": "sky", "description": "", "tools": [FUNCTION]}
    call = call_of(tools=[space], tool_choice={"type": "function", "name": "rain"})
    assert call.params["tool_choice"] == {"type": "function", "function": {"name": "sky__rain"}}


def test_chat_call_shows_tools_that_the_input_brings() -> None:
    more = {"type": "additional_tools", "role": "developer", "tools": [FUNCTION]}
    call = call_of([more, {"role": "user", "content": "hi"}], tools=[{**FUNCTION, "name": "wind"}])
    names = [tool["function"]["name"] for tool in call.params["tools"]]
    assert names == ["wind", "rain"]
    assert "dropped" not in call.echo


def test_flat_name_shortens_and_keeps_names_apart() -> None:
    long = "n" * 60
    names = {flat_name(f"{long}{end}", "space") for end in "ab"}
    assert len(names) == 2
    assert {len(name) for name in names} == {64}
    assert flat_name("a.b", "c d") == "c_d__a_b"
    assert flat_name("rain", None) == "rain"


def test_answer_repeats_the_request_in_openais_types() -> None:
    answer = llmroute.responses(
        "openai/m",
        "hi",
        mock_response="hello",
        tools=[FUNCTION, SEARCH],
        tool_choice={"type": "function", "name": "rain"},
        reasoning={"effort": "high"},
        text={"verbosity": "low"},
        store=False,
    )
    seen = TypeAdapter(OpenAIResponse).validate_python(answer.to_dict())
    assert [tool.type for tool in seen.tools] == ["function", "web_search"]
    assert seen.reasoning is not None
    assert seen.reasoning.effort == "high"


def test_responses_errors_are_llmroutes() -> None:
    with pytest.raises(LLMRouteError):
        llmroute.responses("nobody/m", "hi")
