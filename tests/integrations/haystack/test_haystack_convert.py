"""Haystack's messages in OpenAI's shape and back."""

from __future__ import annotations

import json

import pytest
from haystack.dataclasses import (
    ChatMessage,
    ImageContent,
    ReasoningContent,
    TextContent,
    ToolCall,
)
from haystack.tools import Tool
from hypothesis import given, strategies as st

from haystack_integrations.components.generators.llmroute._convert import (
    to_messages,
    to_replies,
    to_tools,
    usage_dict,
)
from llmroute.types.chat import ChatCompletion
from llmroute.types.usage import Usage

PIXEL = "iVBORw0KGgo="  # how any PNG begins
CALL = ToolCall(id="c", tool_name="weather", arguments={"city": "Zürich"})


def image(mime_type="image/png", **options):
    return ImageContent(base64_image=PIXEL, mime_type=mime_type, validation=False, **options)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (ChatMessage.from_system("Be"), {"role": "system", "content": "Be"}),
        (ChatMessage.from_user("Hi"), {"role": "user", "content": "Hi"}),
        (ChatMessage.from_user(""), {"role": "user", "content": ""}),
        (
            ChatMessage.from_user("Hi", name="ann"),
            {"role": "user", "content": "Hi", "name": "ann"},
        ),
        (ChatMessage.from_assistant("Yes"), {"role": "assistant", "content": "Yes"}),
        (ChatMessage.from_assistant(), {"role": "assistant", "content": ""}),
        (
            ChatMessage.from_assistant("Yes", reasoning=ReasoningContent("Hm")),
            {"role": "assistant", "content": "Yes", "reasoning_content": "Hm"},
        ),
        (
            ChatMessage.from_assistant("", meta={"refusal": "No."}),
            {"role": "assistant", "content": "", "refusal": "No."},
        ),
        (
            ChatMessage.from_tool([TextContent("one"), TextContent("two")], origin=CALL),
            {
                "role": "tool",
                "tool_call_id": "c",
                "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
            },
        ),
        (
            ChatMessage.from_user(content_parts=["a", image(detail="low"), "b", image()]),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"},
                    },
                    {"type": "text", "text": "b"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                ],
            },
        ),
    ],
)
def test_to_messages(message, expected):
    assert to_messages([message]) == [expected]


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "webp"])
def test_to_messages_checks_image_types(kind):
    message = ChatMessage.from_user(content_parts=[image(f"image/{kind}")])
    assert to_messages([message], image_types={f"image/{kind}"})
    with pytest.raises(ValueError, match=f"image/{kind}"):
        to_messages([message], image_types={"image/bmp"})


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (ChatMessage.from_user(content_parts=[image(None)]), "mime_type"),
        (ChatMessage.from_tool([image()], origin=CALL), "must be text"),
        (ChatMessage.from_tool("x", origin=ToolCall("weather", {})), "has no id"),
        (ChatMessage.from_assistant(tool_calls=[ToolCall("weather", {})]), "has no id"),
    ],
)
def test_to_messages_refuses_what_has_no_place_in_openais_shape(message, problem):
    with pytest.raises(ValueError, match=problem):
        to_messages([message])


def test_to_tools_makes_every_object_strict_in_a_copy():
    """Also an object that may be null, and one in a definition."""
    day = {"type": ["object", "null"], "properties": {"name": {"type": "string"}}}
    place = {"anyOf": [{"$ref": "#/$defs/day"}, {"type": "object", "properties": {"day": day}}]}
    parameters = {
        "type": "object",
        "properties": {"day": day, "places": {"type": "array", "items": place}},
        "$defs": {"day": day},
    }
    tool = Tool(name="f", description="d", parameters=parameters, function=print)
    before = json.dumps(tool.tool_spec)
    (sent,) = to_tools([tool], strict=True)
    closed = {**day, "additionalProperties": False, "required": ["name"]}
    schema = sent["function"]["parameters"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["day"] == schema["$defs"]["day"] == closed
    inner = schema["properties"]["places"]["items"]["anyOf"][1]
    assert inner["properties"]["day"] == closed
    assert (inner["additionalProperties"], inner["required"]) == (False, ["day"])
    assert json.dumps(tool.tool_spec) == before


texts = st.text(max_size=20)
calls = st.builds(
    ToolCall,
    tool_name=st.text(min_size=1, max_size=10),
    arguments=st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=3),
    id=st.text(min_size=1, max_size=8),
)


@given(text=texts, calls=st.lists(calls, max_size=3), thought=texts)
def test_replies_become_the_same_messages_again(text, calls, thought):
    said = ChatMessage.from_assistant(text or None, tool_calls=calls, reasoning=thought or None)
    (message,) = to_messages([said])
    choices = [{"index": 0, "message": json.loads(json.dumps(message)), "finish_reason": "stop"}]
    answer = ChatCompletion.model_validate(
        {"id": "1", "created": 1, "model": "m", "choices": choices}
    )
    (reply,) = to_replies(answer)
    assert reply.text == (text or (None if calls or thought else ""))
    assert reply.tool_calls == calls
    assert (reply.reasoning.reasoning_text if thought else reply.reasoning) == (thought or None)


def test_usage_dict_leaves_out_unknown_values():
    usage = Usage.model_validate(
        {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": None, "audio_tokens": 0},
            "completion_tokens_details": None,
            "seconds": 0.5,
        }
    )
    assert usage_dict(usage) == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"audio_tokens": 0},
        "seconds": 0.5,
    }
    assert usage_dict(None) == {}


def test_to_replies_keeps_logprobs_and_refusals():
    entry = {"token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": []}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": "No."},
        "finish_reason": "content_filter",
        "logprobs": {"content": [entry], "refusal": None},
    }
    (reply,) = to_replies(
        ChatCompletion.model_validate({"id": "1", "created": 1, "model": "m", "choices": [choice]})
    )
    assert reply.text is None
    assert reply.meta["refusal"] == "No."
    assert reply.meta["finish_reason"] == "content_filter"
    assert reply.meta["logprobs"]["content"] == [entry]
