"""Answers of Anthropic's API, over loopback: whole and streamed, sync and async."""

from __future__ import annotations

import asyncio
import json
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Any

import openai.types.chat
import pytest

import llmroute
from llmroute import (
    APIError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from llmroute.providers import get_provider
from llmroute.testing.anthropic_api import (
    AnthropicEmulator,
    HTTPAnswer,
    Says,
    error_event,
    event_stream,
    failure,
    message,
)
from llmroute.types.chat import ChatCompletion, Message
from llmroute.types.text import TextCompletion
from tests.providers.anthropic_blocks import (
    BARE_CALL,
    CALL,
    CITED,
    EVERY_BLOCK,
    FOUND,
    RAN,
    REDACTED,
    SEARCH,
    TEXT,
    THINKING,
    UNKNOWN,
)

MODEL = "anthropic/claude-haiku-4-5"
BODY = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hi"}]}
SSE = {"content-type": "text/event-stream"}
ALL = [*EVERY_BLOCK, UNKNOWN]
Ask = Callable[..., ChatCompletion]


def plain(messages: Any = "Hi", **given: Any) -> ChatCompletion:
    answer: ChatCompletion = llmroute.completion(MODEL, messages, **given)
    return answer


def streamed(messages: Any = "Hi", **given: Any) -> ChatCompletion:
    with llmroute.completion(MODEL, messages, stream=True, **given) as stream:
        for _ in stream:
            pass
        answer: ChatCompletion = stream.get_final_completion()
        return answer


def plain_async(messages: Any = "Hi", **given: Any) -> ChatCompletion:
    answer: ChatCompletion = asyncio.run(llmroute.acompletion(MODEL, messages, **given))
    return answer


def streamed_async(messages: Any = "Hi", **given: Any) -> ChatCompletion:
    async def run() -> ChatCompletion:
        async with await llmroute.acompletion(MODEL, messages, stream=True, **given) as stream:
            async for _ in stream:
                pass
            answer: ChatCompletion = await stream.get_final_completion()
            return answer

    return asyncio.run(run())


ways = pytest.mark.parametrize("ask", [plain, streamed, plain_async, streamed_async])


@pytest.fixture
def server() -> Iterator[AnthropicEmulator]:
    with AnthropicEmulator() as emulator:
        yield emulator


@pytest.fixture
def place(server: AnthropicEmulator) -> dict[str, Any]:
    return {"api_base": server.url, "api_key": server.api_key, "num_retries": 0}


@ways
def test_text(ask: Ask, place: dict[str, Any]) -> None:
    answer = ask("Hello, who's there?", **place)
    assert answer.text == "You said: Hello, who's there?"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0]["native_finish_reason"] == "end_turn"
    assert (answer.id, answer.model) == ("msg_emulated", "claude-haiku-4-5")
    assert answer.usage is not None
    assert answer.call_info is not None
    assert answer.call_info.provider == "anthropic"
    openai.types.chat.ChatCompletion.model_validate(answer.to_dict())


