"""Anthropic's Messages over a model that chats, judged by the official client in strict mode."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import anthropic
import pytest

import llmroute
from llmroute import MessageEvent, MessagesResponse, StreamInterruptedError
from tests.protocols.messages_servers import MODEL, USAGE, ChatServer, MessagesServer

HELLO: Any = [{"role": "user", "content": "Hello"}]
TOOL: Any = {
    "name": "look_up",
    "description": "Looks a word up.",
    "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}},
}
CALLS = [
    {
        "id": f"call_{word}",
        "type": "function",
        "function": {"name": "look_up", "arguments": json.dumps({"word": word})},
    }
    for word in ("cat", "dog")
]
# What the model says, why it stops, and what the protocol's message must be: types, reason.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], str]] = {
    "text": ({"content": "Hello there."}, {}, ["text"], "end_turn"),
    "thinking": (
        {"reasoning_content": "A greeting.", "content": "Hello."},
        {},
        ["thinking", "text"],
        "end_turn",
    ),
    "calls": (
        {"content": None, "tool_calls": CALLS},
        {"finish_reason": "tool_calls"},
        ["tool_use", "tool_use"],
        "tool_use",
    ),
    "all": (
        {"reasoning_content": "Look.", "content": "I look.", "tool_calls": CALLS},
        {"finish_reason": "stop"},
        ["thinking", "text", "tool_use", "tool_use"],
        "tool_use",
    ),
    "length": ({"content": "Hello th"}, {"finish_reason": "length"}, ["text"], "max_tokens"),
    "sequence": ({"content": "One"}, {"stop_reason": "END"}, ["text"], "stop_sequence"),
    "filter": ({"content": "Some"}, {"finish_reason": "content_filter"}, ["text"], "refusal"),
    "refusal": ({"content": None, "refusal": "I cannot."}, {}, ["text"], "refusal"),
    "empty": ({"content": ""}, {}, [], "end_turn"),
}


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def client(chat: ChatServer) -> Iterator[anthropic.Anthropic]:
    with (
        MessagesServer(chat) as server,
        anthropic.Anthropic(
            api_key="k", base_url=server.url, max_retries=0, _strict_response_validation=True
        ) as client,
    ):
        yield client


def plain(chat: ChatServer, messages: Any = HELLO, **given: Any) -> MessagesResponse:
    answer: MessagesResponse = llmroute.messages(MODEL, messages, **chat.options, **given)
    return answer


def plain_async(chat: ChatServer, messages: Any = HELLO, **given: Any) -> MessagesResponse:
    answer: MessagesResponse = asyncio.run(
        llmroute.amessages(MODEL, messages, **chat.options, **given)
    )
    return answer


def streamed(chat: ChatServer, messages: Any = HELLO, **given: Any) -> MessagesResponse:
    with llmroute.messages(MODEL, messages, stream=True, **chat.options, **given) as stream:
        check_order(list(stream))
        return stream.get_final_message()


def streamed_async(chat: ChatServer, messages: Any = HELLO, **given: Any) -> MessagesResponse:
    async def run() -> MessagesResponse:
        call = llmroute.amessages(MODEL, messages, stream=True, **chat.options, **given)
        async with await call as stream:
            check_order([event async for event in stream])
            return await stream.get_final_message()

    return asyncio.run(run())


Ask = Callable[..., MessagesResponse]
every_way = pytest.mark.parametrize("ask", [plain, plain_async, streamed, streamed_async])


def check_order(events: Sequence[MessageEvent]) -> None:
    """The protocol's order: one block after the other, between the message's start and end."""
    types = [event.type for event in events]
    assert types[0] == "message_start"
    assert types[-2:] == ["message_delta", "message_stop"]
    open_block: int | None = None
    begun = 0
    for event in events[1:-2]:
        match event.type:
            case "content_block_start":
                assert open_block is None
                assert event.index == begun
                open_block, begun = event.index, begun + 1
            case "content_block_delta":
                assert event.index == open_block is not None
            case "content_block_stop":
                assert event.index == open_block is not None
                open_block = None
            case other:
                raise AssertionError(other)
    assert open_block is None


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("usage", [USAGE, None], ids=["counted", "not counted"])
def test_the_official_client_takes_every_answer(
    case: str, usage: Any, chat: ChatServer, client: anthropic.Anthropic
) -> None:
    message, choice, types, reason = CASES[case]
    chat.script(message, usage=usage, **choice)
    chat.script(message, usage=usage, **choice)
    asked: Any = {"model": "any", "max_tokens": 9, "messages": HELLO, "tools": [TOOL]}
    asked["stop_sequences"] = ["END"]
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        for _ in stream:
            pass
        collected = stream.get_final_message()
    for answer in (whole, collected):
        assert [block.type for block in answer.content] == types
        assert answer.stop_reason == reason
        assert answer.stop_sequence == ("END" if case == "sequence" else None)
    assert whole.to_dict()["content"] == [
        {k: v for k, v in block.items() if k != "parsed_output"}
        for block in collected.to_dict()["content"]
    ]
    if usage:
        for counts in (whole.usage, collected.usage):
            assert counts.input_tokens + (counts.cache_read_input_tokens or 0) == 10
            assert (counts.cache_read_input_tokens, counts.output_tokens) == (4, 7)
        assert whole.usage.output_tokens_details is not None
        assert whole.usage.output_tokens_details.thinking_tokens == 2


@every_way
def test_messages_gives_the_same_in_every_way(ask: Ask, chat: ChatServer) -> None:
    message, choice, types, reason = CASES["all"]
    chat.script(message, **choice)
    answer = ask(chat, tools=[TOOL], max_tokens=50)
    assert [block.type for block in answer.content] == types
    assert answer.stop_reason == reason
    assert answer.content[0].thinking == "Look."
    assert answer.text == "I look."
    assert [block.input for block in answer.content[2:]] == [{"word": "cat"}, {"word": "dog"}]
    assert answer.usage.to_dict() == {
        "input_tokens": 6,
        "cache_creation_input_tokens": None,
        "cache_read_input_tokens": 4,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 2},
    }
    assert answer.call_info is not None
    assert answer.call_info.provider == "openai"
    assert answer.call_info.dropped_params == ()


def test_messages_runs_a_tool_loop(chat: ChatServer, client: anthropic.Anthropic) -> None:
    chat.script({"reasoning_content": "Look.", "tool_calls": CALLS}, "tool_calls")
    chat.script({"content": "A cat and a dog."})
    asked: Any = {"model": "any", "max_tokens": 9, "tools": [TOOL]}
    first = client.messages.create(messages=HELLO, **asked)
    results: Any = [
        {"type": "tool_result", "tool_use_id": block.id, "content": f"It is a {block.input}."}
        for block in first.content
        if block.type == "tool_use"
    ]
    results[1] |= {"is_error": True}
    turn: Any = [{"role": "assistant", "content": first.content}, {"role": "user"}]
    turn[1]["content"] = [*results, {"type": "text", "text": "So?"}]
    second = client.messages.create(messages=[*HELLO, *turn], **asked)
    assert second.stop_reason == "end_turn"
    sent = chat.requests[1].json["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user"]
    assert [json.loads(call["function"]["arguments"]) for call in sent[1]["tool_calls"]] == [
        {"word": "cat"},
        {"word": "dog"},
    ]
    assert sent[2] == {
        "role": "tool",
        "tool_call_id": "call_cat",
        "content": "It is a {'word': 'cat'}.",
    }
    assert sent[3]["content"] == "Error: It is a {'word': 'dog'}."
    assert sent[4] == {"role": "user", "content": "So?"}


@pytest.mark.parametrize("ask", [streamed, streamed_async])
def test_a_cut_stream_raises_with_the_message_so_far(ask: Ask, chat: ChatServer) -> None:
    chat.cuts = True
    chat.script({"content": "Hello there."})
    with pytest.raises(StreamInterruptedError) as raised:
        ask(chat, num_retries=0)
    partial = raised.value.partial
    assert isinstance(partial, MessagesResponse)
    assert (partial.text, partial.stop_reason) == ("Hello there.", None)


def test_close_ends_a_stream(chat: ChatServer) -> None:
    chat.script({"content": "Hello there."})
    with llmroute.messages(MODEL, HELLO, stream=True, **chat.options) as stream:
        assert next(stream).type == "message_start"
        stream.close()
        assert list(stream) == []
        with pytest.raises(StreamInterruptedError, match="closed before its end"):
            stream.get_final_message()


@every_way
def test_arguments_that_are_cut_are_kept(ask: Ask, chat: ChatServer) -> None:
    call = {**CALLS[0], "function": {"name": "look_up", "arguments": '{"word": "c'}}
    chat.script({"content": None, "tool_calls": [call]}, "length")
    answer = ask(chat, tools=[TOOL])
    assert answer.stop_reason == "max_tokens"
    assert answer.content[0].input == {}
    assert answer.content[0]["native_input"] == '{"word": "c'


def test_calls_whose_pieces_are_mixed_come_one_after_the_other(chat: ChatServer) -> None:
    def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        function = {"arguments": arguments, **more.pop("function", {})}
        return {"index": index, "type": "function", "function": function, **more}

    named = {"function": {"name": "look_up"}}
    deltas = [
        {"tool_calls": [piece(0, "", id="a", **named), piece(1, "", id="b", **named)]},
        {"tool_calls": [piece(1, '{"word":')]},
        {"tool_calls": [piece(0, '{"word":')]},
        {"content": "So I look."},
        {"tool_calls": [piece(0, ' "cat"}'), piece(1, ' "dog"}')]},
    ]
    chat.script({}, "tool_calls", deltas=deltas)
    with llmroute.messages(MODEL, HELLO, stream=True, tools=[TOOL], **chat.options) as stream:
        events = list(stream)
    check_order(events)
    inputs: dict[int, str] = {}
    for event in events:
        if event.delta is not None and event.delta.partial_json and event.index is not None:
            inputs[event.index] = inputs.get(event.index, "") + event.delta.partial_json
    assert inputs == {0: '{"word": "cat"}', 1: '{"word": "dog"}'}
    starts = [event.content_block for event in events if event.content_block is not None]
    assert [(block.type, block.id) for block in starts] == [
        ("tool_use", "a"),
        ("tool_use", "b"),
        ("text", None),
    ]


@every_way
def test_what_a_provider_wants_back_comes_back(ask: Ask, chat: ChatServer) -> None:
    details = [{"type": "reasoning.encrypted", "data": "abc", "index": 0}]
    signed = {**CALLS[0], "extra_content": {"google": {"thought_signature": "s"}}}
    chat.script(
        {"content": None, "reasoning_details": details, "tool_calls": [signed]},
        "tool_calls",
        deltas=[
            {"reasoning_details": details},
            {"tool_calls": [{**signed, "index": 0}]},
        ],
    )
    first = ask(chat, tools=[TOOL])
    assert [block.type for block in first.content] == ["tool_use", "redacted_thinking"]
    chat.script({"content": "Done."})
    result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "A cat."}
    turns = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    assert ask(chat, turns, tools=[TOOL]).text == "Done."
    sent = chat.requests[1].json["messages"][1]
    assert sent["reasoning_details"] == details
    assert sent["tool_calls"][0]["extra_content"] == signed["extra_content"]


@every_way
def test_what_has_no_counterpart_is_left_out_and_named(ask: Ask, chat: ChatServer) -> None:
    chat.script({"content": "Hi"})
    answer = ask(
        chat,
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1"},
            {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        ],
        tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}],
        context_management={"edits": []},
        extra_headers={"anthropic-beta": "some-beta", "x-mine": "1"},
    )
    assert answer.call_info is not None
    assert set(answer.call_info.dropped_params) == {
        "x-anthropic-billing-header",
        "cache_control",
        "web_search_20250305",
        "context_management",
        "betas",
    }
    (request,) = chat.requests
    assert request.json["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [tool["function"]["name"] for tool in request.json["tools"]] == ["look_up"]
    assert request.headers["x-mine"] == "1"
    assert "anthropic-beta" not in request.headers
    assert "cc_version" not in request.body.decode()
