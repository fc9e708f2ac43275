"""Odd shapes of answers that gateways give, whole and streamed: nothing paid for is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llmroute.chunks import assembled
from llmroute.costs import completion_cost
from llmroute.errors import (
    APIError,
    APIResponseValidationError,
    RateLimitError,
    StreamInterruptedError,
)
from llmroute.providers.openai_like import OpenAILike
from llmroute.sse import BodySplitter
from llmroute.types.chat import ChatCompletion
from llmroute.types.chat_request import ChatRequest
from llmroute.types.embedding import EmbeddingRequest

PROVIDER = OpenAILike(name="acme", base_url="http://acme/v1")
CHAT = ChatRequest(model="acme/m", messages=[{"role": "user", "content": "Hi"}], call_id="c0ffee")
Answer = Callable[..., ChatCompletion]


def body_of(said: str, message: Any, reason: Any = "stop", **top: Any) -> dict[str, Any]:
    choice = {"index": 0, said: message, "finish_reason": reason}
    return {"id": "c", "created": 1, "model": "m", "choices": [choice], **top}


def whole(message: Any, reason: Any = "stop", **top: Any) -> ChatCompletion:
    answer = PROVIDER.parse(json.dumps(body_of("message", message, reason, **top)).encode(), CHAT)
    assert isinstance(answer, ChatCompletion)
    return answer


def streamed(message: Any, reason: Any = "stop", **top: Any) -> ChatCompletion:
    return joined({**message}, reason=reason, **top)


def joined(*deltas: dict[str, Any], reason: Any = "stop", **top: Any) -> ChatCompletion:
    """What the deltas make, the last of them with the reason."""
    chunks = [body_of("delta", delta, None) for delta in deltas[:-1]]
    chunks.append(body_of("delta", deltas[-1], reason, **top))
    return read(*map(json.dumps, chunks), "[DONE]")


def read(*datas: str) -> ChatCompletion:
    """What a stream of these events makes; `name: data` is an event of that name."""
    lines = []
    for data in datas:
        name, found, rest = data.partition(": ")
        lines.append(
            f"event: {name}\ndata: {rest}" if found and "{" not in name else f"data: {data}"
        )
    splitter = BodySplitter()
    events = [*splitter.feed("".join(f"{line}\n\n" for line in lines).encode()), *splitter.flush()]
    answer = assembled(PROVIDER.decoder(CHAT), events, CHAT)
    assert isinstance(answer, ChatCompletion)
    return answer


@pytest.fixture(params=[whole, streamed])
def answer(request: pytest.FixtureRequest) -> Answer:
    found: Answer = request.param
    return found


A = json.dumps(body_of("delta", {"content": "a"}, None))
B = json.dumps(body_of("delta", {"content": "b"}))


@pytest.mark.parametrize("mark", ['"[DONE]"', "[done]", " [DONE] "])
def test_decoder_takes_every_spelling_of_the_end_mark(mark: str) -> None:
    assert read(A, B, mark).text == "ab"


@pytest.mark.parametrize(
    "data",
    ["[]", '""', "null", '{"type": "ping", "message": "still here"}', '{"type":"Heartbeat"}'],
)
def test_decoder_skips_what_keeps_a_connection_alive(data: str) -> None:
    assert read(A, data, B, "[DONE]").text == "ab"


def test_decoder_compares_event_names_without_regard_to_case() -> None:
    with pytest.raises(APIError, match="went wrong"):
        read(A, 'Error: {"message": "went wrong"}', B, "[DONE]")


@pytest.mark.parametrize("reason", [" stop ", "STOP", "Stop\n"])
def test_answer_takes_blanks_around_a_reason(answer: Answer, reason: str) -> None:
    assert answer({"content": "a"}, reason).choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("SAFETY", "content_filter"), ("model_context_window_exceeded", "length")],
)
def test_answer_translates_reasons_of_native_apis(
    answer: Answer, reason: str, expected: str
) -> None:
    choice = answer({"content": "a"}, reason).choices[0]

    assert (choice.finish_reason, choice["native_finish_reason"]) == (expected, reason)


def test_answer_raises_an_error_in_a_message(answer: Answer) -> None:
    with pytest.raises(RateLimitError, match="slow down"):
        answer({"content": "", "error": {"code": 429, "message": "slow down"}})


@pytest.mark.parametrize("error", [None, {}, "", 0, [1]])
def test_answer_takes_no_error_without_words(answer: Answer, error: Any) -> None:
    assert answer({"content": "a", "error": error}).text == "a"


@pytest.mark.parametrize("refusal", [{}, [], False])
def test_answer_takes_an_empty_refusal_for_none(answer: Answer, refusal: Any) -> None:
    message = answer({"content": "a", "refusal": refusal}).choices[0].message

    assert (message.content, message.refusal) == ("a", None)


@pytest.mark.parametrize(
    "content",
    [
        [{"text": "a"}],
        [{"type": None, "text": "a"}],
        [None, {"type": "text", "text": "a"}],
        [{"type": "text", "text": None}, "a"],
    ],
)
def test_answer_takes_text_of_parts_without_a_type(answer: Answer, content: Any) -> None:
    assert answer({"content": content}).text == "a"


def test_answer_takes_a_refusal_among_the_parts(answer: Answer) -> None:
    message = answer({"content": [{"type": "refusal", "refusal": "no"}]}).choices[0].message

    assert (message.content, message.refusal) == ("", "no")


@pytest.mark.parametrize("call_id", [1.5, True, ["x"], {"a": 1}])
def test_answer_makes_an_id_for_a_call_whose_id_is_no_text(answer: Answer, call_id: Any) -> None:
    function = {"name": "f", "arguments": "{}"}
    call = {"id": call_id, "type": "function", "function": function}
    calls = (
        answer({"content": None, "tool_calls": [call]}, "tool_calls").choices[0].message.tool_calls
    )

    assert calls
    assert calls[0].id.startswith("call_c0ffee")
    assert calls[0].function
    assert calls[0].function.name == "f"


@pytest.mark.parametrize("index", [1.5, "x", [], {"a": 1}, True])
def test_decoder_takes_an_index_of_a_call_that_is_no_number(index: Any) -> None:
    function = {"name": "f", "arguments": "{}"}
    message = joined({"tool_calls": [{"index": index, "id": "a", "function": function}]})

    assert message.choices[0].message.tool_calls


def test_answer_takes_a_custom_call_without_a_type(answer: Answer) -> None:
    call = {"id": "a", "index": 0, "custom": {"name": "c", "input": "he"}}
    calls = (
        answer({"content": None, "tool_calls": [call]}, "tool_calls").choices[0].message.tool_calls
    )

    assert calls
    assert (calls[0].type, calls[0].custom and calls[0].custom.input) == ("custom", "he")


def test_decoder_keeps_calls_apart_that_share_an_index_and_have_no_id() -> None:
    first, second = ({"name": name, "arguments": f'{{"{name}":1}}'} for name in "fg")
    late = {"arguments": " "}
    answer = joined(*({"tool_calls": [{"index": 0, "function": f}]} for f in (first, second, late)))

    calls = answer.choices[0].message.tool_calls or []
    assert [c.function and c.function.arguments for c in calls] == ['{"f":1}', '{"g":1} ']
    assert len({c.id for c in calls}) == 2


def test_decoder_joins_a_name_in_pieces() -> None:
    pieces = [{"name": "edit_", "arguments": ""}, {"name": "file"}, {"arguments": "{}"}]
    answer = joined(*({"tool_calls": [{"index": 0, "function": piece}]} for piece in pieces))

    (call,) = answer.choices[0].message.tool_calls or []
    assert call.function
    assert call.function.name == "edit_file"


def test_decoder_joins_the_pieces_of_thinking_blocks() -> None:
    redacted = {"type": "redacted_thinking", "data": "D"}
    pieces = [
        {"type": "thinking", "thinking": "a", "signature": ""},
        {"type": "thinking", "thinking": "b"},
        {"type": "thinking", "thinking": "", "signature": "S"},
        redacted,
        {"type": "thinking", "thinking": "c", "signature": "T"},
    ]
    message = joined(*({"thinking_blocks": [piece]} for piece in pieces)).choices[0].message

    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "ab", "signature": "S"},
        redacted,
        {"type": "thinking", "thinking": "c", "signature": "T"},
    ]


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 10, "output_tokens": 5},
        {"prompt_tokens": "10", "completion_tokens": "5", "total_tokens": "15"},
        {"prompt_tokens": "10", "completion_tokens": 5.0},
    ],
)
def test_answer_reads_usage_under_other_names_and_as_texts(answer: Answer, usage: Any) -> None:
    found = answer({"content": "a"}, "STOP", usage=usage).usage

    assert found
    assert (found.prompt_tokens, found.completion_tokens, found.total_tokens) == (
        10,
        5,
        15,
    )


def test_answer_reads_no_usage_that_leaves_cached_tokens_out(answer: Answer) -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 90}

    assert answer({"content": "a"}, usage=usage).usage is None


def test_completion_cost_reads_details_of_responses() -> None:
    details = {"output_tokens_details": {"reasoning_tokens": 85}}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 100, **details}
    alone = {"prompt_tokens": 10, "completion_tokens": 90, "total_tokens": 100}
    thought, said = (whole({"content": "a"}, usage=u) for u in (usage, alone))

    assert completion_cost(thought, model="openai/gpt-4o") == completion_cost(
        said, model="openai/gpt-4o"
    )


@pytest.mark.parametrize("numbers", [(0, 2), (-1, 0), (1, 1), (5, 6)])
def test_parse_refuses_vectors_whose_numbers_fit_no_input(numbers: tuple[int, int]) -> None:
    data = [{"index": index, "embedding": [1.0]} for index in numbers]
    body = json.dumps({"object": "list", "model": "m", "data": data}).encode()

    with pytest.raises(APIResponseValidationError, match="which input"):
        PROVIDER.parse(body, EmbeddingRequest(model="acme/m", input=["a", "b"]))


def test_decoder_raises_where_only_the_end_mark_came() -> None:
    with pytest.raises(StreamInterruptedError):
        read('"[DONE]"')


def as_body(body: bytes) -> Any:
    return PROVIDER.parse(body, CHAT)


def as_stream(body: bytes) -> Any:
    splitter = BodySplitter()
    return assembled(PROVIDER.decoder(CHAT), [*splitter.feed(body), *splitter.flush()], CHAT)


@pytest.mark.parametrize("taken", [as_body, as_stream])
@pytest.mark.parametrize("said", [b"ab", b"a\n\tb"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_answer_takes_json_with_a_byte_order_mark_and_bare_line_ends(
    taken: Callable[[bytes], Any], said: bytes, mark: bytes
) -> None:
    body = json.dumps(body_of("message", {"content": "SAID"})).encode().replace(b"SAID", said)

    assert taken(mark + body).text == said.decode()


def test_parse_numbers_choices_that_have_the_same_number() -> None:
    choices = [
        {"index": 0, "message": {"role": "assistant", "content": word}, "finish_reason": "stop"}
        for word in ("a", "b")
    ]
    body = json.dumps({**body_of("message", None), "choices": choices}).encode()
    answer = PROVIDER.parse(body, CHAT)

    assert isinstance(answer, ChatCompletion)
    assert [(c.index, c.message.content) for c in answer.choices] == [(0, "a"), (1, "b")]


CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize("odd", [{}, {"id": 7}], ids=["canonical", "repaired"])
@pytest.mark.parametrize(
    "pieces",
    [
        [{"role": "assistant", "content": "Hel"}, {"content": "lo"}],
        [{"role": "assistant", "content": ""}, {"tool_calls": [CALL]}],
    ],
    ids=["text", "call"],
)
def test_decoder_takes_a_message_at_the_end_for_a_repetition(
    pieces: list[dict[str, Any]], odd: dict[str, Any]
) -> None:
    said = joined(*pieces).choices[0].message.to_dict()
    chunks = [{**body_of("delta", piece, None), **odd} for piece in pieces]
    last = body_of("message", said)
    again = read(*map(json.dumps, [*chunks, last]))

    assert again.choices[0].message.to_dict() == said
    assert again.choices[0].finish_reason == "stop"


def test_decoder_takes_messages_in_pieces_where_no_delta_brought_content() -> None:
    first = body_of("delta", {"role": "assistant", "content": ""}, None)
    rest = [body_of("message", {"content": "Hel"}, None), body_of("message", {"content": "lo"})]

    assert read(*map(json.dumps, [first, *rest])).text == "Hello"
