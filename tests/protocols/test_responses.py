"""`responses()` over a chat server: whole answers and streams, sync and async, judged by OpenAI's
own client."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from openai import APIResponseValidationError

import llmroute
from llmroute import BadRequestError, RateLimitError, Response, StreamInterruptedError
from tests.protocols.responses_judge import check_order, judged, judged_events
from tests.protocols.responses_ways import Ask, plain, plain_async, ways
from tests.servers import CLOSE, ScriptedServer, Step

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 7,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
PATCH = {"name": "patch", "arguments": '{"input": "x"}'}


def http(status: int, body: bytes, kind: str) -> list[bytes | Step]:
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\ncontent-type: {kind}\r\n\r\n"
    return [head.encode() + body]


def whole(message: dict[str, Any], reason: str | None = "stop", **more: Any) -> list[bytes | Step]:
    said = {"role": "assistant", **message}
    choice = {"index": 0, "message": said, "finish_reason": reason, **more}
    answer = {
        "id": "a",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [choice],
        "usage": USAGE,
    }
    return http(200, json.dumps(answer).encode(), "application/json")


def piece(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {
        "id": "a",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }


def streamed_body(*deltas: dict[str, Any], reason: str = "stop") -> bytes:
    chunks = [*(piece(delta) for delta in deltas), piece({}, reason)]
    chunks.append({**piece({}), "choices": [], "usage": USAGE})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def said_as(
    ask: Ask, message: dict[str, Any], *deltas: dict[str, Any], reason: str = "stop"
) -> list[bytes | Step]:
    """What a server says, whole or in pieces, as `ask` wants it."""
    if ask in (plain, plain_async):
        return whole(message, reason)
    return http(200, streamed_body(*deltas, reason=reason), "text/event-stream")


def place(server: ScriptedServer) -> dict[str, Any]:
    return {"api_base": server.url, "api_key": "k"}


def asked(server: ScriptedServer) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(server.requests[-1].body)
    return body


@ways
def test_responses_answers_with_text_and_usage(ask: Ask) -> None:
    said = said_as(ask, {"content": "Hello"}, {"content": "Hel"}, {"content": "lo"})
    with ScriptedServer(said) as server:
        answer = ask(
            "openai/m", "hi", instructions="Be brief.", metadata={"a": "b"}, **place(server)
        )
    assert asked(server)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]
    assert "metadata" not in asked(server)
    assert answer.status == "completed"
    assert answer.output_text == "Hello"
    assert (answer.model, answer.instructions, answer.metadata) == ("m-1", "Be brief.", {"a": "b"})
    assert answer.usage is not None
    assert answer.usage.to_dict() == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 16,
    }


@ways
def test_responses_shows_refusals(ask: Ask) -> None:
    said = said_as(
        ask, {"content": None, "refusal": "I won't."}, {"refusal": "I "}, {"refusal": "won't."}
    )
    with ScriptedServer(said) as server:
        answer = ask("openai/m", "hi", **place(server))
    assert answer.output[0]["content"][0].to_dict() == {"type": "refusal", "refusal": "I won't."}
    assert answer.output_text == ""


@ways
@pytest.mark.parametrize(
    ("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_responses_says_why_an_answer_is_incomplete(ask: Ask, reason: str, why: str) -> None:
    said = said_as(ask, {"content": "Hel"}, {"content": "Hel"}, reason=reason)
    with ScriptedServer(said) as server:
        answer = ask("openai/m", "hi", max_output_tokens=1, **place(server))
    assert asked(server)["max_completion_tokens"] == 1
    assert answer.status == "incomplete"
    assert answer.output[0]["status"] == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == why


@ways
@pytest.mark.parametrize("summary", [None, "auto"])
def test_responses_shows_reasoning_before_the_text(ask: Ask, summary: str | None) -> None:
    said = said_as(
        ask,
        {"content": "4", "reasoning_content": "2 and 2"},
        {"reasoning_content": "2 and"},
        {"reasoning_content": " 2"},
        {"content": "4"},
    )
    with ScriptedServer(said) as server:
        reasoning = {"effort": "low", "summary": summary}
        answer = ask("groq/m", "2+2", reasoning=reasoning, **place(server))
    assert asked(server)["reasoning_effort"] == "low"
    thought, message = answer.output
    assert (thought["type"], message["type"]) == ("reasoning", "message")
    shown = thought["summary"] if summary else thought["content"]
    kind = "summary_text" if summary else "reasoning_text"
    assert [part.to_dict() for part in shown] == [{"type": kind, "text": "2 and 2"}]


@ways
def test_responses_shows_parallel_calls(ask: Ask) -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "rain", "arguments": '{"at": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "wind", "arguments": "{}"}},
    ]
    first, second = ({**call, "index": n} for n, call in enumerate(calls))
    begun = {**first, "function": {"name": "rain", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": text}} for text in ('{"at"', ": 1}")]
    said = said_as(
        ask,
        {"content": "Let me see.", "tool_calls": calls},
        {"content": "Let me see."},
        {"tool_calls": [begun, second]},
        {"tool_calls": rest[:1]},
        {"tool_calls": rest[1:]},
        reason="tool_calls",
    )
    tools = [{"type": "function", "name": name, "parameters": {}} for name in ("rain", "wind")]
    with ScriptedServer(said) as server:
        answer = ask(
            "openai/m",
            "hi",
            tools=tools,
            parallel_tool_calls=True,
            tool_choice="required",
            **place(server),
        )
    body = asked(server)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["rain", "wind"]
    assert body["parallel_tool_calls"] is True
    assert body["tool_choice"] == "required"
    assert [item["type"] for item in answer.output] == ["message", "function_call", "function_call"]
    shown = [(i["call_id"], i["name"], i["arguments"], i["status"]) for i in answer.output[1:]]
    assert shown == [
        ("c1", "rain", '{"at": 1}', "completed"),
        ("c2", "wind", "{}", "completed"),
    ]


@ways
def test_responses_restores_names_of_namespaces_and_custom_tools(ask: Ask) -> None:
    function = {"type": "function", "name": "list", "description": "Lists.", "parameters": {}}
    patch = {"type": "custom", "name": "patch", "description": "Edits files."}
    grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "x"'}
    tools = [
        {"type": "namespace", "name": "crm", "description": "Customers", "tools": [function]},
        {**patch, "format": grammar},
        {"type": "web_search"},
    ]
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "crm__list", "arguments": "{}"}},
        {
            "id": "c2",
            "type": "function",
            "function": {"name": "patch", "arguments": '{"input": "x"}'},
        },
    ]
    deltas = ({"tool_calls": [{**call, "index": n}]} for n, call in enumerate(calls))
    said = said_as(ask, {"content": None, "tool_calls": calls}, *deltas, reason="tool_calls")
    with ScriptedServer(said) as server:
        answer = ask("openai/m", "hi", tools=tools, tool_choice="auto", **place(server))
    sent = [tool["function"] for tool in asked(server)["tools"]]
    assert [tool["name"] for tool in sent] == ["crm__list", "patch"]
    assert 'start: "x"' in sent[1]["description"]
    listed, patched = answer.output
    assert (listed["name"], listed["namespace"], listed["type"]) == ("list", "crm", "function_call")
    assert (patched["name"], patched["input"], patched["type"]) == (
        "patch",
        "x",
        "custom_tool_call",
    )
    assert answer.dropped == ["tools[2] (web_search)"]


@ways
def test_responses_asks_for_json_of_a_schema(ask: Ask) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    said = said_as(ask, {"content": '{"n": 1}'}, {"content": '{"n"'}, {"content": ": 1}"})
    form = {"type": "json_schema", "name": "number", "schema": schema}
    with ScriptedServer(said) as server:
        answer = ask("openai/m", "hi", text={"format": form}, **place(server))
    sent = asked(server)["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["name"] == "number"
    assert sent["json_schema"]["schema"]["properties"] == schema["properties"]
    assert json.loads(answer.output_text) == {"n": 1}


@ways
def test_responses_goes_on_with_a_kept_conversation(ask: Ask) -> None:
    said = said_as(ask, {"content": "Hello"}, {"content": "Hello"})
    with ScriptedServer(said) as server:
        first = ask("openai/m", "hi", instructions="Be brief.", **place(server))
        second = ask("openai/m", "more", previous_response_id=first.id, **place(server))
        assert [message["content"] for message in asked(server)["messages"]] == [
            "hi",
            "Hello",
            "more",
        ]
        ask("openai/m", "still more", previous_response_id=second.id, **place(server))
        assert len(asked(server)["messages"]) == 5
    assert second.previous_response_id == first.id


@ways
def test_responses_keeps_nothing_with_store_false(ask: Ask) -> None:
    said = said_as(ask, {"content": "Hello"}, {"content": "Hello"})
    with ScriptedServer(said) as server:
        first = ask("openai/m", "hi", store=False, **place(server))
        with pytest.raises(BadRequestError, match="not kept") as caught:
            ask("openai/m", "more", previous_response_id=first.id, **place(server))
    assert caught.value.code == "previous_response_not_found"
    assert len(server.requests) == 1


@ways
def test_responses_takes_items_of_an_answer_back(ask: Ask) -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "rain", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "sig"}},
    }
    said = said_as(
        ask,
        {"content": None, "reasoning_content": "hm", "tool_calls": [call]},
        {"reasoning_content": "hm"},
        {"tool_calls": [{**call, "index": 0}]},
        reason="tool_calls",
    )
    tools = [{"type": "function", "name": "rain", "parameters": {}}]
    result = {"type": "function_call_output", "call_id": "c1", "output": "wet"}
    with ScriptedServer(said) as server:
        answer = ask("gemini_openai/m", "hi", tools=tools, **place(server))
        thawed: Response = pickle.loads(pickle.dumps(answer))
        assert thawed == answer
        ask("gemini_openai/m", [*thawed.output, result], tools=tools, **place(server))
    returned, output = asked(server)["messages"]
    assert returned["tool_calls"] == [call]
    assert output == {"role": "tool", "tool_call_id": "c1", "content": "wet"}
    assert answer.output[-1]["type"] == "reasoning"
    assert answer.output[-1]["encrypted_content"]


def read(server: ScriptedServer, events: list[Any]) -> None:
    with llmroute.responses("groq/m", "hi", stream=True, **place(server)) as stream:
        events.extend(stream)


def read_async(server: ScriptedServer, events: list[Any]) -> None:
    async def run() -> None:
        stream = await llmroute.aresponses("groq/m", "hi", stream=True, **place(server))
        async with stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401  # what has come stays when it raises

    asyncio.run(run())


@pytest.mark.parametrize("reading", [read, read_async])
def test_responses_stream_ends_with_failed_and_raises(reading: Callable[..., None]) -> None:
    body = streamed_body({"reasoning_content": "hm"}, {"content": "Hel"})
    cut = body[: body.index(b'finish_reason": "stop')]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    events: list[Any] = []
    with (
        ScriptedServer([head + cut, CLOSE]) as server,
        pytest.raises(StreamInterruptedError) as caught,
    ):
        reading(server, events)
    check_order(events)
    assert judged_events(events)[-1].type == "response.failed"
    failed = events[-1].response
    assert (failed.error.code, failed.output_text) == ("server_error", "Hel")
    assert caught.value.partial is not None


@ways
def test_responses_raises_the_providers_errors(ask: Ask) -> None:
    error = json.dumps({"error": {"message": "slow down", "code": "rate_limit"}}).encode()
    said = http(429, error, "application/json")
    with ScriptedServer(said) as server, pytest.raises(RateLimitError):
        ask("openai/m", "hi", num_retries=0, **place(server))


def test_stream_closed_early_gives_no_more_events() -> None:
    said = http(200, streamed_body({"content": "a"}, {"content": "b"}), "text/event-stream")
    with ScriptedServer(said) as server:
        stream = llmroute.responses("openai/m", "hi", stream=True, **place(server))
        next(stream)
        stream.close()
        assert list(stream) == []
        with pytest.raises(StreamInterruptedError, match="closed"):
            stream.get_final_response()


def test_judge_refuses_what_the_protocol_does_not_have() -> None:
    response = llmroute.responses("openai/m", "hi", mock_response="hello")
    judged(response)
    response.status = "done"  # type: ignore[assignment]
    with pytest.raises(APIResponseValidationError):
        judged(response)


@ways
def test_responses_shows_citations_and_logprobs(ask: Ask) -> None:
    citation = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    note = {"type": "url_citation", "url_citation": citation}
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    if ask in (plain, plain_async):
        said = whole({"content": "Hi", "annotations": [note]}, logprobs={"content": [token]})
    else:
        first = piece({"content": "Hi"})
        first["choices"][0]["logprobs"] = {"content": [token]}
        chunks = [first, piece({"annotations": [note]}), piece({}, "stop")]
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        said = http(200, body.encode(), "text/event-stream")
    include = ["message.output_text.logprobs"]
    with ScriptedServer(said) as server:
        answer = ask("openai/m", "hi", include=include, **place(server))
    assert asked(server)["logprobs"] is True
    part = answer.output[0]["content"][0]
    assert part["annotations"][0].to_dict() == {"type": "url_citation", **citation}
    assert part["logprobs"][0].to_dict() == token
