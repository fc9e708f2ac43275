"""Streams: the chunks a callback gets, and what happens when it fails or the task is cancelled."""

from __future__ import annotations

import asyncio
import json

import pytest
from haystack.components.generators.utils import _convert_streaming_chunks_to_chat_message
from haystack.dataclasses import ChatMessage, ComponentInfo, StreamingChunk

from haystack_integrations.components.generators.llmroute._chunks import ChunkMapper
from llmroute import loaded_models
from llmroute.integrations.haystack import LlamaCppChatGenerator, LlamaCppGenerator
from llmroute.testing.llama_api import Reply, ToolUse
from llmroute.types.chat_chunk import ChatCompletionChunk


def stream(component, content, recorder, form):
    """Streams in one of three forms; returns what the run returned."""
    if form == "sync":
        return component.run(content, streaming_callback=recorder)
    if form == "async, plain callback":
        return asyncio.run(component.run_async(content, streaming_callback=recorder))

    async def record(chunk):
        await asyncio.sleep(0)
        recorder(chunk)

    return asyncio.run(component.run_async(content, streaming_callback=record))


forms = pytest.mark.parametrize("form", ["sync", "async, plain callback", "async"])


@forms
def test_streaming_text(chat_component, recorder, form):
    (reply,) = stream(chat_component, "Hi", recorder, form)["replies"]
    assert recorder.text == reply.text == "Hello from this process."
    texts = [chunk for chunk in recorder.chunks if chunk.content]
    assert len(texts) > 1
    assert [chunk.start for chunk in texts] == [True] + [False] * (len(texts) - 1)
    assert {chunk.index for chunk in texts} == {0}
    assert [chunk.finish_reason for chunk in recorder.chunks if chunk.finish_reason] == ["stop"]
    kind = f"{type(chat_component).__module__}.{type(chat_component).__name__}"
    assert {chunk.component_info.type for chunk in recorder.chunks} == {kind}
    assert all(chunk.meta["model"] == reply.meta["model"] for chunk in recorder.chunks)
    assert recorder.chunks[-1].meta["usage"] == reply.meta["usage"]
    assert type(reply.meta["usage"]) is dict
    assert reply.meta["usage"]["total_tokens"] > 0
    assert reply.meta["completion_start_time"] == recorder.chunks[0].meta["received_at"]
    for chunk in recorder.chunks:
        assert StreamingChunk.from_dict(json.loads(json.dumps(chunk.to_dict()))) == chunk


@forms
def test_streaming_gives_the_same_reply_as_a_whole_answer(chat_component, recorder, form):
    changing = {"response_id", "created", "completion_start_time"}
    (whole,) = chat_component.run("Hi")["replies"]
    (streamed,) = stream(chat_component, "Hi", recorder, form)["replies"]
    by_haystack = _convert_streaming_chunks_to_chat_message(recorder.chunks)
    assert streamed._content == whole._content == by_haystack._content
    for key in whole.meta.keys() - changing - {"usage"}:
        assert streamed.meta[key] == whole.meta[key] == by_haystack.meta[key]
    assert streamed.meta["usage"]["completion_tokens"] == whole.meta["usage"]["completion_tokens"]


@forms
def test_streaming_text_and_tool_calls(server, meta, weather, recorder, form):
    uses = [ToolUse("weather", {"city": "Oslo"}, id="a"), ToolUse("weather", {}, id="b")]
    server.script(Reply("Let me see.", tool_calls=uses))
    (reply,) = stream(meta(tools=[weather]), "Hi", recorder, form)["replies"]
    assert reply.text == "Let me see."
    blocks = [(chunk.index, chunk.start) for chunk in recorder.chunks if chunk.index is not None]
    assert [index for index, start in blocks if start] == [0, 1, 2]
    assert [index for index, _ in blocks] == sorted(index for index, _ in blocks)
    deltas = [delta for chunk in recorder.chunks for delta in chunk.tool_calls or ()]
    assert [(d.index, d.id, d.tool_name) for d in deltas if d.id] == [
        (0, "a", "weather"),
        (1, "b", "weather"),
    ]
    assert "".join(d.arguments or "" for d in deltas if d.index == 0) == '{"city":"Oslo"}'
    assert [chunk.finish_reason for chunk in recorder.chunks if chunk.finish_reason] == [
        "tool_calls"
    ]
    assert _convert_streaming_chunks_to_chat_message(recorder.chunks).tool_calls == reply.tool_calls


