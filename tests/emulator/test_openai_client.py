"""The emulator's compat surface against the `openai` client, unmodified."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from llmroute.testing.llama_api import MODELS, LlamaAPIEmulator, Reply, ToolUse, failure, redirect

MODEL = MODELS[2]
HELLO: Any = [{"role": "user", "content": "Hello, how are you?"}]
ADD: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        },
    },
}
TWO_CALLS = Reply(tool_calls=[ToolUse("add", {"a": 1, "b": 2}), ToolUse("add", {"a": 3, "b": 4})])


@pytest.fixture
def server() -> Iterator[LlamaAPIEmulator]:
    with LlamaAPIEmulator() as emulator:
        yield emulator


@pytest.fixture
def client(server: LlamaAPIEmulator) -> Iterator[OpenAI]:
    with OpenAI(api_key=server.api_key, base_url=server.compat_url, max_retries=0) as client:
        yield client


def test_text_with_the_recorded_quirks(server: LlamaAPIEmulator, client: OpenAI) -> None:
    server.script("I'm fine.")
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    choice = answer.choices[0]
    assert choice.message.content == "I'm fine."
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 2)
    raw: Any = answer.to_dict()
    assert raw["object"] == "chat.completions"
    assert raw["choices"][0]["logprobs"] == {"content": None, "refusal": None}
    assert raw["choices"][0]["message"]["refusal"] == ""
    assert raw["choices"][0]["message"]["tool_calls"] == []
    assert raw["choices"][0]["message"]["id"] == raw["id"]


def test_stream(server: LlamaAPIEmulator, client: OpenAI) -> None:
    server.script("one two three")
    with client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == "one two three"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


def test_async_stream_without_usage(server: LlamaAPIEmulator) -> None:
    async def run() -> list[Any]:
        async with AsyncOpenAI(api_key=server.api_key, base_url=server.compat_url) as client:
            stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            return [chunk async for chunk in stream]

    server.script("one two three")
    chunks = asyncio.run(run())
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "one two three"
    assert all(chunk.usage is None for chunk in chunks)


def test_tool_turns(server: LlamaAPIEmulator, client: OpenAI) -> None:
    server.script(TWO_CALLS, "3 and 7")
    first = client.chat.completions.create(model=MODEL, messages=HELLO, tools=[ADD])
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    calls: Any = message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [
        {"a": 1, "b": 2},
        {"a": 3, "b": 4},
    ]
    results: Any = [{"role": "tool", "tool_call_id": c.id, "content": "ok"} for c in calls]
    history: Any = [*HELLO, message.to_dict(), *results]
    second = client.chat.completions.create(model=MODEL, messages=history, tools=[ADD])
    assert second.choices[0].message.content == "3 and 7"


def test_streamed_parallel_tool_calls(server: LlamaAPIEmulator, client: OpenAI) -> None:
    server.script(TWO_CALLS)
    with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=[ADD]) as stream:
        message: Any = stream.get_final_completion().choices[0].message
    assert [call.function.arguments for call in message.tool_calls] == [
        '{"a":1,"b":2}',
        '{"a":3,"b":4}',
    ]
    assert len({call.id for call in message.tool_calls}) == 2


def test_json_schema_and_images(client: OpenAI) -> None:
    schema = {"type": "object", "properties": {"street": {"type": "string"}}}
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]
    messages: Any = [{"role": "user", "content": content}]
    answer = client.chat.completions.create(
        model=MODEL,
        messages=messages,
        response_format={"type": "json_schema", "json_schema": {"name": "A", "schema": schema}},
    )
    assert answer.choices[0].message.content == '{"street": "text"}'


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == list(MODELS)
    assert client.models.retrieve(MODEL).id == MODEL


def with_type(kind: Any) -> Any:
    parameters = {"type": "object", "properties": {"a": kind}}
    return {"type": "function", "function": {"name": "add", "parameters": parameters}}


HISTORY = [
    *HELLO,
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": "abc123",
                "type": "function",
                "function": {"name": "add", "arguments": '{"a": "1", "b": "2"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "abc123", "content": "3"},
]


@pytest.mark.parametrize(
    ("extra", "detail"),
    [
        (
            {"tools": [ADD], "tool_choice": "required"},
            "tool_choice other than auto is not supported",
        ),
        ({"tools": [ADD], "tool_choice": "none"}, "tool_choice other than auto is not supported"),
        (
            {"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "add"}}},
            "tool_choice function object is not currently supported",
        ),
        ({"tools": [ADD], "messages": HISTORY}, 'Unexpected param value `a`: "1"'),
        (
            {"response_format": {"type": "json_object"}},
            "response_format of type json_object is not supported",
        ),
        ({"response_format": None}, "response_format of type None is not supported"),
        (
            {"tools": [with_type({"type": ["string", "null"]})]},
            "union types are not supported in tool parameters",
        ),
        (
            {"tools": [with_type({"anyOf": [{"type": "string"}, {"type": "null"}]})]},
            "union types are not supported in tool parameters",
        ),
    ],
)
def test_refusals(client: OpenAI, extra: Any, detail: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=HELLO, extra_body=extra)
    assert caught.value.body == {"title": "Bad request", "detail": detail, "status": 400}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
def test_failures(
    server: LlamaAPIEmulator, client: OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    server.script(failure(status, "no"))
    with pytest.raises(error):
        client.chat.completions.create(model=MODEL, messages=HELLO)


def test_redirect_of_a_stream(server: LlamaAPIEmulator, client: OpenAI) -> None:
    server.script(redirect("/compat/v1/chat/completions"), "one two")
    with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "one two"
    assert len(server.requests) == 2


def test_stream_without_a_reason(server: LlamaAPIEmulator, client: OpenAI) -> None:
    server.script(Reply("one two", fault="no_finish"))
    with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
        reasons = {chunk.choices[0].finish_reason for chunk in stream}
    assert reasons == {None}


def test_reading_stops_early(server: LlamaAPIEmulator, client: OpenAI) -> None:
    server.script(Reply("one two three", gap=60))
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()
    assert server.requests[0].done.wait(5)
    assert server.requests[0].outcome == "abandoned"
