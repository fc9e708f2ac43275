"""Answers that differ from OpenAI's shape: whole, as a stream, and as the other of the two."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from llmroute.chunks import assembled, assembler, check_whole
from llmroute.errors import (
    APIError,
    APIResponseValidationError,
    BadGatewayError,
    InternalServerError,
    StreamInterruptedError,
)
from llmroute.providers.openai_like import OpenAILike
from llmroute.sse import BodySplitter
from llmroute.types.chat import ChatCompletion
from llmroute.types.chat_request import ChatRequest
from llmroute.types.embedding import EmbeddingRequest, EmbeddingResponse
from llmroute.types.request import Request
from llmroute.types.text import TextCompletion, TextRequest

PROVIDER = OpenAILike(name="acme", base_url="http://acme/v1")
CHAT = ChatRequest(
    model="acme/m",
    messages=[{"role": "user", "content": "Hi"}],
    call_id="c0ffee",
    created=1_700_000_000,
)
TEXT = TextRequest(model="acme/m", prompt="p", call_id="c0ffee")
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def whole_body(message: Any, reason: Any = "stop", choice: Any = None, **top: Any) -> bytes:
    one = {"index": 0, "message": message, "finish_reason": reason, **(choice or {})}
    return json.dumps(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [one],
            "usage": USAGE,
            **top,
        }
    ).encode()


def events(*payloads: Any, done: bool = True) -> bytes:
    datas = [p if isinstance(p, str) else json.dumps(p) for p in payloads]
    return "".join(f"data: {data}\n\n" for data in [*datas, *["[DONE]"] * done]).encode()


def piece(delta: Any, reason: Any = None, choice: Any = None, **top: Any) -> dict[str, Any]:
    one = {"index": 0, "delta": delta, "finish_reason": reason, **(choice or {})}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [one], **top}


def streamed_body(message: Any, reason: Any = "stop", choice: Any = None, **top: Any) -> bytes:
    """The same answer as two chunks."""
    usage = {"usage": USAGE} if "usage" not in top else {}
    return events(piece(message, None, choice, **top), piece({}, reason, **usage))


def read(body: bytes, request: Request = CHAT, provider: OpenAILike = PROVIDER) -> Any:
    """The completion in a body that was asked for as a stream."""
    splitter, decoder = provider.splitter({}), provider.decoder(request)
    collected = assembler(request)
    for part in (splitter.feed(body), splitter.flush()):
        for event in part:
            for chunk in decoder.feed(event):
                collected.add(chunk)
    check_whole(decoder, collected)
    return collected.completion()


def parse(body: bytes, request: Request = CHAT) -> Any:
    return PROVIDER.parse(body, request)


Read = Callable[[bytes], ChatCompletion]
WAYS = {
    "whole": (whole_body, parse),
    "streamed": (streamed_body, read),
    "streamed, asked for whole": (streamed_body, parse),
    "whole, asked for as a stream": (whole_body, read),
}


@pytest.fixture(params=WAYS)
def answer(request: pytest.FixtureRequest) -> Callable[..., ChatCompletion]:
    """An answer in one of its forms, read in one of the ways it may have been asked for."""
    body, reader = WAYS[request.param]
    return lambda *args, **kwargs: reader(body(*args, **kwargs))


def hi(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "hi", **fields}


# Fields nobody asked about.


@pytest.mark.parametrize(
    ("top", "kept"),
    [
        ({"system_fingerprint": 17}, {"native_system_fingerprint": 17}),
        ({"service_tier": {}}, {"native_service_tier": {}}),
        ({"moderation": "none"}, {"native_moderation": "none"}),
        ({"metadata": []}, {"native_metadata": []}),
        ({"metadata": {"a": 1}}, {"native_metadata": {"a": 1}}),
        ({"id": 123}, {"id": "123"}),
        ({"model": 4}, {"model": "4"}),
        ({"model": None}, {"model": "m"}),
        ({"id": ["c"]}, {"id": "chatcmpl-c0ffee", "native_id": ["c"]}),
        ({"created": "today"}, {"created": 1_700_000_000}),
        ({"object": "thing"}, {}),
        ({"x": {"y": [1]}}, {"x": {"y": [1]}}),
    ],
    ids=str,
)
def test_answer_is_given_though_a_field_has_another_type(
    answer: Callable[..., ChatCompletion], top: dict[str, Any], kept: dict[str, Any]
) -> None:
    got = answer(hi(), **top)
    assert (got.text, got.choices[0].finish_reason) == ("hi", "stop")
    assert {name: got[name] for name in kept} == kept


@pytest.mark.parametrize(
    "choice",
    [
        {"index": None},
        {"index": "first"},
        {"logprobs": []},
        {"logprobs": {"content": [{"token": "a", "logprob": None, "top_logprobs": []}]}},
        {"logprobs": {"content": [{"token": "a"}, {"logprob": "x"}]}},
        {"native_finish_reason": None},
        {"content_filter_results": {}},
    ],
    ids=str,
)
def test_answer_is_given_though_a_choice_s_field_has_another_type(
    answer: Callable[..., ChatCompletion], choice: dict[str, Any]
) -> None:
    (got,) = answer(hi(), choice=choice).choices
    assert (got.index, got.message.content, got.finish_reason) == (0, "hi", "stop")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"annotations": {}}, {"native_annotations": {}}),
        ({"annotations": [{"type": 5}]}, {"native_annotations": [{"type": 5}]}),
        ({"audio": "loud"}, {"native_audio": "loud"}),
        ({"reasoning_content": {"a": 1}}, {"native_reasoning_content": {"a": 1}}),
        ({"function_call": {}}, {}),
        ({"function_call": {"name": None}}, {}),
        ({"tool_calls": {}}, {}),
        ({"tool_calls": []}, {}),
        ({"tool_calls": None}, {}),
        ({"role": "model"}, {"native_role": "model", "role": "assistant"}),
        ({"role": ""}, {"role": "assistant"}),
    ],
    ids=str,
)
def test_answer_is_given_though_a_message_s_field_has_another_type(
    answer: Callable[..., ChatCompletion], said: dict[str, Any], kept: dict[str, Any]
) -> None:
    message = answer(hi(**said)).choices[0].message
    assert message.content == "hi"
    assert {name: message[name] for name in kept} == kept


def test_answer_takes_a_citation_with_a_url_only(answer: Callable[..., ChatCompletion]) -> None:
    cited = [{"type": "url_citation", "url_citation": {"url": "http://x.test/"}}]
    got = answer(hi(annotations=cited)).choices[0].message.annotations
    assert got is not None
    assert got[0].url_citation is not None
    assert (got[0].url_citation.url, got[0].url_citation.title) == ("http://x.test/", None)


def test_answer_keeps_a_part_of_a_citation_beside_it(answer: Callable[..., ChatCompletion]) -> None:
    cited = [
        {"type": "url_citation", "url_citation": {"url": "http://x.test/", "start_index": "?"}},
        {"type": "url_citation", "url_citation": {"title": "no address"}},
    ]
    got = answer(hi(annotations=cited)).choices[0].message.annotations
    assert got is not None
    assert got[0]["url_citation"]["native_start_index"] == "?"
    assert got[1]["native_url_citation"] == {"title": "no address"}


@pytest.mark.parametrize("top", [{}, {"top_logprobs": None}])
def test_answer_takes_logprobs_of_the_chosen_token_only(
    answer: Callable[..., ChatCompletion], top: dict[str, Any]
) -> None:
    logprobs = {"content": [{"token": "hi", "logprob": -0.5, **top}]}
    got = answer(hi(), choice={"logprobs": logprobs}).choices[0].logprobs
    assert got is not None
    assert got.content is not None
    assert (got.content[0].logprob, got.content[0].top_logprobs) == (-0.5, None)


# Texts and calls.


def with_call(call: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [call]}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"arguments": {"x": [1, "é"]}}, '{"x":[1,"é"]}'),
        ({"arguments": {}}, "{}"),
        ({"arguments": [1]}, "[1]"),
        ({"arguments": None}, "{}"),
        ({}, "{}"),
        ({"arguments": ""}, ""),
        ({"arguments": "{broken"}, "{broken"),
    ],
)
def test_answer_writes_arguments_as_a_text(
    answer: Callable[..., ChatCompletion], arguments: dict[str, Any], text: str
) -> None:
    function = {"name": "f", **arguments}
    message = with_call({"id": "a", "type": "function", "function": function})
    (call,) = answer(message, "tool_calls").choices[0].message.tool_calls or []
    assert call.function is not None
    assert (call.id, call.function.name, call.function.arguments) == ("a", "f", text)
    legacy = {"role": "assistant", "content": None, "function_call": function}
    got = answer(legacy, "function_call").choices[0].message.function_call
    assert got is not None
    assert (got.name, got.arguments) == ("f", text)


def test_answer_fills_in_no_arguments_where_it_was_cut(
    answer: Callable[..., ChatCompletion],
) -> None:
    message = with_call({"id": "a", "type": "function", "function": {"name": "f"}})
    (call,) = answer(message, "length").choices[0].message.tool_calls or []
    assert call.function is not None
    assert call.function.arguments == ""


@pytest.mark.parametrize("kind", [None, "", "builtin_function", "Function"])
@pytest.mark.parametrize("call_id", ["a", 7])
def test_answer_takes_a_call_of_any_kind_that_has_a_function(
    answer: Callable[..., ChatCompletion], kind: str | None, call_id: Any
) -> None:
    call = {"id": call_id, "type": kind, "function": {"name": "f", "arguments": "{}"}}
    (got,) = answer(with_call(call), "tool_calls").choices[0].message.tool_calls or []
    assert (got.type, got.id) == ("function", str(call_id))
    assert got.get("native_type") == (kind or None)


def test_answer_keeps_extras_of_a_call(answer: Callable[..., ChatCompletion]) -> None:
    extra = {"extra_content": {"google": {"thought_signature": "a+/="}}}
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, **extra}
    (got,) = answer(with_call(call), "tool_calls").choices[0].message.tool_calls or []
    assert got.to_dict() == call


@pytest.mark.parametrize(
    ("content", "text", "others"),
    [
        ([{"type": "text", "text": "a"}, {"type": "reference", "ids": [1]}, "b"], "ab", 1),
        ([{"type": "output_text", "text": "a"}], "a", 0),
        ({"type": "text", "text": "a"}, "a", 0),
        ([], "", 0),
    ],
)
def test_answer_keeps_texts_of_a_content_in_parts(
    answer: Callable[..., ChatCompletion], content: Any, text: str, others: int
) -> None:
    message = answer({"role": "assistant", "content": content}).choices[0].message
    assert message.content == text
    assert len(message.get("native_content", ())) == others


@pytest.mark.parametrize(
    "message",
    [
        {"content": 5},
        {"content": {"text": "hi"}},
        {"content": [{"type": "text", "text": 5}]},
        {"content": "hi", "tool_calls": "f()"},
        {"content": "hi", "tool_calls": ["f()"]},
        {"content": None, "tool_calls": [{"id": "a", "function": "f()"}]},
        {"content": None, "tool_calls": [{"id": "a", "function": {"name": 5}}]},
        {"content": None, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": 5}}]},
        {"content": None, "function_call": "f()"},
        {"content": "hi", "refusal": ["no"]},
        "hi",
        ["hi"],
    ],
    ids=str,
)
def test_answer_refuses_a_text_or_call_of_another_type(
    answer: Callable[..., ChatCompletion], message: Any
) -> None:
    with pytest.raises(APIResponseValidationError):
        answer(message)


@pytest.mark.parametrize("parts", [[{"type": "image"}], [{"type": "reference"}]])
def test_parse_takes_no_content_without_any_text(parts: Any) -> None:
    with pytest.raises(APIResponseValidationError, match=r"choices\.0\.message\.content"):
        parse(whole_body({"role": "assistant", "content": parts}))


def test_decoder_takes_a_part_without_text_between_others() -> None:
    got = read(
        events(
            piece({"content": [{"type": "text", "text": "Rome"}]}),
            piece({"content": [{"type": "reference", "reference_ids": [1]}]}),
            piece({"content": "."}, "stop"),
        )
    )
    assert got.text == "Rome."
    assert got.choices[0].message["native_content"] == [{"type": "reference", "reference_ids": [1]}]


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"role": "assistant", "content": "hi"}},
        {"delta": None, "message": {"role": "assistant", "content": "hi"}},
        {"text": "hi"},
        {"delta": {"content": "hi"}, "message": {"role": "assistant", "content": "hi"}},
        {"delta": {"content": "hi"}, "text": "hi"},
        {"delta": {"content": "hi"}, "message": None},
        {"delta": {"content": "hi"}, "message": 5},
    ],
    ids=str,
)
def test_decoder_finds_the_text_wherever_it_is(choice: dict[str, Any]) -> None:
    chunk = {**piece({}), "choices": [{"index": 0, **choice}]}
    got = read(events(chunk, piece([], "stop")))
    assert got.text == "hi"
    assert got.choices[0].message.content == "hi"


@pytest.mark.parametrize(
    "choice", [{"delta": {"role": "assistant", "content": "hi"}}, {"text": "hi"}], ids=str
)
def test_parse_finds_the_text_wherever_it_is(choice: dict[str, Any]) -> None:
    assert parse(json.dumps({"choices": [{"index": 0, **choice}]}).encode()).text == "hi"


def test_answer_takes_the_halves_of_a_character(
    answer: Callable[..., ChatCompletion],
) -> None:
    high, low = piece({"content": "x"}), piece({"content": "y"}, "stop")
    halves = events(
        json.dumps(high).replace('"x"', '"x\\ud83d"'), json.dumps(low).replace('"y"', '"\\ude00y"')
    )
    assert read(halves).text == parse(halves).text == "x\ufffd\ufffdy"
    joined = json.dumps(low).replace('"y"', '"\\ud83d\\ude00 \\ud83d"')
    assert read(events(joined)).text == "\U0001f600 \ufffd"
    cut = events(high, low).replace(b'"x"', b'"x\xf0\x9f"').replace(b'"y"', b'"\x98\x80y"')
    assert read(cut).text.strip("\ufffd") == "x\ufffd\ufffd\ufffdy".strip("\ufffd")


# Ends.


@pytest.mark.parametrize("reason", ["STOP", "Stop", "eos", "end_turn", "stop"])
def test_answer_compares_reasons_without_regard_to_case(
    answer: Callable[..., ChatCompletion], reason: str
) -> None:
    assert answer(hi(), reason).choices[0].finish_reason == "stop"


def test_decoder_takes_a_reason_in_every_chunk() -> None:
    chunks = [piece({"content": text}, "stop") for text in ("Hel", "lo")]
    assert read(events(*chunks)).text == "Hello"
    with pytest.raises(StreamInterruptedError, match="went on after its finish reason"):
        read(events(*chunks, done=False))


def test_decoder_takes_null_for_no_reason() -> None:
    null = {"native_finish_reason": None}
    chunks = [
        piece({"content": ""}, choice=null),
        piece({"content": "hel"}, choice=null),
        piece({"content": "lo"}, choice=null),
    ]
    end = piece({"content": ""}, "stop", choice={"native_finish_reason": "completed"})
    usage = piece({"content": ""}, choice=null, usage=USAGE)
    got = read(events(*chunks, end, usage))
    assert (got.text, got.choices[0].finish_reason) == ("hello", "stop")
    assert got.choices[0]["native_finish_reason"] == "completed"
    assert got.usage.total_tokens == 3
    with pytest.raises(StreamInterruptedError, match="no finish reason"):
        read(events(*chunks, done=False))


def test_decoder_takes_a_stream_without_reasons_only_where_none_is_given() -> None:
    silent = OpenAILike(name="acme", gives_no_finish_reason=True)
    asked = ChatRequest(model="acme/m", messages=CHAT.messages, allow_missing_finish_reason=True)
    body = events(piece({"content": "hi"}))
    with pytest.raises(StreamInterruptedError, match="no finish reason"):
        read(body)
    for got in (read(body, provider=silent), read(body, asked), silent.parse(body, CHAT)):
        assert (got.text, got.choices[0].finish_reason) == ("hi", None)
    for cut in (events(piece({"content": "hi"}), done=False), events(piece({"role": "assistant"}))):
        with pytest.raises(StreamInterruptedError, match="no finish reason"):
            read(cut, asked)


def test_decoder_takes_a_whole_answer_without_a_reason() -> None:
    got = read(whole_body(hi(), None))
    assert (got.text, got.choices[0].finish_reason) == ("hi", None)


def test_decoder_takes_the_head_of_the_first_chunk_with_a_choice() -> None:
    blank = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    late = {**blank, "choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {}}]}
    got = read(
        events({**blank, "prompt_filter_results": []}, piece({"content": "a"}, "stop"), late)
    )
    assert (got.id, got.model, got.created) == ("c", "m", 1)
    assert (got.text, got.choices[0].finish_reason) == ("a", "stop")
    assert got["prompt_filter_results"] == []


# Errors.

UPSTREAM = {"code": 502, "message": "upstream died"}


@pytest.mark.parametrize("reason", ["error", None, "stop"])
def test_answer_raises_an_error_in_a_choice(
    answer: Callable[..., ChatCompletion], reason: str | None
) -> None:
    with pytest.raises(BadGatewayError, match="upstream died"):
        answer(hi(content=""), reason, choice={"error": UPSTREAM})


@pytest.mark.parametrize("reason", ["error", "ERROR"])
def test_answer_raises_the_reason_error(answer: Callable[..., ChatCompletion], reason: str) -> None:
    with pytest.raises(InternalServerError):
        answer(hi(), reason)


@pytest.mark.parametrize("nothing", [None, {}, "", False])
def test_answer_takes_an_empty_error_for_none(
    answer: Callable[..., ChatCompletion], nothing: Any
) -> None:
    assert answer(hi(), choice={"error": nothing}, error=nothing).text == "hi"


def test_decoder_looks_for_an_error_before_anything_else() -> None:
    late = piece({"content": 5}, "length", error={"code": 400, "message": "Token limit reached"})
    with pytest.raises(APIError, match="Token limit reached") as caught:
        read(events(piece({"content": "We"}, "length"), piece({}, "length"), late))
    assert caught.value.status_code == 400


@pytest.mark.parametrize("body", [b"<html>oops</html>", b"oops", b"[1, 2]", b"7", b"null"])
def test_parse_and_decoder_show_a_page_that_is_no_answer(body: bytes) -> None:
    for reader in (parse, read):
        with pytest.raises(APIResponseValidationError) as caught:
            reader(body)
        assert caught.value.body == (json.loads(body) if body[:1] in b"[7n" else body.decode())


@pytest.mark.parametrize("body", [b"", b" \n", b"data: [DONE]\n\n", b": hello\n\n"])
def test_decoder_takes_no_empty_stream(body: bytes) -> None:
    with pytest.raises(StreamInterruptedError, match="no choices"):
        read(body)


# Usage.


@pytest.mark.parametrize(
    ("choice", "top"),
    [({"usage": USAGE}, {}), ({}, {"x_groq": {"id": "r", "usage": USAGE}}), ({}, {"usage": USAGE})],
    ids=["in the choice", "in x_groq", "in its place"],
)
def test_answer_finds_usage_wherever_it_is(
    answer: Callable[..., ChatCompletion], choice: dict[str, Any], top: dict[str, Any]
) -> None:
    body = whole_body(hi(), choice=choice, **{"usage": None, **top})
    chunks = events(piece({"content": "hi"}), piece({}, "stop", choice, **top))
    for got in (parse(body), read(body), read(chunks), parse(chunks)):
        assert got.usage.to_dict() == USAGE
        assert got.choices[0].get("usage") == choice.get("usage")


@pytest.mark.parametrize(
    "details", [[], "n/a", {"cached_tokens": "n/a"}, {"cached_tokens": None}, None], ids=str
)
def test_answer_keeps_usage_whose_details_have_another_type(
    answer: Callable[..., ChatCompletion], details: Any
) -> None:
    got = answer(hi(), usage={**USAGE, "prompt_tokens_details": details})
    assert got.usage is not None
    assert got.usage.total_tokens == 3


# Text completions.


def test_parse_text_gives_an_id_of_its_kind() -> None:
    body = b'{"choices": [{"text": "x", "finish_reason": "stop"}]}'
    assert parse(body, TEXT).id == read(body, TEXT).id == "cmpl-c0ffee"


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "x"},
        {"message": {"content": "x"}},
        {"delta": {"content": [{"type": "text", "text": "x"}]}},
    ],
    ids=str,
)
def test_parse_text_finds_the_text_in_the_shape_of_chat(choice: dict[str, Any]) -> None:
    body = json.dumps({"choices": [{**choice, "finish_reason": "stop"}]}).encode()
    chunk = {"choices": [{"index": None, **choice}]}
    end = {"choices": [{"index": 0, "text": None, "finish_reason": "LENGTH"}]}
    assert parse(body, TEXT).text == read(body, TEXT).text == "x"
    got = read(events(chunk, end), TEXT)
    assert isinstance(got, TextCompletion)
    assert (got.text, got.choices[0].finish_reason) == ("x", "length")
    with pytest.raises(APIResponseValidationError):
        parse(b'{"choices": [{"text": 5}]}', TEXT)


# Embeddings.


def vectors(*data: Any, **top: Any) -> bytes:
    return json.dumps({"object": "list", "model": "m", "data": data, **top}).encode()


def vector(index: Any, *numbers: Any, **more: Any) -> dict[str, Any]:
    return {"object": "embedding", "index": index, "embedding": list(numbers), **more}


def embedded(body: bytes, inputs: Any = ("a", "b", "c"), **fields: Any) -> EmbeddingResponse:
    request = EmbeddingRequest(model="acme/m", input=inputs, **fields)
    answer = PROVIDER.parse(body, request)
    assert isinstance(answer, EmbeddingResponse)
    return answer


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), ("2", "1", "0"), (None, None, None)])
def test_parse_embedding_gives_the_order_of_the_inputs(order: tuple[Any, ...]) -> None:
    data = [
        vector(index, float(position if index is None else index))
        for position, index in enumerate(order)
    ]
    got = embedded(vectors(*data))
    assert [(v.index, v.embedding) for v in got.data] == [(0, [0.0]), (1, [1.0]), (2, [2.0])]


def test_parse_embedding_takes_vectors_without_index_by_position() -> None:
    data = [{"embedding": [0.0]}, {"embedding": [1.0]}]
    assert [v.index for v in embedded(vectors(*data), ["a", "b"]).data] == [0, 1]


@pytest.mark.parametrize("indexes", [(2, 1, 3), (0, 0, 0)], ids=["from_1", "all_0"])
def test_parse_embedding_takes_other_ways_of_counting(indexes: tuple[int, ...]) -> None:
    data = [vector(index, float(position)) for position, index in enumerate(indexes)]
    got = embedded(vectors(*data))
    in_order = [position for _, position in sorted(zip(indexes, range(3), strict=True))]
    assert [(v.index, v.embedding) for v in got.data] == [
        (place, [float(position)]) for place, position in enumerate(in_order)
    ]


@pytest.mark.parametrize(
    ("inputs", "count"), [("a", 1), (["a"], 1), ([1, 2, 3], 1), ([[1, 2], [3]], 2)], ids=str
)
def test_parse_embedding_counts_against_any_inputs(inputs: Any, count: int) -> None:
    data = [vector(index, 0.5) for index in range(count)]
    assert len(embedded(vectors(*data), inputs).data) == count


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ([], "0 of 3 vectors"),
        ([vector(0, 1.0)], "1 of 3 vectors"),
        ([vector(i, 1.0) for i in range(4)], "4 of 3 vectors"),
        ([vector(0, 1.0), vector(0, 2.0), vector(1, 3.0)], "which vector"),
        ([vector(0, 1.0), vector(None, 2.0), vector(2, 3.0)], r"data\.1\.index"),
        ([vector(0, 1.0), vector(1), vector(2, 3.0)], "an empty vector"),
        ([vector(0, 1.0), vector(1, None), vector(2, 3.0)], r"data\.1\.embedding"),
        ([vector(i, embedding="no base64!") for i in range(3)], "a text where numbers"),
        ([vector(i, embedding="QUJD") for i in range(3)], "a text where numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parse_embedding_refuses_vectors_that_were_not_asked_for(
    data: list[Any], what: str
) -> None:
    with pytest.raises(APIResponseValidationError, match=what) as caught:
        embedded(vectors(*data))
    assert caught.value.provider == "acme"


def test_parse_embedding_decodes_base64() -> None:
    numbers = [0.5, -1.0, 3.0]
    text = base64.b64encode(struct.pack("<3f", *numbers)).decode()
    body = vectors({"object": "embedding", "index": 0, "embedding": text})
    assert embedded(body, "a").data[0].embedding == numbers
    assert embedded(body, "a", params={"encoding_format": "base64"}).data[0].embedding == text
    asked = embedded(body, "a", extra_body={"encoding_format": "base64"})
    assert asked.data[0].embedding == text


def test_parse_embedding_gives_no_id_and_keeps_extras() -> None:
    body = vectors(vector(0, 0.5, object="thing"), usage={"prompt_tokens": 2}, created=None)
    got = embedded(body, "a")
    assert "id" not in got
    assert got["created"] is None
    assert got.data[0]["native_object"] == "thing"
    assert got.usage is not None
    assert got.usage.total_tokens == 2


# Anything.

NAMES = st.sampled_from(
    [
        "arguments",
        "choices",
        "content",
        "delta",
        "error",
        "finish_reason",
        "function",
        "function_call",
        "id",
        "index",
        "logprobs",
        "message",
        "metadata",
        "name",
        "native_finish_reason",
        "reasoning_details",
        "text",
        "tool_calls",
        "type",
        "usage",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
CHUNKS = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"delta": st.dictionaries(NAMES, JSON, max_size=3) | JSON},
                optional={"finish_reason": st.sampled_from(["stop", None, "odd"]), "index": JSON},
            )
            | st.dictionaries(NAMES, JSON, max_size=3),
            max_size=3,
        )
    },
    optional={"usage": JSON, "error": JSON, "x": JSON, "metadata": JSON},
)


@pytest.mark.parametrize("request_", [CHAT, TEXT], ids=lambda request: request.operation)
@given(st.lists(CHUNKS | JSON, max_size=4), st.booleans())
def test_decoder_and_parse_take_any_stream_or_raise_our_errors(
    request_: Request, payloads: list[Any], done: bool
) -> None:
    body = events(*(json.dumps(payload) for payload in payloads), done=done)
    decoder, splitter = PROVIDER.decoder(request_), BodySplitter()
    collected = assembler(request_)
    with contextlib.suppress(APIError):
        for event in splitter.feed(body):
            for chunk in decoder.feed(event):
                collected.add(chunk)
    collected.completion()
    with contextlib.suppress(APIError):
        read(body, request_)
    with contextlib.suppress(APIError):
        parse(body, request_)


WHOLE = streamed_body(hi(content="Žluť 🦙", annotations=5), "STOP", system_fingerprint=3)
EXPECTED = read(WHOLE)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_decoder_gives_the_same_for_any_pieces_of_a_repaired_stream(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(WHOLE)]
    splitter, decoder = PROVIDER.splitter({}), PROVIDER.decoder(CHAT)
    found = [
        event
        for start, end in itertools.pairwise(borders)
        for event in splitter.feed(WHOLE[start:end])
    ]
    assert assembled(decoder, [*found, *splitter.flush()], CHAT) == EXPECTED
