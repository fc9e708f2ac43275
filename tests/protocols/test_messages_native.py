"""`messages()` at Anthropic itself: the request goes as it is, and the answer comes as it is."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest

import llmroute
from llmroute import (
    AuthenticationError,
    BadRequestError,
    MessagesResponse,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from llmroute.testing.anthropic_api import (
    AnthropicEmulator,
    HTTPAnswer,
    Says,
    error_event,
    event_stream,
    failure,
    message,
)
from tests.providers.anthropic_blocks import EVERY_BLOCK, UNKNOWN

MODEL = "anthropic/claude-haiku-4-5"
HELLO: Any = [{"role": "user", "content": "Hello"}]
BODY = {"model": "claude-haiku-4-5", "messages": HELLO}
SSE = {"content-type": "text/event-stream"}
ALL = [*EVERY_BLOCK, UNKNOWN]


@pytest.fixture
def server() -> Iterator[AnthropicEmulator]:
    with AnthropicEmulator() as emulator:
        yield emulator


def options(server: AnthropicEmulator, **given: Any) -> dict[str, Any]:
    return {"api_base": server.url, "api_key": server.api_key, "max_tokens": 9, **given}


def plain(server: AnthropicEmulator, **given: Any) -> MessagesResponse:
    answer: MessagesResponse = llmroute.messages(MODEL, HELLO, **options(server, **given))
    return answer


def plain_async(server: AnthropicEmulator, **given: Any) -> MessagesResponse:
    answer: MessagesResponse = asyncio.run(
        llmroute.amessages(MODEL, HELLO, **options(server, **given))
    )
    return answer


def streamed(server: AnthropicEmulator, **given: Any) -> MessagesResponse:
    with llmroute.messages(MODEL, HELLO, stream=True, **options(server, **given)) as stream:
        for _ in stream:
            pass
        return stream.get_final_message()


def streamed_async(server: AnthropicEmulator, **given: Any) -> MessagesResponse:
    async def run() -> MessagesResponse:
        call = llmroute.amessages(MODEL, HELLO, stream=True, **options(server, **given))
        async with await call as stream:
            async for _ in stream:
                pass
            return await stream.get_final_message()

    return asyncio.run(run())


Ask = Callable[..., MessagesResponse]
every_way = pytest.mark.parametrize("ask", [plain, plain_async, streamed, streamed_async])
every_stream = pytest.mark.parametrize("ask", [streamed, streamed_async])


@every_way
def test_every_block_comes_as_it_was_sent(ask: Ask, server: AnthropicEmulator) -> None:
    usage = {"cache_read_input_tokens": 3, "output_tokens": 8, "input_tokens": 5}
    server.script(Says(ALL, usage=usage))
    answer = ask(server)
    assert answer.to_dict()["content"] == ALL
    assert answer.stop_reason == "tool_use"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 8)
    assert answer.usage.cache_read_input_tokens == 3
    assert answer.call_info is not None
    assert answer.call_info.request_id == "req_emulated"


@every_way
def test_unknown_fields_go_through(ask: Ask, server: AnthropicEmulator) -> None:
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    with pytest.raises(BadRequestError, match="new_field"):  # by the server
        ask(
            server,
            betas=["one-2026"],
            context_management=edits,
            extra_body={"new_field": {"x": None}},
            extra_headers={"Anthropic-Beta": "two-2026"},
        )
    (request,) = server.requests
    assert request.json["new_field"] == {"x": None}
    assert request.json["context_management"] == edits
    assert request.json["messages"] == HELLO
    assert "betas" not in request.json
    betas = request.headers["anthropic-beta"].split(",")
    assert set(betas) == {"one-2026", "two-2026", "context-management-2025-06-27"}


def test_events_come_as_they_were_sent(server: AnthropicEmulator) -> None:
    server.script(Says(ALL))
    sent = [json.loads(frame.split(b"data: ")[1]) for frame in event_stream(Says(ALL), BODY)]
    with llmroute.messages(MODEL, HELLO, stream=True, **options(server)) as stream:
        assert [event.to_dict() for event in stream] == sent


def test_the_blocks_of_an_answer_go_back_unchanged(server: AnthropicEmulator) -> None:
    blocks = [block for block in EVERY_BLOCK if block["type"] in ("thinking", "text")]
    server.script(Says(blocks), "Bye")
    first = streamed(server)
    turns = [*HELLO, {"role": "assistant", "content": first.content}, *HELLO]
    llmroute.messages(MODEL, turns, **options(server))
    assert server.requests[1].json["messages"][1]["content"] == blocks


def test_thinking_of_other_models_stays_away(server: AnthropicEmulator) -> None:
    text = {"type": "text", "text": "Hi"}
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        text,
        {"type": "redacted_thinking", "data": "llmroute:e30="},
    ]
    turns = [*HELLO, {"role": "assistant", "content": blocks}, *HELLO]
    llmroute.messages(MODEL, turns, **options(server))
    assert server.requests[0].json["messages"][1]["content"] == [text]


@every_way
@pytest.mark.parametrize(
    ("status", "type", "error"),
    [
        (529, "overloaded_error", ServiceUnavailableError),
        (429, "rate_limit_error", RateLimitError),
        (401, "authentication_error", AuthenticationError),
    ],
)
def test_errors_are_typed(
    status: int, type: str, error: Any, ask: Ask, server: AnthropicEmulator
) -> None:
    server.script(failure(status, type))
    with pytest.raises(error):
        ask(server, num_retries=0)


@every_way
def test_an_answer_of_the_other_kind_is_taken(ask: Ask, server: AnthropicEmulator) -> None:
    whole = json.dumps(message("Hi", BODY)).encode()
    events = b"".join(event_stream("Hi", BODY))
    if ask in (streamed, streamed_async):
        server.script(HTTPAnswer(200, whole, {"content-type": "application/json"}))
    else:
        server.script(HTTPAnswer(200, events, SSE))
    answer = ask(server)
    assert (answer.text, answer.stop_reason) == ("Hi", "end_turn")


@every_stream
def test_an_error_event_is_typed(ask: Ask, server: AnthropicEmulator) -> None:
    frames = event_stream("Hello", BODY)
    broken = [*frames[:-2], error_event("overloaded_error")]
    server.script(HTTPAnswer(200, b"".join(broken), SSE))
    with pytest.raises(StreamInterruptedError, match="emulated failure") as raised:
        ask(server, num_retries=0)
    partial = raised.value.partial
    assert isinstance(partial, MessagesResponse)
    assert partial.text == "Hello"


@every_stream
def test_a_stream_of_two_messages_raises(ask: Ask, server: AnthropicEmulator) -> None:
    frames = event_stream("Hello", BODY)
    other = [frame.replace(b"msg_emulated", b"msg_other") for frame in frames]
    server.script(HTTPAnswer(200, b"".join([*frames[:4], *other]), SSE))
    with pytest.raises(StreamInterruptedError, match="cannot be read"):
        ask(server, num_retries=0)


def test_a_stream_that_is_cut_anywhere_raises(server: AnthropicEmulator) -> None:
    frames = event_stream(Says(EVERY_BLOCK[:4]), BODY)
    whole = b"".join(frames)
    borders = [sum(map(len, frames[:n])) for n in range(1, len(frames))]
    choose = random.Random(5)
    last = len(whole) - len(frames[-1])
    places = sorted({*borders, *(choose.randrange(1, last) for _ in range(50))})
    for place in places:
        server.script(HTTPAnswer(200, whole[:place], SSE))
        with pytest.raises(StreamInterruptedError):
            streamed(server, num_retries=0)


def test_the_official_client_reads_what_comes(server: AnthropicEmulator) -> None:
    server.script(Says(EVERY_BLOCK))
    answer = streamed(server).to_dict()
    read = anthropic.types.Message.model_validate(answer)
    assert [block.type for block in read.content] == [block["type"] for block in EVERY_BLOCK]
