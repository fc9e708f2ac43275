"""Calls of gemini/ against the emulator, as a user makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

import llmroute
from llmroute.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    StreamInterruptedError,
    UnsupportedParamsError,
)
from llmroute.testing.gemini_api import KEY, SIGNATURE, GeminiServer
from tests.providers.gemini_wire import answer, sse
from tests.servers import CLOSE, RESET, ScriptedServer

MODEL = "gemini/gemini-3-flash-preview"
EMBEDDER = "gemini/gemini-embedding-001"


def look_up_tool(name: str) -> dict[str, Any]:
    function = {"name": name, "parameters": {"type": "object", "properties": {}}}
    return {"type": "function", "function": function}


class Answer(BaseModel):
    """What is asked for."""

    sky: str


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiServer]:
    with GeminiServer("One two three") as server:
        monkeypatch.setenv("GEMINI_API_BASE", server.base_url)
        monkeypatch.setenv("GEMINI_API_KEY", KEY)
        yield server


async def _streamed(messages: Any, **given: Any) -> Any:
    stream = await llmroute.acompletion(MODEL, messages, stream=True, **given)
    return await stream.get_final_completion()


def ask(way: str, messages: Any, **given: Any) -> Any:
    """A call in one of the four ways."""
    match way:
        case "plain":
            return llmroute.completion(MODEL, messages, **given)
        case "async":
            return asyncio.run(llmroute.acompletion(MODEL, messages, **given))
        case "stream":
            with llmroute.completion(MODEL, messages, stream=True, **given) as stream:
                return stream.get_final_completion()
    return asyncio.run(_streamed(messages, **given))


WAYS = pytest.mark.parametrize("way", ["plain", "async", "stream", "async stream"])


@WAYS
def test_completion_answers(server: GeminiServer, way: str) -> None:
    got = ask(way, "Hi", max_tokens=5)
    assert got.text == "One two three"
    assert got.choices[0].message.reasoning_content == "Let me think."
    assert got.choices[0].finish_reason == "stop"
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (7, 8)
    assert got.usage.completion_tokens_details.reasoning_tokens == 3
    assert got.call_info.model == MODEL
    assert llmroute.completion_cost(got) is not None
    assert server.requests[-1].json["generationConfig"] == {"maxOutputTokens": 5}


@WAYS
@pytest.mark.parametrize("keep", ["object", "dict"])
def test_completion_loops_over_parallel_tools(server: GeminiServer, way: str, keep: str) -> None:
    """The emulator refuses a call that comes back without its signature, as Gemini 3 does."""
    tools = [look_up_tool("a"), look_up_tool("b")]
    first = ask(way, "Hi", tools=tools)
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in message.tool_calls] == ["a", "b"]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "blue"} for call in message.tool_calls
    ]
    back = message if keep == "object" else message.to_dict()
    second = ask(way, [{"role": "user", "content": "Hi"}, back, *results], tools=tools)
    assert second.text == "One two three"
    _, model, user = server.requests[-1].json["contents"]
    assert [part.get("thoughtSignature") for part in model["parts"]] == [None, SIGNATURE, None]
    ids = [part["functionResponse"]["id"] for part in user["parts"]]
    assert ids == ["own-0", "own-1"]


def test_completion_forces_one_tool(server: GeminiServer) -> None:
    tools = [look_up_tool("a"), look_up_tool("b")]
    chosen = {"type": "function", "function": {"name": "b"}}
    message = ask("plain", "Hi", tools=tools, tool_choice=chosen).choices[0].message
    assert [call.function.name for call in message.tool_calls] == ["b"]
    assert ask("plain", "Hi", tools=tools, tool_choice="none").text == "One two three"


@WAYS
def test_completion_sends_pydantic_models_and_images(server: GeminiServer, way: str) -> None:
    server.answer = '{"sky": "blue"}'
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    got = ask(way, [{"role": "user", "content": [image]}], response_format=Answer)
    assert Answer.model_validate_json(got.text).sky == "blue"
    asked = server.requests[-1].json
    assert asked["contents"][0]["parts"][0]["inlineData"]["mimeType"] == "image/png"
    assert asked["generationConfig"]["responseJsonSchema"]["required"] == ["sky"]


def test_embedding_gives_vectors_in_order(server: GeminiServer) -> None:
    got = llmroute.embedding(EMBEDDER, ["a", "bcd"], dimensions=3)
    assert [vector.embedding for vector in got.data] == [[1.0, 0.5, 0.5], [3.0, 0.5, 0.5]]
    asked = server.requests[-1].json["requests"][0]
    assert asked["model"] == "models/gemini-embedding-001"
    assert asked["outputDimensionality"] == 3
    also = asyncio.run(llmroute.aembedding(EMBEDDER, "a", task_type="RETRIEVAL_QUERY"))
    assert also.data[0].embedding == [1.0, 0.5]
    assert server.requests[-1].json["requests"][0]["taskType"] == "RETRIEVAL_QUERY"
    packed = llmroute.embedding(EMBEDDER, "a", encoding_format="base64")
    assert packed.data[0].embedding == "AACAPwAAAD8="
    with pytest.raises(BadRequestError, match="token ids"):
        llmroute.embedding(EMBEDDER, [1, 2])


def test_text_completion_asks_the_chat(server: GeminiServer) -> None:
    got = llmroute.text_completion(MODEL, "Hi", max_tokens=5)
    assert (got.text, got.choices[0].finish_reason) == ("One two three", "stop")
    assert server.requests[-1].json["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    with llmroute.text_completion(MODEL, "Hi", stream=True) as stream:
        assert "".join(chunk.text for chunk in stream) == "One two three"
    with pytest.raises(UnsupportedParamsError, match="suffix"):
        llmroute.text_completion(MODEL, "Hi", suffix="x")


def test_completion_tells_googles_errors(server: GeminiServer) -> None:
    with pytest.raises(AuthenticationError) as wrong:
        llmroute.completion(MODEL, "Hi", api_key="another-key")
    assert wrong.value.code == "INVALID_ARGUMENT"
    assert "another-key" not in str(wrong.value)
    with pytest.raises(NotFoundError):
        llmroute.completion("gemini/other/x", "Hi", num_retries=0)


@pytest.mark.parametrize("ending", [CLOSE, RESET])
def test_completion_raises_for_a_stream_that_breaks_off(ending: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    data = sse(answer({"text": "One"}, reason=None))
    with (
        ScriptedServer([head + data, ending]) as server,
        llmroute.completion(
            MODEL, "Hi", stream=True, api_base=f"{server.url}/v1beta", api_key=KEY
        ) as stream,
        pytest.raises(StreamInterruptedError) as caught,
    ):
        list(stream)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "One"


def test_gemini_openai_speaks_openais_protocol() -> None:
    whole = b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    whole += b'"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(whole)
    with ScriptedServer([head + whole]) as server:
        base = f"{server.url}/v1beta/openai"
        got = llmroute.completion(
            "gemini_openai/gemini-2.5-flash", "Hi", api_base=base, api_key=KEY
        )
        assert got.text == "Hi"
        assert server.requests[0].line.startswith("POST /v1beta/openai/chat/completions")
