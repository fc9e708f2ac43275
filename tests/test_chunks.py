"""Chunks back into a completion, and what counts as a whole stream."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from llmroute.chunks import ChatAssembler, TextAssembler, as_chunk
from llmroute.errors import StreamInterruptedError
from llmroute.types.chat import ChatCompletion
from llmroute.types.chat_chunk import ChatCompletionChunk
from llmroute.types.text import TextCompletion


def chunk(*choices: dict[str, Any], **extra: Any) -> ChatCompletionChunk:
    return ChatCompletionChunk.model_validate(
        {"id": "c", "created": 7, "model": "m", "choices": list(choices), **extra}
    )


def piece(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def assembled(*chunks: ChatCompletionChunk) -> ChatCompletion:
    assembler = ChatAssembler()
    for one in chunks:
        assembler.add(one)
    return assembler.completion()


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_text_usage_and_bookkeeping() -> None:
    whole = assembled(
        chunk(piece(role="assistant", content="")),
        chunk(piece(content="Hel"), system_fingerprint="fp"),
        chunk(piece(content="lo")),
        chunk(piece(finish="stop")),
        chunk(usage=USAGE),
    )
    assert whole.text == "Hello"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.total_tokens == 3
    assert (whole.id, whole.created, whole.model) == ("c", 7, "m")
    assert whole.system_fingerprint == "fp"


def test_without_usage_there_is_none() -> None:
    assert assembled(chunk(piece(content="x", finish="stop"))).usage is None


def test_parallel_tool_calls_in_pieces() -> None:
    whole = assembled(
        chunk(piece(tool_calls=[call(0, "a", "f", "")])),
        chunk(piece(tool_calls=[call(0, None, None, '{"x"')])),
        chunk(piece(tool_calls=[call(1, "b", "g", "{}"), call(0, None, None, ":1}")])),
        chunk(piece(finish="tool_calls")),
    )
    message = whole.choices[0].message
    assert message.content is None
    assert message.tool_calls is not None
    found = [
        (c.id, c.function and (c.function.name, c.function.arguments)) for c in message.tool_calls
    ]
    assert found == [("a", ("f", '{"x":1}')), ("b", ("g", "{}"))]


def call(index: int, call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


def test_choices_stay_apart() -> None:
    whole = assembled(
        chunk(piece(1, content="b")),
        chunk(piece(0, content="a"), piece(1, content="B", finish="length")),
        chunk(piece(0, content="A", finish="stop")),
    )
    assert [c.message.content for c in whole.choices] == ["aA", "bB"]
    assert [c.finish_reason for c in whole.choices] == ["stop", "length"]


def test_logprobs_reasoning_refusal_and_unknown_fields_are_kept() -> None:
    token = {"token": "x", "logprob": -1.0, "bytes": [120], "top_logprobs": []}
    whole = assembled(
        chunk({**piece(reasoning_content="be", words=["a"]), "logprobs": {"content": [token]}}),
        chunk({**piece(reasoning_content="cause", words=["b"]), "logprobs": {"content": [token]}}),
        chunk(piece(refusal="no", finish="stop"), citations=["u"]),
    )
    choice = whole.choices[0]
    assert choice.message.reasoning_content == "because"
    assert choice.message.refusal == "no"
    assert choice.message["words"] == ["a", "b"]
    assert whole["citations"] == ["u"]
    assert choice.logprobs is not None
    assert len(choice.logprobs.content or ()) == 2


@pytest.mark.parametrize(
    "after",
    [
        chunk(piece(content="more")),
        chunk(piece(finish="stop")),
        chunk(piece(finish="length"), usage=USAGE),
        chunk(piece(tool_calls=[call(0, "a", "f", "")])),
    ],
    ids=["text", "a second end", "another end beside usage", "a tool call"],
)
def test_a_choice_that_goes_on_after_its_end(after: ChatCompletionChunk) -> None:
    assembler = ChatAssembler()
    assembler.add(chunk(piece(content="x", finish="stop")))
    with pytest.raises(StreamInterruptedError):
        assembler.add(after)


def test_an_end_repeated_beside_the_usage_is_harmless() -> None:
    whole = assembled(
        chunk(piece(content="x", finish="stop")), chunk(piece(finish="stop"), usage=USAGE)
    )
    assert whole.usage is not None
    assert whole.text == "x"


@pytest.mark.parametrize(
    ("chunks", "expected", "missing"),
    [
        ([], 1, "it brought no choices"),
        ([chunk(usage=USAGE)], 1, "it brought no choices"),
        ([chunk(piece(content="x"))], 1, "choice 0 has no finish reason"),
        ([chunk(piece(finish="stop"))], 2, "only 1 of 2 choices came"),
        ([chunk(piece(0, finish="stop"), piece(1))], 1, "choice 1 has no finish reason"),
        ([chunk(piece(finish="stop"))], 1, None),
        ([chunk({**piece(), "native_finish_reason": "odd"})], 1, None),
    ],
)
def test_what_is_missing(
    chunks: list[ChatCompletionChunk], expected: int, missing: str | None
) -> None:
    assembler = ChatAssembler()
    for one in chunks:
        assembler.add(one)
    assert assembler.missing(expected) == missing


def test_what_has_come_never_gets_an_invented_end() -> None:
    part = assembled(chunk(piece(content="Hel")))
    assert part.text == "Hel"
    assert part.choices[0].finish_reason is None
    assert part.usage is None


@given(st.text(), st.lists(st.integers(min_value=0, max_value=50), max_size=8))
def test_any_text_cut_anywhere(text: str, cuts: list[int]) -> None:
    borders = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    pieces = [text[a:b] for a, b in pairwise(borders)]
    chat, plain = ChatAssembler(), TextAssembler()
    for part in [*pieces, ""]:
        chat.add(chunk(piece(content=part)))
        plain.add(text_chunk(part))
    assert chat.completion().text == text
    assert plain.completion().text == text


def test_sound_is_joined_and_moderation_kept() -> None:
    whole = assembled(
        chunk(piece(audio={"id": "u", "transcript": "Hel"})),
        chunk(piece(audio={"id": "u", "transcript": "lo", "data": "AA"})),
        chunk(piece(audio={"data": "BB", "expires_at": 9})),
        chunk(piece(finish="stop"), moderation={"input": {"type": "x"}}, obfuscation="zzz"),
    )
    audio = {"id": "u", "transcript": "Hello", "data": "AABB", "expires_at": 9}
    assert whole["choices"][0]["message"]["audio"].to_dict() == audio
    assert whole.to_dict()["moderation"] == {"input": {"type": "x"}}
    assert "obfuscation" not in whole


def text_chunk(text: str, finish: str | None = None, **extra: Any) -> TextCompletion:
    choice = {"index": 0, "text": text, "finish_reason": finish}
    return TextCompletion.model_validate(
        {"id": "c", "created": 7, "model": "m", "choices": [choice], **extra}
    )


def test_text_completions() -> None:
    assembler = TextAssembler()
    assembler.add(text_chunk("a"))
    assert assembler.missing(1) == "choice 0 has no finish reason"
    assembler.add(text_chunk("b", "stop", usage=USAGE))
    assert assembler.missing(1) is None
    whole = assembler.completion()
    assert whole.text == "ab"
    assert whole.usage is not None
    with pytest.raises(StreamInterruptedError):
        assembler.add(text_chunk("c"))


def test_a_whole_completion_as_one_chunk_and_back() -> None:
    completion = ChatCompletion.model_validate(
        {
            "id": "c",
            "created": 7,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "a",
                                "type": "function",
                                "function": {"name": "f", "arguments": "{}"},
                            }
                        ],
                    },
                }
            ],
            "usage": USAGE,
        }
    )
    assert assembled(as_chunk(completion)).to_dict() == completion.to_dict()