@ways
def test_every_block_is_said_and_kept(
    ask: Ask, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    server.script(ALL)
    answer = ask(**place)
    said = answer.choices[0].message
    assert said.content == f"{TEXT['text']}{CITED['text']}"
    assert said.reasoning_content == THINKING["thinking"]
    assert said["thinking_blocks"] == [THINKING, REDACTED]
    assert [(c.id, c.function and c.function.name) for c in said.tool_calls or ()] == [
        ("toolu_1", "look_up"),
        ("toolu_2", "now"),
    ]
    arguments = [json.loads(c.function.arguments) for c in said.tool_calls or () if c.function]
    assert arguments == [CALL["input"], BARE_CALL["input"]]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert said.annotations is not None
    (note,) = said.annotations
    assert note.to_dict() == {
        "type": "url_citation",
        "url_citation": {
            "url": "https://bees.example/",
            "title": "Bees",
            "start_index": len(str(TEXT["text"])),
            "end_index": len(str(said.content)),
        },
    }
    assert said["provider_content"] == {"format": "anthropic", "blocks": ALL}


RETURNS: dict[str, Callable[[Message], Any]] = {
    "object": lambda said: said,
    "dict": lambda said: said.to_dict(),
    "model_dump": lambda said: said.model_dump(),
    "json": lambda said: json.loads(said.to_json()),
    "pickle": lambda said: pickle.loads(pickle.dumps(said)),
}


@pytest.mark.parametrize("way_back", RETURNS)
@ways
def test_content_goes_back_unchanged(
    ask: Ask, way_back: str, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    server.script(ALL)
    said = RETURNS[way_back](ask(**place).choices[0].message)
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "8"} for call in (CALL, BARE_CALL)
    ]
    ask([{"role": "user", "content": "Hi"}, said, *results], **place)
    sent = server.requests[-1].json["messages"]
    assert sent[1] == {"role": "assistant", "content": ALL}
    assert [block["tool_use_id"] for block in sent[2]["content"]] == ["toolu_1", "toolu_2"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"content": "Edited."}, [{"type": "text", "text": "Edited."}]),
        ({"provider_content": {"format": "bedrock", "blocks": []}}, [TEXT]),
        ({"provider_content": {"format": "anthropic", "blocks": "?"}}, [TEXT]),
        ({"provider_content": {"format": "anthropic"}}, [TEXT]),
        ({"provider_content": 7}, [TEXT]),
    ],
)
def test_content_that_was_changed_is_written_again(
    change: Any, expected: Any, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    server.script([TEXT])
    said = {**plain(**place).choices[0].message.to_dict(), **change}
    plain([{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "?"}], **place)
    assert server.requests[-1].json["messages"][1]["content"] == expected


def test_thinking_without_a_text_goes_back_with_an_empty_one(
    server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    hidden = {**THINKING, "thinking": ""}
    events = event_stream([hidden, TEXT], BODY)
    events[2] = events[2].replace(b'"thinking":"",', b"")
    events[3] = b""
    server.script(HTTPAnswer(200, b"".join(events), SSE))
    said = streamed(**place).choices[0].message
    assert said.reasoning_content is None
    assert said["provider_content"]["blocks"] == [hidden, TEXT]


def test_empty_texts_do_not_go_back(server: AnthropicEmulator, place: dict[str, Any]) -> None:
    server.script([{"type": "text", "text": ""}, THINKING, TEXT])
    said = plain(**place).choices[0].message
    plain([{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "?"}], **place)
    assert server.requests[-1].json["messages"][1]["content"] == [THINKING, TEXT]


def test_an_answer_can_be_marked_for_the_cache(
    server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    server.script([TEXT, THINKING])
    mark = {"type": "ephemeral"}
    said = {**plain(**place).choices[0].message.to_dict(), "cache_control": mark}
    plain([{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "?"}], **place)
    sent = server.requests[-1].json["messages"][1]["content"]
    assert sent == [{**TEXT, "cache_control": mark}, THINKING]


def test_thinking_stays_with_content_that_was_changed(
    server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    server.script([THINKING, REDACTED, TEXT])
    said = {**plain(**place).choices[0].message.to_dict(), "content": "Edited."}
    plain([{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "?"}], **place)
    edited = {"type": "text", "text": "Edited."}
    assert server.requests[-1].json["messages"][1]["content"] == [THINKING, REDACTED, edited]


def test_server_tools_are_no_calls_of_the_client(
    server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    server.script(Says([SEARCH, FOUND, RAN, CITED], stop_reason="pause_turn"))
    answer = streamed(**place)
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0]["native_finish_reason"] == "pause_turn"
    # Sent back as it is, the model goes on.
    plain([{"role": "user", "content": "Hi"}, answer.choices[0].message], **place)
    assert server.requests[-1].json["messages"][1]["content"] == [SEARCH, FOUND, RAN, CITED]


@ways
@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        ("invented_later", None),
    ],
)
def test_finish_reasons(
    ask: Ask, native: str, reason: str | None, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    server.script(Says([TEXT], stop_reason=native, more={"stop_sequence": None}))
    (choice,) = ask(**place).choices
    assert choice.finish_reason == reason
    assert choice["native_finish_reason"] == native


@ways
def test_an_empty_refusal_is_an_answer(
    ask: Ask, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    server.script(Says([], stop_reason="refusal", more={"stop_details": details}))
    answer = ask(**place)
    assert not answer.text
    assert answer.choices[0].finish_reason == "content_filter"
    assert answer["stop_details"] == details


@ways
def test_usage_counts_the_whole_prompt(
    ask: Ask, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    split = {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 100}
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 400,
        "cache_creation": split,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 30},
        "server_tool_use": {"web_search_requests": 2},
    }
    server.script(Says([TEXT], usage=usage))
    counts = ask(**place).usage
    assert counts is not None
    assert (counts.prompt_tokens, counts.completion_tokens, counts.total_tokens) == (2410, 50, 2460)
    assert counts.prompt_tokens_details is not None
    assert counts.prompt_tokens_details.cached_tokens == 2000
    assert counts.prompt_tokens_details.cache_write_tokens == 400
    assert counts.completion_tokens_details is not None
    assert counts.completion_tokens_details.reasoning_tokens == 30
    assert counts["cache_creation"] == split
    assert counts["cache_creation_input_tokens"] == 400
    assert counts["cache_read_input_tokens"] == 2000
    assert counts["server_tool_use"] == {"web_search_requests": 2}


@ways
def test_cost_knows_caches_by_how_long_they_stay(
    ask: Ask, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    usage = {
        "input_tokens": 1_000,
        "cache_read_input_tokens": 2_000,
        "cache_creation_input_tokens": 5_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 3_000, "ephemeral_1h_input_tokens": 2_000},
        "output_tokens": 100,
    }
    server.script(Says([TEXT], usage=usage))
    answer = ask(**place)
    prices = llmroute.get_model_info(MODEL).prices
    assert prices.input and prices.cached_input and prices.output  # noqa: PT018
    assert prices.cache_write and prices.cache_write_1h  # noqa: PT018
    prompt = 1_000 * prices.input + 2_000 * prices.cached_input
    prompt += 3_000 * prices.cache_write + 2_000 * prices.cache_write_1h
    cost = llmroute.completion_cost(answer)
    assert cost is not None
    assert cost.prompt == pytest.approx(prompt / 1e6)
    assert cost.completion == pytest.approx(100 * prices.output / 1e6)
    assert not cost.estimated
    assert answer.service_tier == "default"
    assert answer.usage is not None
    assert answer.usage["service_tier"] == "standard"


@ways
def test_what_else_the_answer_says_is_kept(
    ask: Ask, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    container = {"id": "container_1", "expires_at": "2027-01-01T00:00:00Z"}
    edits = {"applied_edits": [{"type": "clear_tool_uses_20250919", "cleared_tool_uses": 3}]}
    server.script(Says([TEXT], more={"container": container, "context_management": edits}))
    answer = ask(**place)
    assert answer["container"] == container
    assert answer["context_management"] == edits


def test_stream_shows_text_as_it_comes(server: AnthropicEmulator, place: dict[str, Any]) -> None:
    server.script([THINKING, TEXT, CALL])
    with llmroute.completion(MODEL, "Hi", stream=True, **place) as stream:
        chunks = list(stream)
    texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(texts) > 3
    assert "".join(texts) == TEXT["text"]
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert reasons[-1] == "tool_calls"
    assert set(reasons[:-1]) == {None}
    assert len({chunk.id for chunk in chunks}) == 1
    for chunk in chunks:
        openai.types.chat.ChatCompletionChunk.model_validate(chunk.to_dict())


def test_stream_gives_an_input_that_came_with_the_start_of_its_block(
    server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    events = event_stream([BARE_CALL], BODY)
    whole = {**BARE_CALL, "input": {"q": "bees"}, "caller": {"type": "code_execution_20250825"}}
    start = {"type": "content_block_start", "index": 0, "content_block": whole}
    events[2] = b"event: content_block_start\ndata: " + json.dumps(start).encode() + b"\n\n"
    del events[3]
    server.script(HTTPAnswer(200, b"".join(events), SSE))
    said = streamed(**place).choices[0].message
    assert said.tool_calls is not None
    assert said.tool_calls[0].function is not None
    assert json.loads(said.tool_calls[0].function.arguments) == {"q": "bees"}
    assert said["provider_content"]["blocks"] == [whole]


def test_stream_keeps_deltas_of_an_unknown_type(
    server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    events = event_stream([UNKNOWN], BODY)
    delta = {"type": "content_block_delta", "index": 0}
    pieces: list[Any] = [{"note": "a", "at": 1}, {"note": "b", "at": 2}, "odd"]
    more = [
        b"data: " + json.dumps({**delta, "delta": p | {"type": "x"} if p != "odd" else p}).encode()
        for p in pieces
    ]
    events[3:3] = [line + b"\n\n" for line in more]
    events.insert(1, b'event: later\ndata: {"type": "later", "x": 1}\n\n')
    server.script(HTTPAnswer(200, b"".join(events), SSE))
    said = streamed(**place).choices[0].message
    assert said["provider_content"]["blocks"] == [{**UNKNOWN, "note": "ab", "at": 2}]


@pytest.mark.parametrize("ask", [plain, streamed])
def test_other_framing_than_was_asked_for(
    ask: Ask, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    if ask is streamed:
        body = json.dumps(message([TEXT, CALL], BODY)).encode()
        server.script(HTTPAnswer(200, body, {"content-type": "application/json"}))
    else:
        server.script(HTTPAnswer(200, b"".join(event_stream([TEXT, CALL], BODY)), SSE))
    said = ask(**place).choices[0].message
    assert said.content == TEXT["text"]
    assert said["provider_content"]["blocks"] == [TEXT, CALL]


# Streams that break off


CUT_BLOCKS = [THINKING, TEXT, SEARCH, CALL]
CUT_BODY = b"".join(event_stream(CUT_BLOCKS, BODY))


def borders() -> list[int]:
    ends, at = [], 0
    for event in event_stream(CUT_BLOCKS, BODY):
        at += len(event)
        ends.append(at)
    return ends[:-1]


def check_cut(ask: Ask, length: int, server: AnthropicEmulator, place: dict[str, Any]) -> None:
    server.script(HTTPAnswer(200, CUT_BODY[:length], SSE))
    with pytest.raises(StreamInterruptedError) as caught:
        ask(**place)
    assert caught.value.provider == "anthropic"
    partial = caught.value.partial
    if partial is None:
        return
    assert isinstance(partial, ChatCompletion)
    for choice in partial.choices:
        assert choice.finish_reason is None
        assert str(TEXT["text"]).startswith(choice.message.content or "")
        assert str(THINKING["thinking"]).startswith(choice.message.reasoning_content or "")


@pytest.mark.parametrize("ask", [streamed, streamed_async])
@pytest.mark.parametrize("length", borders())
def test_stream_cut_between_events(
    ask: Ask, length: int, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    check_cut(ask, length, server, place)


def test_stream_cut_anywhere(server: AnthropicEmulator, place: dict[str, Any]) -> None:
    # The last event is whole before the blank line that ends it.
    last = CUT_BODY.rindex(b'"message_stop"')
    for length in random.Random(8).sample(range(1, last), 50):
        check_cut(streamed, length, server, place)


def test_stream_broken_in_its_middle_is_no_cut(
    server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    events = event_stream([TEXT], BODY)
    events[4] = events[4][:-9] + b"\n\n"
    server.script(HTTPAnswer(200, b"".join(events), SSE))
    with pytest.raises(APIError, match="not a JSON object"):
        streamed(**place)


def test_stream_that_begins_again_is_an_error(
    server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    events = event_stream([TEXT], BODY)
    twice = [*events[:5], events[0].replace(b"msg_emulated", b"msg_other"), *events[1:]]
    server.script(HTTPAnswer(200, b"".join(twice), SSE))
    with pytest.raises(APIError, match="began again"):
        streamed(**place)
    server.script(HTTPAnswer(200, b"".join([events[0], *events]), SSE))
    assert streamed(**place).text == TEXT["text"]


def test_stream_partial_has_what_came(server: AnthropicEmulator, place: dict[str, Any]) -> None:
    end = CUT_BODY.index(b'"content_block_stop","index":1')
    server.script(HTTPAnswer(200, CUT_BODY[:end], SSE))
    with pytest.raises(StreamInterruptedError) as caught:
        streamed(**place)
    partial = caught.value.partial
    assert isinstance(partial, ChatCompletion)
    assert partial.text == TEXT["text"]
    assert partial.choices[0].message.reasoning_content == THINKING["thinking"]


# Errors


@ways
@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", BadRequestError),
        (401, "authentication_error", AuthenticationError),
        (429, "rate_limit_error", RateLimitError),
        (500, "api_error", InternalServerError),
        (529, "overloaded_error", ServiceUnavailableError),
    ],
)
def test_errors_by_status(
    ask: Ask,
    status: int,
    kind: str,
    error: type[APIError],
    server: AnthropicEmulator,
    place: dict[str, Any],
) -> None:
    server.script(failure(status, kind, "Not today", {"retry-after": "7"}))
    with pytest.raises(error, match="Not today") as caught:
        ask(**place)
    assert (caught.value.status_code, caught.value.code) == (status, kind)
    assert caught.value.retry_after == 7
    assert caught.value.request_id == "req_emulated"
    assert server.api_key not in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)


@ways
def test_overload_is_tried_again(
    ask: Ask, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    server.script(failure(529, "overloaded_error", headers={"retry-after": "0"}), "Here.")
    assert ask(**{**place, "num_retries": 1}).text == "Here."
    assert len(server.requests) == 2


@pytest.mark.parametrize("ask", [streamed, streamed_async])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("overloaded_error", ServiceUnavailableError),
        ("rate_limit_error", RateLimitError),
        ("api_error", InternalServerError),
        ("timeout_error", InternalServerError),
        ("invalid_request_error", BadRequestError),
        ("invented_later", InternalServerError),
    ],
)
def test_errors_in_a_stream(
    ask: Ask, kind: str, error: type[APIError], server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    events = event_stream([TEXT], BODY)
    server.script(HTTPAnswer(200, b"".join([*events[:4], error_event(kind, "Full")]), SSE))
    with pytest.raises(APIError, match="Full") as caught:
        ask(**place)
    found = caught.value
    assert isinstance(found, error) or isinstance(found.__cause__, error)


def test_error_in_a_whole_answer_of_status_200(
    server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    overloaded = failure(200, "overloaded_error", "Full")
    server.script(overloaded)
    with pytest.raises(ServiceUnavailableError, match="Full"):
        plain(**place)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"content": 1}', b'{"content": [1]}', b"no", b""])
def test_an_answer_that_is_none(
    body: bytes, server: AnthropicEmulator, place: dict[str, Any]
) -> None:
    server.script(HTTPAnswer(200, body, {"content-type": "application/json"}))
    with pytest.raises(llmroute.APIResponseValidationError):
        plain(**place)


# Text completions, and the rest


@pytest.mark.parametrize("stream", [False, True])
def test_text_completion(stream: bool, server: AnthropicEmulator, place: dict[str, Any]) -> None:
    server.script([THINKING, {"type": "text", "text": "upon a time"}])
    answer: Any = llmroute.text_completion(MODEL, "Once", max_tokens=9, stream=stream, **place)
    if stream:
        with answer as chunks:
            assert "".join(chunk.text for chunk in chunks) == "upon a time"
            answer = chunks.get_final_completion()
    assert isinstance(answer, TextCompletion)
    assert answer.text == "upon a time"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    (request,) = server.requests
    assert request.json["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Once"}]}
    ]


def test_lookup_finds_the_provider() -> None:
    provider = get_provider("anthropic")
    assert provider.operations == ("chat", "text", "messages")
    assert provider.base_url == "https://api.anthropic.com"
