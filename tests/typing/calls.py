"""What a type checker sees of the calls. Checked by `make check`, never run."""

from typing import assert_type

import llmroute
from llmroute import (
    AsyncMessageStream,
    AsyncStream,
    ChatCompletion,
    ChatCompletionChunk,
    EmbeddingResponse,
    MessageEvent,
    MessagesResponse,
    MessageStream,
    Response,
    ResponseEvent,
    Stream,
    TextCompletion,
)


def plain() -> None:
    assert_type(llmroute.completion("m", "hi", temperature=1.0, timeout=3), ChatCompletion)
    assert_type(llmroute.completion("m", [{"role": "user"}], stream=False), ChatCompletion)
    stream = llmroute.completion("m", "hi", stream=True, api_key="k")
    assert_type(stream, Stream[ChatCompletionChunk])
    with stream as entered:
        for chunk in entered:
            assert_type(chunk, ChatCompletionChunk)
            assert_type(chunk.text, str)
    assert_type(stream.get_final_completion(), ChatCompletion)
    assert_type(llmroute.text_completion("m", "hi", max_tokens=1), TextCompletion)
    text_stream = llmroute.text_completion("m", "hi", stream=True)
    assert_type(text_stream, Stream[TextCompletion])
    assert_type(text_stream.get_final_completion(), TextCompletion)
    assert_type(llmroute.embedding("m", ["hi"]), EmbeddingResponse)
    assert_type(llmroute.responses("m", "hi", max_output_tokens=1), Response)
    events = llmroute.responses("m", "hi", stream=True)
    assert_type(next(events), ResponseEvent)
    assert_type(events.get_final_response(), Response)


def in_anthropics_shapes() -> None:
    assert_type(llmroute.messages("m", "hi", max_tokens=1), MessagesResponse)
    stream = llmroute.messages("m", "hi", stream=True, system="s")
    assert_type(stream, MessageStream)
    for event in stream:
        assert_type(event, MessageEvent)
    assert_type(stream.get_final_message(), MessagesResponse)


def either(flag: bool) -> None:
    answer = llmroute.completion("m", "hi", stream=flag)
    assert_type(answer, ChatCompletion | Stream[ChatCompletionChunk])


async def awaited() -> None:
    assert_type(await llmroute.acompletion("m", "hi"), ChatCompletion)
    assert_type(await llmroute.amessages("m", "hi"), MessagesResponse)
    assert_type(await llmroute.amessages("m", "hi", stream=True), AsyncMessageStream)
    stream = await llmroute.acompletion("m", "hi", stream=True)
    assert_type(stream, AsyncStream[ChatCompletionChunk])
    async with stream:
        async for chunk in stream:
            assert_type(chunk, ChatCompletionChunk)
    assert_type(await stream.get_final_completion(), ChatCompletion)
    assert_type(await llmroute.atext_completion("m", "hi"), TextCompletion)
    assert_type(await llmroute.aembedding("m", "hi"), EmbeddingResponse)
    assert_type(await llmroute.aresponses("m", "hi"), Response)
    events = await llmroute.aresponses("m", "hi", stream=True)
    assert_type(await anext(events), ResponseEvent)
    assert_type(await events.get_final_response(), Response)


def mistakes() -> None:
    llmroute.completion("m", "hi", temprature=1.0)  # type: ignore[call-overload]
    llmroute.completion("m", "hi", temperature="hot")  # type: ignore[call-overload]
    llmroute.embedding("m")  # type: ignore[call-arg]
