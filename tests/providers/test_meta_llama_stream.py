"""Streams of both surfaces, in one piece, byte by byte, and cut at every border."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from llmroute.chunks import assembler
from llmroute.errors import APIError, APIResponseValidationError, InternalServerError
from llmroute.providers import get_provider
from llmroute.sse import BodySplitter
from llmroute.types.chat import ChatCompletion
from llmroute.types.chat_chunk import ChatCompletionChunk
from llmroute.types.chat_request import ChatRequest

WIRE = Path(__file__).parent.parent / "wire" / "llama_api" / "synthetic"
MODEL = "Llama-4-Maverick-17B-128E-Instruct-FP8"
provider = get_provider("meta_llama")


class Reading:
    """A stream being read: what came, and what it stands for."""

    def __init__(self) -> None:
        request = ChatRequest(
            model=f"meta_llama/{MODEL}",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            call_id="c0ffee",
            created=1746107585,
        )
        self.decoder = provider.decoder(request)
        self.chunks: list[ChatCompletionChunk] = []
        self._body = BodySplitter()
        self._assembler = assembler(request)

    def read(self, pieces: Any) -> Reading:
        for piece in pieces:
            self._take(self._body.feed(piece))
        self._take(self._body.flush())
        return self

    def _take(self, events: Any) -> None:
        for event in events:
            for chunk in self.decoder.feed(event):
                assert isinstance(chunk, ChatCompletionChunk)
                self.chunks.append(chunk)
                self._assembler.add(chunk)

    @property
    def completion(self) -> ChatCompletion:
        completion = self._assembler.completion()
        assert isinstance(completion, ChatCompletion)
        return completion


def read(*pieces: bytes) -> Reading:
    return Reading().read(pieces)


def native(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps({"event": e}).encode() for e in events)


def text(kind: str, words: str = "", **more: Any) -> dict[str, Any]:
    return {"event_type": kind, "delta": {"type": "text", "text": words}, **more}


def call(arguments: str | None = None, **more: Any) -> dict[str, Any]:
    name = more.pop("name", None)
    function = {k: v for k, v in {"name": name, "arguments": arguments}.items() if v is not None}
    return {
        "event_type": "progress",
        "delta": {"type": "tool_call", "function": function, **more},
    }


def compat_stream() -> bytes:
    """OpenAI's chunks, with the quirks of the compat surface's plain answers."""

    def chunk(reason: str | None = None, **delta: Any) -> dict[str, Any]:
        choice = {
            "index": 0,
            "delta": {"refusal": "", "tool_calls": [], **delta},
            "finish_reason": reason,
            "logprobs": {"content": None, "refusal": None},
        }
        return head | {"choices": [choice]}

    head = {"id": "A", "object": "chat.completions.chunk", "created": 1746107585, "model": MODEL}
    usage = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
    payloads = [
        chunk(role="assistant", content=""),
        chunk(content="Hel"),
        chunk(content="lo — ünïcödé 🦙"),
        chunk("stop"),
        head | {"choices": [], "usage": usage},
    ]
    data = b"".join(
        b"data: %b\n\n" % json.dumps(payload, ensure_ascii=False).encode() for payload in payloads
    )
    return data + b"data: [DONE]\n\n"


TEXT = (WIRE / "native_stream_text.sse").read_bytes()
TOOL = (WIRE / "native_stream_tool.sse").read_bytes()
STREAMS = {"text": TEXT, "tool": TOOL, "compat": compat_stream()}


def cuts(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for border in range(1, len(data)):
        yield [data[:border], data[border:]]


def test_text() -> None:
    reading = read(TEXT)
    answer = reading.completion
    assert answer.text == "Hello"
    assert answer.id == "AmELyFD-msNOBO6Q1EaVGvs"
    assert (answer.model, answer.created) == (MODEL, 1746107585)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.to_dict() == {
        "completion_tokens": 2,
        "prompt_tokens": 11,
        "total_tokens": 13,
    }
    assert [chunk.text for chunk in reading.chunks] == ["", "Hel", "lo", "", ""]
    assert reading.chunks[0].choices[0].delta.role == "assistant"
    assert reading.chunks[-1].choices == []
    assert {chunk.id for chunk in reading.chunks} == {answer.id}
    assert reading.decoder.done


def test_tool_call() -> None:
    answer = read(TOOL).completion
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (tool_call,) = choice.message.tool_calls
    assert tool_call.to_dict() == {
        "id": "370eaccc-efb3-4bc6-85ed-20a99c165d1f",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"location":"Menlo Park"}'},
    }


def test_compat() -> None:
    reading = read(compat_stream())
    answer = reading.completion
    assert answer.text == "Hello — ünïcödé 🦙"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 13
    assert reading.decoder.done
    for chunk in reading.chunks:
        assert chunk.object == "chat.completion.chunk"
        for choice in chunk.choices:
            assert (choice.logprobs, choice.delta.refusal, choice.delta.tool_calls) == (
                None,
                None,
                None,
            )


@pytest.mark.parametrize("name", STREAMS)
def test_cut_anywhere(name: str) -> None:
    whole = read(STREAMS[name])
    for pieces in cuts(STREAMS[name]):
        reading = read(*pieces)
        assert reading.chunks == whole.chunks
        assert reading.decoder.done


@given(st.lists(st.text(), max_size=5), st.data())
def test_any_text_in_any_pieces(words: list[str], data: st.DataObject) -> None:
    events = [text("start"), *(text("progress", word) for word in words)]
    raw = native(*events, text("complete", stop_reason="stop"))
    border = data.draw(st.integers(0, len(raw)))
    assert read(raw[:border], raw[border:]).completion.text == "".join(words)


@pytest.mark.parametrize(
    "events",
    [
        [call(id="a", name="f"), call('{"x":'), call("1}"), call(id="b", name="g"), call("{}")],
        [
            call(id="a", name="f"),
            call(id="b", name="g"),
            call('{"x":', id="a"),
            call("{}", id="b"),
            call("1}", id="a"),
        ],
        [call('{"x":1}', id="a", name="f"), call("{}", id="b", name="g")],
    ],
    ids=["one after the other", "in turns", "whole"],
)
def test_parallel_calls_are_told_apart_by_their_ids(events: list[Any]) -> None:
    answer = read(native(*events, text("complete", stop_reason="tool_calls"))).completion
    calls = answer.choices[0].message.tool_calls or []
    assert [
        (c.id, c.function.name, c.function.arguments) for c in calls if c.function is not None
    ] == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_calls_without_ids_get_one() -> None:
    events = [call("{}", name="f"), call("[]", name="g")]
    answer = read(native(*events, text("complete", stop_reason="tool_calls"))).completion
    calls = answer.choices[0].message.tool_calls or []
    assert [(c.id, c.function and c.function.name) for c in calls] == [
        ("call_c0ffee_0_0", "f"),
        ("call_c0ffee_0_1", "g"),
    ]


def test_no_reason_is_invented() -> None:
    half = TEXT[: TEXT.index(b"complete")]
    reading = Reading()
    with pytest.raises(APIResponseValidationError, match="not JSON"):
        reading.read([half])
    assert reading.completion.text == "Hello"
    assert reading.completion.choices[0].finish_reason is None
    assert not reading.decoder.done
    silent = read(native(text("start"), text("progress", "a"), text("complete")))
    assert silent.completion.choices[0].finish_reason is None
    strange = read(native(text("progress", "a"), text("complete", stop_reason="bored")))
    assert strange.completion.choices[0].finish_reason is None
    assert strange.completion.choices[0]["native_finish_reason"] == "bored"


def test_the_line_in_the_official_tests() -> None:
    reading = read((WIRE / "native_stream_sdk_test_line.sse").read_bytes())
    assert reading.completion.text == "hi"
    assert not reading.decoder.done


BARE = (WIRE / "native_stream_midstream_error.sse").read_bytes()
PROBLEM = b'{"title":"Internal Server Error","detail":"boom","status":500}'


@pytest.mark.parametrize(
    ("data", "partial"),
    [
        (BARE, "Hel"),
        (PROBLEM, ""),
        (b"event: error\ndata: " + PROBLEM + b"\n\n", ""),
        (b"data: " + PROBLEM + b"\n\n", ""),
        (compat_stream().replace(b"data: [DONE]", PROBLEM), "Hello — ünïcödé 🦙"),
    ],
    ids=["recorded framing", "first", "event", "data", "compat"],
)
def test_errors_in_a_stream(data: bytes, partial: str) -> None:
    for pieces in cuts(data):
        reading = Reading()
        with pytest.raises(InternalServerError, match="boom") as caught:
            reading.read(pieces)
        assert caught.value.status_code == 500
        assert "".join(chunk.text for chunk in reading.chunks) == partial


@pytest.mark.parametrize(
    "data",
    [
        native(text("complete", stop_reason="stop"), text("progress", "more")),
        b'data: {"id": \n\n',
        b"data: 1\n\n",
        b'data: {"event": {"event_type": "progress", "delta": {"type": "text", "text": 1}}}\n\n',
        native(call(name=1)),
        b"event: error\ndata: boom\n\n",
    ],
)
def test_streams_that_break_the_protocol(data: bytes) -> None:
    with pytest.raises(APIError):
        read(data)


@pytest.mark.parametrize(
    "late",
    [
        native(text("complete", stop_reason="stop")),
        native(text("metrics")),
        b'data: {"event": 1}\n\n',
        b"event: ping\ndata: {}\n\n",
        TEXT,
    ],
)
def test_decoder_ignores_what_follows_the_metrics(late: bytes) -> None:
    reading = read(TEXT + late)
    assert reading.completion == read(TEXT).completion
    assert reading.decoder.done


def test_decoder_takes_a_plain_answer_of_either_surface() -> None:
    plain = {
        "completion_message": {
            "role": "assistant",
            "content": {"type": "text", "text": "Hi"},
            "stop_reason": "stop",
        }
    }
    for pieces in cuts(json.dumps(plain).encode()):
        reading = Reading().read(pieces)
        assert reading.completion.text == "Hi"
        assert reading.decoder.is_whole


def test_unknown_deltas_are_kept() -> None:
    delta = {"type": "thought", "thought": "hm"}
    reading = read(native({"event_type": "progress", "delta": delta}))
    assert reading.chunks[0].choices[0].delta["native_delta"] == delta


def test_unfinished_usage_is_kept_as_it_came() -> None:
    metrics = [{"metric": "num_prompt_tokens", "value": 3}]
    reading = read(native(text("complete", stop_reason="stop"), text("metrics", metrics=metrics)))
    assert reading.completion.usage is None
    assert reading.completion["metrics"] == metrics
