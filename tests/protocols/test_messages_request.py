"""Anthropic's requests as chats: what each field and block becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llmroute
from llmroute import BadRequestError, UnsupportedParamsError
from llmroute.calls.messages import bridged_job
from llmroute.protocols.messages_request import chat
from llmroute.providers import get_provider
from llmroute.providers.base import HTTPCall

HELLO: Any = [{"role": "user", "content": "Hello"}]
PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
SCHEMA = {"type": "object", "properties": {}}
TOOL: Any = {"name": "look_up", "input_schema": SCHEMA}
FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}


def user(*blocks: Any) -> list[dict[str, Any]]:
    return chat([{"role": "user", "content": list(blocks)}], {}).messages


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"max_tokens": 5}, {"max_completion_tokens": 5}),
        (
            {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
            {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
        ),
        ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"stop_sequences": []}, {}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 32000}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "disabled"}}, {}),
        ({"thinking": {"type": "adaptive"}}, {}),
        ({"output_config": {"effort": "max"}}, {"reasoning_effort": "xhigh"}),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            {"reasoning_effort": "low"},
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"tools": [TOOL]}, {"tools": [FUNCTION]}),
        ({"tools": [{**TOOL, "type": "custom"}]}, {"tools": [FUNCTION]}),
    ],
)
def test_chat_maps_parameters(params: Any, expected: Any) -> None:
    made = chat(HELLO, params)
    assert made.params == expected
    assert made.dropped == []


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "look_up"},
            {"tool_choice": {"type": "function", "function": {"name": "look_up"}}},
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_chat_maps_the_choice_of_tools(choice: Any, expected: Any) -> None:
    assert chat(HELLO, {"tools": [TOOL], "tool_choice": choice}).params == {
        "tools": [FUNCTION],
        **expected,
    }


@pytest.mark.parametrize(
    "choice", [{"type": "tool", "name": "web_search"}, {"type": "any"}, {"type": "some"}]
)
def test_chat_refuses_to_force_a_tool_that_is_left_out(choice: Any) -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(BadRequestError, match="tool_choice"):
        chat(HELLO, {"tools": [search], "tool_choice": choice})


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([{"type": "text", "text": "Hi"}], "Hi"),
        (
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        ),
        ([{"type": "image", "source": PNG}], [IMAGE]),
        (
            [{"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}],
            [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}],
        ),
        (
            [
                {
                    "type": "document",
                    "title": "Facts",
                    "context": "Old ones.",
                    "source": {**PNG, "media_type": "application/pdf"},
                }
            ],
            [
                {
                    "type": "file",
                    "file": {
                        "filename": "Facts.pdf",
                        "file_data": "data:application/pdf;base64,aGk=",
                    },
                },
                {"type": "text", "text": "Old ones."},
            ],
        ),
        (
            [
                {
                    "type": "document",
                    "title": "Facts",
                    "source": {"type": "text", "media_type": "text/plain", "data": "1 is 1."},
                }
            ],
            "Facts\n1 is 1.",
        ),
        (
            [
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "image", "source": PNG}]},
                }
            ],
            [IMAGE],
        ),
        (
            [
                {
                    "type": "search_result",
                    "title": "T",
                    "source": "https://x.test",
                    "content": [{"type": "text", "text": "found"}],
                }
            ],
            "T\nhttps://x.test\nfound",
        ),
    ],
)
def test_chat_maps_what_the_user_shows(blocks: Any, expected: Any) -> None:
    assert user(*blocks) == [{"role": "user", "content": expected}]


def test_chat_puts_results_first_and_their_images_after_them() -> None:
    made = user(
        {"type": "text", "text": "Look."},
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [{"type": "text", "text": "Here."}, {"type": "image", "source": PNG}],
        },
        {"type": "tool_result", "tool_use_id": "b", "is_error": True, "content": "No file."},
        {"type": "tool_result", "tool_use_id": "c"},
    )
    assert made == [
        {"role": "tool", "tool_call_id": "a", "content": "Here."},
        {"role": "tool", "tool_call_id": "b", "content": "Error: No file."},
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "From the result of the tool call a:"},
                IMAGE,
                {"type": "text", "text": "Look."},
            ],
        },
    ]


def test_chat_leaves_out_an_effort_beside_thinking_that_is_off() -> None:
    given = {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}
    made = chat(HELLO, given)
    assert (made.params, made.dropped) == ({}, ["output_config.effort"])


def test_chat_names_the_tools_that_a_search_found() -> None:
    found = [{"type": "tool_reference", "tool_name": "look_up"}]
    (made,) = user({"type": "tool_result", "tool_use_id": "a", "content": found})
    assert made["content"] == "The tool look_up."


def test_chat_keeps_system_messages_where_they_stand() -> None:
    made = chat(
        [*HELLO, {"role": "system", "content": [{"type": "text", "text": "Be kind."}]}],
        {"system": "Be brief."},
    )
    assert [(m["role"], m["content"]) for m in made.messages] == [
        ("system", "Be brief."),
        ("user", "Hello"),
        ("system", "Be kind."),
    ]


def test_chat_maps_an_earlier_answer() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "text", "text": "I "},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "text", "text": "look."},
        {"type": "tool_use", "id": "a", "name": "look_up", "input": {"word": "cat"}},
    ]
    made = chat([*HELLO, {"role": "assistant", "content": blocks}], {})
    function = {"name": "look_up", "arguments": '{"word":"cat"}'}
    assert made.messages[1] == {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "Hm.",
        "tool_calls": [{"id": "a", "type": "function", "function": function}],
    }
    assert made.dropped == ["server_tool_use"]


def test_chat_keeps_marks_of_the_cache_for_who_takes_them() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    text = {"type": "text", "text": "Hi", **mark}
    call = {"type": "tool_use", "id": "a", "name": "look_up", "input": {}, **mark}
    messages: Any = [
        {"role": "user", "content": [text]},
        {"role": "assistant", "content": [text, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", **mark}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "b", "content": [text]}],
        },
    ]
    params = {"system": [text], "tools": [{**TOOL, **mark}], **mark}
    kept = chat(messages, params, keeps_marks=True)
    assert kept.dropped == []
    system, user, assistant, *results = kept.messages
    assert system["content"] == user["content"] == [text]
    assert assistant["cache_control"] == mark["cache_control"]
    assert assistant["tool_calls"][0]["cache_control"] == mark["cache_control"]
    assert [result["cache_control"] for result in results] == [mark["cache_control"]] * 2
    assert kept.params == {"tools": [{**FUNCTION, **mark}], **mark}
    left_out = chat(messages, params)
    assert left_out.dropped == ["cache_control"]
    assert "cache_control" not in str((left_out.messages, left_out.params))


def test_messages_marks_what_claude_caches_at_vertex() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    text = {"type": "text", "text": "Hi", **mark}
    given = {"system": [text], "tools": [{**TOOL, **mark}], "max_tokens": 9, "api_key": "token"}
    given["model_kwargs"] = {"vertex_project": "p", "vertex_location": "us-east5"}
    messages = [{"role": "user", "content": [text]}]
    _, job = bridged_job("vertex_ai/claude-sonnet-4-5", messages, False, given)
    call = get_provider("vertex_ai").build(job.request, job.deployments[0])
    assert isinstance(call, HTTPCall)
    body = json.loads(call.body)
    assert (body["system"], body["messages"]) == ([text], messages)
    assert body["tools"] == [{**TOOL, **mark}]


def test_chat_leaves_out_an_answer_that_says_nothing() -> None:
    signed = {"type": "redacted_thinking", "data": "of Anthropic"}
    assert len(chat([*HELLO, {"role": "assistant", "content": [signed]}], {}).messages) == 1


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"role": "user", "content": 5}, "content must be"),
        ({"role": "user", "content": ["Hi"]}, "content must be"),
        ({"role": "king", "content": "Hi"}, "the role 'king'"),
        ({"role": "user", "content": [{"type": "container_upload"}]}, "'container_upload'"),
        ({"role": "user", "content": [{"type": "image"}]}, "must have a source"),
        (
            {
                "role": "user",
                "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}],
            },
            "other providers cannot read",
        ),
        (
            {"role": "user", "content": [{"type": "tool_result", "content": ["x"]}]},
            "a block must be a mapping",
        ),
        (
            {
                "role": "assistant",
                "content": [{"type": "redacted_thinking", "data": "llmroute:%%"}],
            },
            "was changed",
        ),
    ],
)
def test_chat_names_the_message_that_it_cannot_read(message: Any, told: str) -> None:
    with pytest.raises(BadRequestError, match=rf"messages\[1\]: .*{told}") as raised:
        chat([*HELLO, message], {})
    assert raised.value.param == "messages[1]"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"system": 5}, "system"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"tools": ["look_up"]}, "tools"),
    ],
)
def test_messages_checks_values_before_anything_is_sent(given: Any, told: str) -> None:
    with pytest.raises(BadRequestError, match=told):
        llmroute.messages("openai/m", HELLO, api_key="k", api_base="http://127.0.0.1:1/v1", **given)


@pytest.mark.parametrize("name", ["mcp_servers", "max_token"])
def test_messages_refuses_by_name_what_cannot_be_asked(name: str) -> None:
    given: Any = {name: [{"type": "url", "url": "https://x.test"}]}
    with pytest.raises(UnsupportedParamsError, match=name):
        llmroute.messages("openai/m", HELLO, api_key="k", **given)


@pytest.mark.parametrize("messages", [[], 5, ["Hello"]])
def test_messages_refuses_what_is_no_list_of_messages(messages: Any) -> None:
    with pytest.raises(BadRequestError, match="messages must be"):
        llmroute.messages("openai/m", messages, api_key="k")
