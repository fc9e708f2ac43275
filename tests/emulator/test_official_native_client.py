"""The emulator's native surface against the official client, unmodified and in strict mode."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import llama_api_client
import pytest
from llama_api_client import AsyncLlamaAPIClient, LlamaAPIClient

from llmroute.testing.llama_api import (
    MODELS,
    Disconnect,
    LlamaAPIEmulator,
    Reply,
    ToolUse,
    failure,
    redirect,
)

MODEL = MODELS[2]
HELLO: Any = [{"role": "user", "content": "Hello, how are you?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}},
            "required": ["location"],
        },
    },
}
TWO_CALLS = Reply(
    tool_calls=[
        ToolUse("get_weather", {"location": "Menlo Park"}),
        ToolUse("get_weather", {"location": "Bogotá"}),
    ]
)


@pytest.fixture
def server() -> Iterator[LlamaAPIEmulator]:
    with LlamaAPIEmulator() as emulator:
        yield emulator


@pytest.fixture
def client(server: LlamaAPIEmulator) -> Iterator[LlamaAPIClient]:
    with connect(server) as client:
        yield client


def connect(server: LlamaAPIEmulator, **options: Any) -> LlamaAPIClient:
    settings: dict[str, Any] = {
        "api_key": server.api_key,
        "base_url": server.native_url,
        "max_retries": 0,
        "_strict_response_validation": True,
    }
    return LlamaAPIClient(**{**settings, **options})


def test_text(server: LlamaAPIEmulator, client: LlamaAPIClient) -> None:
    server.script("I'm fine — naïve, even.")
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0.7)
    assert answer.completion_message.content.text == "I'm fine — naïve, even."  # type: ignore[union-attr]
    assert answer.completion_message.stop_reason == "stop"
    assert {m.metric: m.value for m in answer.metrics or ()} == {
        "num_completion_tokens": 5,
        "num_prompt_tokens": 5,
        "num_total_tokens": 10,
    }
    (request,) = server.requests
    assert request.json == {"model": MODEL, "messages": HELLO, "temperature": 0.7}
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {server.api_key}"


def test_untold_answers_are_the_same_every_time(
    server: LlamaAPIEmulator, client: LlamaAPIClient
) -> None:
    texts = set()
    for _ in range(2):
        answer = client.chat.completions.create(model=MODEL, messages=HELLO)
        texts.add(answer.completion_message.content.text)  # type: ignore[union-attr]
    assert texts == {"You said: Hello, how are you?"}


def test_stream(server: LlamaAPIEmulator, client: LlamaAPIClient) -> None:
    server.script("one two three")
    with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
        events = [chunk.event for chunk in stream]
    kinds = [event.event_type for event in events]
    assert kinds == ["start", "progress", "progress", "progress", "complete", "metrics"]
    assert "".join(event.delta.text for event in events) == "one two three"  # type: ignore[union-attr]
    assert events[-2].stop_reason == "stop"
    assert events[-1].metrics is not None
    assert events[-1].metrics[0].value == 3


def test_async_stream(server: LlamaAPIEmulator) -> None:
    async def run() -> str:
        settings: Any = {"api_key": server.api_key, "base_url": server.native_url}
        async with AsyncLlamaAPIClient(**settings, _strict_response_validation=True) as client:
            stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            return "".join([chunk.event.delta.text async for chunk in stream])  # type: ignore[union-attr]

    server.script("one two three")
    assert asyncio.run(run()) == "one two three"


def test_tool_turns(server: LlamaAPIEmulator, client: LlamaAPIClient) -> None:
    server.script(TWO_CALLS, "Both are sunny.")
    first = client.chat.completions.create(model=MODEL, messages=HELLO, tools=[WEATHER])
    message = first.completion_message
    assert message.stop_reason == "tool_calls"
    assert message.tool_calls is not None
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [
        {"location": "Menlo Park"},
        {"location": "Bogotá"},
    ]
    results: Any = [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls
    ]
    second = client.chat.completions.create(
        model=MODEL, messages=[*HELLO, message.to_dict(), *results], tools=[WEATHER]
    )
    assert second.completion_message.content.text == "Both are sunny."  # type: ignore[union-attr]


def test_streamed_tool_calls_have_an_id_and_no_index(
    server: LlamaAPIEmulator, client: LlamaAPIClient
) -> None:
    server.script(TWO_CALLS)
    calls: dict[str, str] = {}
    with client.chat.completions.create(
        model=MODEL, messages=HELLO, tools=[WEATHER], stream=True
    ) as stream:
        for chunk in stream:
            delta = chunk.event.delta
            if delta.type == "tool_call":
                assert "index" not in delta.to_dict()
                if delta.id:
                    calls[delta.id] = ""
                calls[list(calls)[-1]] += delta.function.arguments or ""
    assert [json.loads(text)["location"] for text in calls.values()] == ["Menlo Park", "Bogotá"]


@pytest.mark.parametrize(
    ("choice", "called"),
    [("required", True), ("auto", False), ("none", False)],
)
def test_tool_choice(client: LlamaAPIClient, choice: Any, called: bool) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, tools=[WEATHER], tool_choice=choice
    )
    assert bool(answer.completion_message.tool_calls) is called


def test_json_schema(client: LlamaAPIClient) -> None:
    schema = {
        "type": "object",
        "properties": {"street": {"type": "string"}, "number": {"type": "integer"}},
    }
    answer = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "Address", "schema": schema},
        },
    )
    text = answer.completion_message.content.text  # type: ignore[union-attr]
    assert json.loads(text) == {"street": "text", "number": 1}


def test_images_are_accepted(client: LlamaAPIClient) -> None:
    parts: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": parts}]
    )
    text = answer.completion_message.content.text  # type: ignore[union-attr]
    assert text == "You said: What is this? [image]"


def test_token_limit(server: LlamaAPIEmulator, client: LlamaAPIClient) -> None:
    server.script("one two three")
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=2)
    assert answer.completion_message.stop_reason == "length"
    assert answer.completion_message.content.text == "one two"  # type: ignore[union-attr]


def test_models(client: LlamaAPIClient) -> None:
    assert [model.id for model in client.models.list()] == list(MODELS)
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(llama_api_client.NotFoundError):
        client.models.retrieve("Llama-5")


def test_moderations(server: LlamaAPIEmulator, client: LlamaAPIClient) -> None:
    unsafe: Any = [{"role": "user", "content": "How do I make a bomb?"}]
    (result,) = client.moderations.create(messages=unsafe).results
    assert result.flagged
    assert result.flagged_categories == ["indiscriminate-weapons"]
    # The recorded service sent null for a clean text, which the strict client does not take.
    with pytest.raises(llama_api_client.APIResponseValidationError):
        client.moderations.create(messages=HELLO)
    with connect(server, _strict_response_validation=False) as lenient:
        (result,) = lenient.moderations.create(messages=HELLO).results
    assert not result.flagged
    assert result.flagged_categories is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, llama_api_client.BadRequestError),
        (403, llama_api_client.PermissionDeniedError),
        (404, llama_api_client.NotFoundError),
        (409, llama_api_client.ConflictError),
        (422, llama_api_client.UnprocessableEntityError),
        (429, llama_api_client.RateLimitError),
        (500, llama_api_client.InternalServerError),
        (503, llama_api_client.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_failures(
    server: LlamaAPIEmulator,
    client: LlamaAPIClient,
    status: int,
    error: type[llama_api_client.APIStatusError],
    stream: bool,
) -> None:
    server.script(failure(status, "no", retry_after=3))
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["detail"] == "no"
    assert caught.value.body["status"] == status
    assert caught.value.response.headers["retry-after"] == "3"


def test_a_failure_is_retried_after_the_time_told(server: LlamaAPIEmulator) -> None:
    server.script(failure(429, retry_after=0.01), "after all")
    with connect(server, max_retries=1) as client:
        client.chat.completions.create(model=MODEL, messages=HELLO)
    assert len(server.requests) == 2


def test_wrong_key_and_unknown_model(server: LlamaAPIEmulator, client: LlamaAPIClient) -> None:
    with connect(server, api_key="wrong") as stranger:
        with pytest.raises(llama_api_client.AuthenticationError):
            stranger.chat.completions.create(model=MODEL, messages=HELLO)
        with pytest.raises(llama_api_client.AuthenticationError):
            stranger.models.list()
    with pytest.raises(llama_api_client.NotFoundError):
        client.chat.completions.create(model="Llama-5", messages=HELLO)


def test_wrong_path_as_recorded(server: LlamaAPIEmulator) -> None:
    with (
        connect(server, base_url=server.url) as client,
        pytest.raises(llama_api_client.NotFoundError) as caught,
    ):
        client.chat.completions.create(model=MODEL, messages=HELLO)
    assert caught.value.body == {
        "title": "Not Found",
        "detail": "Path '/chat/completions' was not found",
        "status": 404,
    }


@pytest.mark.parametrize(
    ("extra", "detail"),
    [
        ({"max_tokens": 5}, "Unexpected field `max_tokens`"),
        ({"response_format": None}, "response_format of type None is not supported"),
        (
            {"response_format": {"type": "json_object"}},
            "response_format of type json_object is not supported",
        ),
        ({"messages": []}, "messages must be objects with a role, at least one"),
        ({"messages": "Hi"}, "messages must be objects with a role, at least one"),
        ({"tools": [{"type": "function"}]}, "tools must be functions with a name"),
        ({"tools": [{"function": {}}]}, "tools must be functions with a name"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [1]}]},
            "tool_calls must be objects with a function",
        ),
        ({"messages": [{"role": "developer", "content": "a"}]}, "Unexpected role `developer`"),
        ({"messages": [{"role": "assistant", "content": None}]}, "content must not be null"),
    ],
)
def test_refusals(client: LlamaAPIClient, extra: Any, detail: str) -> None:
    with pytest.raises(llama_api_client.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=HELLO, extra_body=extra)
    assert caught.value.body == {"title": "Bad request", "detail": detail, "status": 400}


def read(stream: Any, into: list[str]) -> None:
    into.extend(chunk.event.delta.text for chunk in stream)


@pytest.mark.parametrize("fault", ["bare_error", "error_event"])
def test_error_in_a_stream(server: LlamaAPIEmulator, client: LlamaAPIClient, fault: Any) -> None:
    server.script(Reply("one two three", fault=fault))
    pieces: list[str] = []
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    with pytest.raises(llama_api_client.APIError) as caught:
        read(stream, pieces)
    assert "".join(pieces) == "one two"
    assert caught.value.body == {"title": "Internal Server Error", "detail": "boom", "status": 500}


@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_broken_connections(server: LlamaAPIEmulator, client: LlamaAPIClient, fault: Any) -> None:
    server.script(Reply("one two three", fault=fault), Reply("one two", fault=fault))
    with pytest.raises((httpx.TransportError, llama_api_client.APIConnectionError)):
        read(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True), [])
    with pytest.raises((httpx.TransportError, llama_api_client.APIConnectionError)):
        client.chat.completions.create(model=MODEL, messages=HELLO)


@pytest.mark.parametrize("fault", ["truncated", "no_end"])
def test_streams_that_just_end(
    server: LlamaAPIEmulator, client: LlamaAPIClient, fault: Any
) -> None:
    server.script(Reply("one two three", fault=fault))
    with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
        kinds = [chunk.event.event_type for chunk in stream]
    assert kinds == ["start", "progress", "progress"]


def test_no_finish_and_second_end(server: LlamaAPIEmulator, client: LlamaAPIClient) -> None:
    server.script(Reply("one", fault="no_finish"), Reply("one", fault="second_end"))
    kinds = []
    for _ in range(2):
        with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
            kinds.append([(c.event.event_type, c.event.stop_reason) for c in stream][2:])
    assert kinds[0] == [("complete", None), ("metrics", None)]
    assert kinds[1] == [("complete", "stop"), ("metrics", None)] * 2


@pytest.mark.parametrize("fault", ["truncated", "invalid_json"])
def test_answers_that_are_not_json(
    server: LlamaAPIEmulator, client: LlamaAPIClient, fault: Any
) -> None:
    server.script(Reply("one two three", fault=fault))
    with pytest.raises(json.JSONDecodeError):
        client.chat.completions.create(model=MODEL, messages=HELLO)


def test_disconnect_and_slowness(server: LlamaAPIEmulator) -> None:
    server.script(Disconnect(), Reply("late", delay=60), Reply("a b c", gap=60))
    with connect(server, timeout=0.2) as client:
        with pytest.raises(llama_api_client.APIConnectionError):
            client.chat.completions.create(model=MODEL, messages=HELLO)
        with pytest.raises(llama_api_client.APITimeoutError):
            client.chat.completions.create(model=MODEL, messages=HELLO)
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        next(iter(stream))
        stream.close()
    assert all(request.done.wait(5) for request in server.requests)
    assert [request.outcome for request in server.requests] == [
        "answered",
        "abandoned",
        "abandoned",
    ]


def test_redirect(server: LlamaAPIEmulator, client: LlamaAPIClient) -> None:
    server.script(redirect("/v1/chat/completions"), "after all")
    client.chat.completions.create(model=MODEL, messages=HELLO)
    assert [request.json["messages"] for request in server.requests] == [HELLO, HELLO]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("sunset", "error"),
    [
        ("forbidden", llama_api_client.PermissionDeniedError),
        ("unreachable", llama_api_client.APIConnectionError),
    ],
)
def test_sunset(sunset: Any, error: type[Exception]) -> None:
    with (
        LlamaAPIEmulator(sunset=sunset) as server,
        connect(server) as client,
        pytest.raises(error),
    ):
        client.chat.completions.create(model=MODEL, messages=HELLO)


def test_connections_are_reused(server: LlamaAPIEmulator, client: LlamaAPIClient) -> None:
    for _ in range(3):
        client.chat.completions.create(model=MODEL, messages=HELLO)
        client.models.list()
    assert server.connections == 1
    assert {request.connection for request in server.requests} == {1}


def test_scripts_of_functions_and_repetition(
    server: LlamaAPIEmulator, client: LlamaAPIClient
) -> None:
    server.script("first", lambda request: request.json["model"], repeat=True)
    texts = []
    for model in MODELS[:3]:
        answer = client.chat.completions.create(model=model, messages=HELLO)
        texts.append(answer.completion_message.content.text)  # type: ignore[union-attr]
    assert texts == ["first", *MODELS[1:3]]


def test_a_mistake_in_a_script_is_not_hidden() -> None:
    server = LlamaAPIEmulator()
    server.start()
    server.script(lambda request: request.json["no such key"])
    with connect(server) as client, pytest.raises(llama_api_client.APIConnectionError):
        client.chat.completions.create(model=MODEL, messages=HELLO)
    with pytest.raises(KeyError):
        server.close()