def test_mapper_splits_a_chunk_with_several_parts():
    """Haystack's chunks carry one each."""
    delta = {
        "reasoning_content": "Hm.",
        "content": "Yes.",
        "tool_calls": [
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
            {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    chunk = ChatCompletionChunk.model_validate(
        {
            "id": "1",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls"}],
        }
    )
    chunks = list(ChunkMapper(ComponentInfo("type")).feed(chunk))
    assert [piece.index for piece in chunks] == [0, 1, 2, 3]
    assert all(piece.start for piece in chunks)
    assert [piece.finish_reason for piece in chunks] == [None, None, None, "tool_calls"]
    assert chunks[0].reasoning.reasoning_text == "Hm."


@forms
def test_streaming_of_a_text_component(spoken, recorder, form):
    result = stream(LlamaCppGenerator(spoken), "Once", recorder, form)
    assert result["replies"] == [recorder.text] == ["Hello from this process."]
    assert [chunk.start for chunk in recorder.chunks if chunk.content] == [True, *[False] * 3]
    assert recorder.chunks[-1].meta["usage"] == result["meta"][0]["usage"]


class OurError(Exception):
    """Raised by the tests only."""


@forms
def test_streaming_raises_the_error_of_a_callback(chat_component, form):
    def failing(chunk):
        raise OurError

    with pytest.raises(OurError):
        stream(chat_component, "Hi", failing, form)
    (reply,) = chat_component.run("Hi")["replies"]
    assert reply.text == "Hello from this process."


def busy(path):
    """Whether a call runs on the model, or waits for it."""
    return any(model.active + model.waiting for model in loaded_models() if model.path == path)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (the engine sets no event)
            await asyncio.sleep(0.01)


@pytest.fixture
def endless(scripted):
    return str(scripted("on and ", loop=True, n_ctx=100_000).resolve())


ENDLESS = {"max_tokens": 1_000_000}


@pytest.mark.native
@pytest.mark.parametrize("make", [LlamaCppChatGenerator, LlamaCppGenerator])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_cancelling_stops_the_model(endless, make, streamed):
    component = make(endless, generation_kwargs=ENDLESS, model_kwargs={"n_ctx": 100_000})

    async def story():
        begun = asyncio.Event()

        async def record(chunk):
            begun.set()

        task = asyncio.create_task(
            component.run_async("Hi", streaming_callback=record if streamed else None)
        )
        await (begun.wait() if streamed else until(lambda: busy(endless)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not busy(endless))

    asyncio.run(story())
    # The next caller gets an answer, as after a timeout.
    assert component.run("Hi", generation_kwargs={"max_tokens": 2})["replies"]


@pytest.mark.native
@pytest.mark.parametrize("make", [LlamaCppChatGenerator, LlamaCppGenerator])
def test_a_failing_callback_stops_the_model(endless, make):
    def failing(chunk):
        raise OurError

    component = make(endless, generation_kwargs=ENDLESS, model_kwargs={"n_ctx": 100_000})
    with pytest.raises(OurError):
        component.run("Hi", streaming_callback=failing)
    asyncio.run(until(lambda: not busy(endless)))


def test_cancelling_a_call_over_http_closes_its_connection(server, meta):
    server.script(Reply("word " * 200, gap=0.05), "next")

    async def story():
        begun = asyncio.Event()

        async def record(chunk):
            begun.set()

        task = asyncio.create_task(meta().run_async("Hi", streaming_callback=record))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await meta().run_async("Hi")

    assert asyncio.run(story())["replies"][0].text == "next"


def test_a_message_from_a_stream_goes_back_into_the_conversation(server, meta, recorder):
    component = meta()
    (reply,) = component.run("Hi", streaming_callback=recorder)["replies"]
    component.run([ChatMessage.from_user("Hi"), reply, ChatMessage.from_user("Why?")])
    assert server.requests[-1].json["messages"][1] == {"role": "assistant", "content": reply.text}
