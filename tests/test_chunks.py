"""Chunks back into a completion, and what counts as a whole stream."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from llmroute.chunks import (
    ChatAssembler,
    MissingChoicesWarning,
    TextAssembler,
    as_chunk,
    expected_choices,
    warn_of_missing,
)
from llmroute.types.chat import ChatCompletion, Message
from llmroute.types.chat_chunk import ChatCompletionChunk
from llmroute.types.chat_request import ChatRequest
from llmroute.types.request import Request
from llmroute.types.text import TextCompletion, TextRequest


def chunk(*choices: dict[str, Any], **extra: Any) -> ChatCompletionChunk:
    return ChatCompletionChunk.model_validate(
        {"id": "c", "created": 7, "model": "m", "choices": list(choices), **extra}
    )


def piece(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def collected(*chunks: ChatCompletionChunk) -> ChatAssembler:
    assembler = ChatAssembler()
    for one in chunks:
        assembler.add(one)
    return assembler


def assembled(*chunks: ChatCompletionChunk) -> ChatCompletion:
    return collected(*chunks).completion()


def chat(**fields: Any) -> ChatRequest:
    return ChatRequest(model="acme/m", messages=[{"role": "user", "content": "Hi"}], **fields)


def prompt(prompt: Any, **fields: Any) -> TextRequest:
    return TextRequest(model="acme/m", prompt=prompt, **fields)


def call(index: int, call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_completion_has_text_usage_and_bookkeeping() -> None:
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


def test_completion_has_no_usage_that_did_not_come() -> None:
    assert assembled(chunk(piece(content="x", finish="stop"))).usage is None


def test_completion_joins_parallel_tool_calls() -> None:
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


def test_completion_tells_choices_apart() -> None:
    whole = assembled(
        chunk(piece(1, content="b")),
        chunk(piece(0, content="a"), piece(1, content="B", finish="length")),
        chunk(piece(0, content="A", finish="stop")),
    )
    assert [c.message.content for c in whole.choices] == ["aA", "bB"]
    assert [c.finish_reason for c in whole.choices] == ["stop", "length"]


def test_completion_keeps_logprobs_reasoning_refusal_and_unknown_fields() -> None:
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


LATE = {
    "text": chunk(piece(content="more")),
    "a tool call": chunk(piece(tool_calls=[call(0, "a", "f", "")])),
    "another reason": chunk(piece(finish="length")),
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_missing_lacks_an_end_mark_where_a_choice_went_on(late: ChatCompletionChunk) -> None:
    assembler = collected(chunk(piece(content="x")), chunk(piece(finish="stop")), late)
    assert "went on after its finish reason" in str(assembler.missing(marked=False))
    assert assembler.missing(marked=True) is None
    assert not assembler.settled


@pytest.mark.parametrize(
    "late",
    [
        chunk(piece(finish="stop")),
        chunk(piece(finish="stop"), usage=USAGE),
        chunk(piece(content="", role="assistant")),
        chunk({**piece(), "native_finish_reason": "stop"}),
        chunk(usage=USAGE),
    ],
)
def test_missing_lacks_nothing_where_the_end_is_repeated(late: ChatCompletionChunk) -> None:
    assembler = collected(chunk(piece(content="x", finish="stop")), late)
    assert assembler.missing(marked=False) is None
    assert assembler.completion().text == "x"
    assert assembler.completion().choices[0].finish_reason == "stop"


def test_add_puts_together_a_stream_with_a_reason_in_every_chunk() -> None:
    assembler = collected(
        chunk(piece(reasoning_content="hm", finish="stop")),
        chunk(piece(content="Hel", finish="stop"), usage=USAGE),
    )
    assert not assembler.settled, "more may come"
    assembler.add(chunk(piece(content="lo", finish="length")))
    whole = assembler.completion()
    assert (whole.text, whole.choices[0].finish_reason) == ("Hello", "length")


@pytest.mark.parametrize("late", [chunk(usage=USAGE), chunk(piece(finish="stop"), usage=USAGE)])
def test_settled_by_usage_apart_from_an_answer_in_one_piece(late: ChatCompletionChunk) -> None:
    assembler = collected(chunk(piece(content="x", finish="stop")))
    assert not assembler.settled
    assembler.add(late)
    assert assembler.settled


@pytest.mark.parametrize(
    ("delta", "says"),
    [
        ({"tool_calls": [{"index": 0}]}, False),
        ({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}, False),
        ({"function_call": {"arguments": ""}}, False),
        ({"tool_calls": [{"index": 0, "id": "a"}]}, True),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}, True),
        ({"tool_calls": [{"index": 0, "custom": {"input": "x"}}]}, True),
        ({"function_call": {"name": "f"}}, True),
    ],
)
def test_says_something_only_where_a_call_has_content(delta: dict[str, Any], says: bool) -> None:
    assert collected(chunk(piece(**delta))).says_something is says


def test_settled_once_nothing_but_the_end_mark_is_missing() -> None:
    assembler = ChatAssembler(expected=2)
    steps = [
        chunk(piece(0, content="a"), piece(1, content="b")),
        chunk(piece(0, finish="stop")),
        chunk(usage=USAGE),
        chunk(piece(1, finish="stop")),
    ]
    settled = []
    for step in steps:
        assembler.add(step)
        settled.append(assembler.settled)
    assert settled == [False, False, False, True]


@pytest.mark.parametrize(
    ("chunks", "expected", "missing"),
    [
        ([], 1, "it brought no choices"),
        ([chunk(usage=USAGE)], 1, "it brought no choices"),
        ([chunk(piece(content="x"))], 1, "choice 0 has no finish reason"),
        ([chunk({**piece(), "native_finish_reason": None})], 1, "choice 0 has no finish reason"),
        ([chunk({**piece(), "native_finish_reason": ""})], 1, "choice 0 has no finish reason"),
        ([chunk(piece(finish="stop"))], 2, "only 1 of 2 choices came"),
        ([chunk(piece(0, finish="stop"), piece(1))], 1, "choice 1 has no finish reason"),
        ([chunk(piece(finish="stop"))], 1, None),
        ([chunk({**piece(), "native_finish_reason": "odd"})], 1, None),
    ],
)
def test_missing(chunks: list[ChatCompletionChunk], expected: int, missing: str | None) -> None:
    assembler = ChatAssembler(expected)
    for one in chunks:
        assembler.add(one)
    assert assembler.missing(marked=False) == missing
    assert assembler.missing(marked=True) == missing


def test_missing_needs_content_where_no_reasons_are_given() -> None:
    assembler = ChatAssembler()
    assembler.add(chunk(piece(role="assistant", content="")))
    assert assembler.missing(marked=True, needs_reasons=False) is not None
    assembler.add(chunk(piece(content="x")))
    assert assembler.missing(marked=False, needs_reasons=False) is not None
    assert assembler.missing(marked=True, needs_reasons=False) is None
    assert assembler.completion().choices[0].finish_reason is None


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (chunk(piece(role="assistant", content="")), False),
        (chunk(piece(name="")), False),
        (chunk(), False),
        (chunk(piece(content=" ")), True),
        (chunk(piece(reasoning_content="x")), True),
        (chunk(piece(refusal="x")), True),
        (chunk(piece(tool_calls=[call(0, "a", "f", "")])), True),
        (chunk(piece(function_call={"arguments": "{"})), True),
        (chunk(piece(audio={"data": "AA"})), True),
        (chunk(piece(reasoning_details=[{}])), True),
        (chunk(piece(finish="stop")), True),
        (chunk(usage=USAGE), True),
    ],
    ids=str,
)
def test_says_something(step: ChatCompletionChunk, says: bool) -> None:
    assembler = ChatAssembler()
    assembler.add(step)
    assert (assembler.says_something, assembler.spoke) == (says, says)
    assembler.add(chunk(piece()))
    assert (assembler.says_something, assembler.spoke) == (False, says)


@pytest.mark.parametrize("shows_usage", [False, True])
def test_add_shows_the_usage_to_those_who_asked(shows_usage: bool) -> None:
    assembler = ChatAssembler(shows_usage=shows_usage)
    assert assembler.add(chunk(piece(content="x"), usage=USAGE))
    assert assembler.add(chunk())
    assert assembler.add(chunk(usage=USAGE)) is shows_usage


@pytest.mark.parametrize(
    ("request_", "dropped", "expected"),
    [
        (chat(), (), 1),
        (chat(params={"n": 3}), (), 3),
        (chat(params={"n": 3}), ("n",), 1),
        (chat(extra_body={"n": 2}), (), 2),
        (chat(extra_body={"n": "many"}), (), 1),
        (prompt("a", params={"n": 2}), (), 2),
        (prompt(["a", "b"], params={"n": 2}), (), 4),
        (prompt([1, 2, 3]), (), 1),
    ],
)
def test_expected_choices(request_: Request, dropped: tuple[str, ...], expected: int) -> None:
    assert expected_choices(request_, dropped) == expected


def test_warn_of_missing_choices() -> None:
    whole = assembled(chunk(piece(content="x", finish="stop")))
    with pytest.warns(MissingChoicesWarning, match="m has 1 of the 3 choices") as caught:
        warn_of_missing(whole, 3)
    assert caught[0].filename == __file__
    warn_of_missing(whole, 1)


def test_completion_invents_no_end() -> None:
    part = assembled(chunk(piece(content="Hel")))
    assert part.text == "Hel"
    assert part.choices[0].finish_reason is None
    assert part.usage is None


@given(st.text(), st.lists(st.integers(min_value=0, max_value=50), max_size=8))
def test_completion_joins_any_text_cut_anywhere(text: str, cuts: list[int]) -> None:
    borders = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    pieces = [text[a:b] for a, b in pairwise(borders)]
    chat, plain = ChatAssembler(), TextAssembler()
    for part in [*pieces, ""]:
        chat.add(chunk(piece(content=part)))
        plain.add(text_chunk(part))
    assert chat.completion().text == text
    assert plain.completion().text == text


def test_completion_joins_sound_and_keeps_moderation() -> None:
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


def test_text_assembler() -> None:
    assembler = TextAssembler()
    assembler.add(text_chunk("a"))
    assert assembler.missing(marked=False) == "choice 0 has no finish reason"
    assembler.add(text_chunk("b", "stop", usage=USAGE))
    assert assembler.missing(marked=False) is None
    assert assembler.settled
    whole = assembler.completion()
    assert whole.text == "ab"
    assert whole.usage is not None
    assembler.add(text_chunk("c"))
    assert assembler.missing(marked=False) is not None
    assert assembler.missing(marked=True) is None
    assert assembler.completion().text == "abc"


def test_as_chunk_and_back() -> None:
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


def said(*deltas: dict[str, Any]) -> Message:
    return assembled(*[chunk(piece(**delta)) for delta in deltas], chunk(piece(finish="stop")))[
        "choices"
    ][0].message


def calls_of(*pieces: dict[str, Any], finish: str | None = "tool_calls") -> list[Any]:
    chunks = [chunk(piece(tool_calls=[one])) for one in pieces]
    whole = assembled(*chunks, chunk(piece(finish=finish)))
    return [found.to_dict() for found in whole.choices[0].message.tool_calls or ()]


def test_completion_keeps_extras_of_calls_byte_for_byte() -> None:
    signature = {"google": {"thought_signature": "a/b+c=="}}
    first = {**call(0, "a", "f", ""), "type": "function", "extra_content": signature}
    first["function"]["strict"] = True
    (found,) = calls_of(first, {**call(0, None, None, "{}"), "extra_content": None, "seen": 1})
    assert found["extra_content"] == signature
    assert found["seen"] == 1
    assert found["function"] == {"name": "f", "arguments": "{}", "strict": True}


def test_completion_joins_a_name_in_parts_and_not_a_repeated_one() -> None:
    assert calls_of(call(0, "a", "edit_ex", ""), call(0, None, "isting", "{}"))[0]["function"] == {
        "name": "edit_existing",
        "arguments": "{}",
    }
    assert calls_of(call(0, "a", "f", "{"), call(0, "a", "f", "}"))[0]["function"] == {
        "name": "f",
        "arguments": "{}",
    }


@pytest.mark.parametrize(
    ("said", "finish", "arguments"),
    [(None, "tool_calls", "{}"), (None, "length", ""), (None, None, ""), ("", "tool_calls", "")],
)
def test_completion_fills_in_arguments_that_were_left_out_of_a_whole_call(
    said: str | None, finish: str | None, arguments: str
) -> None:
    (found,) = calls_of(
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": said}}, finish=finish
    )
    assert found["function"]["arguments"] == arguments


def test_completion_joins_a_call_of_a_custom_tool() -> None:
    custom = [{"name": "py", "input": ""}, {"input": "print("}, {"input": "1)"}]
    pieces = [{"index": 0, "id": "a", "type": "custom", "custom": part} for part in custom]
    assert calls_of(*pieces) == [
        {"id": "a", "type": "custom", "custom": {"name": "py", "input": "print(1)"}}
    ]


def test_completion_leaves_out_a_call_of_which_nothing_came() -> None:
    assert calls_of({"index": 0, "id": None, "function": {"name": None, "arguments": ""}}) == []
    assert said({"tool_calls": [{"index": 0}], "content": None}).content == ""


def test_completion_joins_a_call_in_the_older_form() -> None:
    message = said(
        {"content": None, "function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"x":'}},
        {"function_call": {"arguments": "1}"}},
    )
    assert message.content is None
    assert message.function_call is not None
    assert message.function_call.to_dict() == {"name": "f", "arguments": '{"x":1}'}


def test_completion_joins_no_constants() -> None:
    message = said(
        {"name": "Bot", "audio_content": "", "reasoning": "ha"},
        {"name": "Bot", "audio_content": "", "reasoning": "ha", "content": "x"},
    )
    assert (message["name"], message["audio_content"], message["reasoning"]) == ("Bot", "", "haha")


def test_completion_joins_reasoning_details_of_one_index() -> None:
    def detail(index: int | None = 0, kind: str | None = "reasoning.text", **more: Any) -> Any:
        named = {"type": kind} if kind else {}
        return {"reasoning_details": [{**named, "index": index, **more}]}

    message = said(
        detail(text="Let", format="f"),
        detail(text=" me", format="f"),
        detail(kind=None, text=" see."),
        detail(signature="S+/="),
        detail(kind="reasoning.encrypted", data="AA", id="r1"),
        detail(kind="reasoning.encrypted", data="BB", id="r2"),
        detail(1, text="Then"),
        detail(None, text="apart"),
        detail(None, text="apart"),
        {"reasoning_details": ["odd"]},
    )
    text, encrypted = {"type": "reasoning.text"}, {"type": "reasoning.encrypted"}
    assert message["reasoning_details"] == [
        {**text, "index": 0, "text": "Let me see.", "format": "f", "signature": "S+/="},
        {**encrypted, "index": 0, "data": "AA", "id": "r1"},
        {**encrypted, "index": 0, "data": "BB", "id": "r2"},
        {**text, "index": 1, "text": "Then"},
        {**text, "index": None, "text": "apart"},
        {**text, "index": None, "text": "apart"},
        "odd",
    ]


def test_completion_is_not_overwritten_by_fields_that_have_its_names() -> None:
    stray = {"role": "assistant", "content": "lo", "tool_calls": 1}
    whole = assembled(
        chunk({**piece(content="hel"), "message": {**stray, "content": "hel"}}, metadata={"a": 1}),
        chunk({**piece(content="lo", annotations=5), "message": stray}, metadata=None),
        chunk({**piece(finish="stop"), "message": None}),
    )
    assert whole.text == "hello"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.choices[0]["native_message"] == stray
    assert whole.choices[0].message["native_annotations"] == 5
    assert whole["native_metadata"] == {"a": 1}


EXTRAS = st.dictionaries(
    st.sampled_from(
        [
            "message",
            "index",
            "finish_reason",
            "metadata",
            "annotations",
            "audio_tokens",
            "id",
            "choices",
            "name",
            "role",
            "reasoning_details",
            "images",
            "delta",
            "usage",
            "x",
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ),
)


@given(st.lists(st.tuples(EXTRAS, EXTRAS, EXTRAS, st.text(max_size=3)), max_size=4))
def test_completion_says_what_the_chunks_said_whatever_comes_beside(
    pieces: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]],
) -> None:
    chunks = []
    for top, beside, within, text in pieces:
        one = chunk(piece(content=text))
        one.__pydantic_extra__ = {k: v for k, v in top.items() if k not in type(one).model_fields}
        choice = one.choices[0]
        choice.__pydantic_extra__ = {k: v for k, v in beside.items() if k not in ("index", "delta")}
        choice.delta.__pydantic_extra__ = {k: v for k, v in within.items() if k != "role"}
        chunks.append(one)
    whole = assembled(*chunks)
    assert whole.text == "".join(text for *_, text in pieces)
    assert len(whole.choices) == bool(pieces)


def test_add_takes_a_great_many_choices_in_little_time() -> None:
    def seconds(choices: int) -> float:
        assembler = ChatAssembler()
        one = chunk(*[piece(index, content="x", finish="stop") for index in range(choices)])
        started = time.process_time()
        assembler.add(one)
        assert assembler.missing(marked=False) is None
        return time.process_time() - started

    assert seconds(40_000) < 100 * seconds(4_000) + 1
