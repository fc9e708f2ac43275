"""OpenAI's messages as turns of typed parts."""

from __future__ import annotations

from typing import Any

import pytest

from llmroute.errors import BadRequestError
from llmroute.providers.conversation import (
    Call,
    Media,
    Raw,
    Result,
    Text,
    Thinking,
    conversation,
    leading_system,
    text_of,
)


def parts(content: Any) -> Any:
    (turn,) = conversation([{"role": "user", "content": content}])
    return list(turn.parts)


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ("plain", Text("plain")),
        ({"type": "text", "text": "a"}, Text("a")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            Text("a", {"type": "ephemeral"}),
        ),
        ({"type": "refusal", "refusal": "no"}, Text("no")),
        (
            {"type": "image_url", "image_url": "data:image/png;base64,aGk="},
            Media("image", "image/png", data="aGk="),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://h/a.JPG?x=1", "detail": "low"}},
            Media("image", "image/jpeg", url="https://h/a.JPG?x=1", detail="low"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
            Media("audio", "audio/mpeg", data="aGk="),
        ),
        (
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
            },
            Media("document", "application/pdf", data="aGk=", name="a.pdf"),
        ),
        ({"type": "file", "file": {"file_id": "f-1"}}, Media("document", None, file_id="f-1")),
        (
            {"type": "file", "file": {"file_id": "gs://b/a.mp4"}},
            Media("video", "video/mp4", url="gs://b/a.mp4"),
        ),
        ({"type": "of_tomorrow", "x": 1}, Raw({"type": "of_tomorrow", "x": 1})),
    ],
)
def test_conversation_reads_parts(part: Any, read: Any) -> None:
    assert parts([part]) == [read]


def test_conversation_reads_a_tool_loop() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    turns = conversation(
        [
            {"role": "system", "content": "Be short."},
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "Go"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Hm.",
                "tool_calls": [{**call, "extra_content": {"s": "S"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "42", "is_error": True},
        ]
    )
    system, rest = leading_system(turns)
    assert [text_of(turn.parts) for turn in system] == ["Be short.", "Be kind."]
    assert [turn.role for turn in rest] == ["user", "assistant", "tool"]
    thinking, made = rest[1].parts
    assert thinking == Thinking("Hm.")
    assert made == Call("c1", "f", '{"x": 1}', {"extra_content": {"s": "S"}})
    assert isinstance(made, Call)
    assert made.parsed() == {"x": 1}
    assert rest[2].parts == (Result("c1", (Text("42"),), "f", is_error=True),)


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ({"role": "wizard", "content": "a"}, "role 'wizard' is unknown"),
        ({"role": "user", "content": [1]}, "must be a mapping"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "function with a name"),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "file_data or file_id"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": "data:,x"}]},
            "must be base64",
        ),
    ],
)
def test_conversation_names_the_message_it_cannot_read(message: Any, what: str) -> None:
    with pytest.raises(BadRequestError, match=what) as caught:
        conversation([{"role": "user", "content": "a"}, message])
    assert caught.value.param == "messages[1]"
    assert str(caught.value).startswith("messages[1]: ")


def test_media_content_and_call_arguments_that_cannot_be_read() -> None:
    with pytest.raises(BadRequestError, match="not base64"):
        Media("image", None, data="§§").content()
    with pytest.raises(BadRequestError, match="are not JSON"):
        Call("c", "f", "{").parsed()
    assert Media("image", None, data="aGk=").content() == b"hi"
    assert Call("c", "f", " ").parsed() == {}
