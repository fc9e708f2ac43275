"""Carries out a component's run: the call, and its chunks to the callback."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from haystack.core.component import Component
from haystack.dataclasses import (
    ChatMessage,
    ComponentInfo,
    StreamingCallbackT,
    StreamingChunk,
)

from llmroute.calls.chat import acompletion, completion
from llmroute.calls.text import atext_completion, text_completion
from llmroute.transport.streams import AsyncStream, Stream
from llmroute.types.chat import ChatCompletion
from llmroute.types.chat_chunk import ChatCompletionChunk
from llmroute.types.text import TextCompletion

from ._chunks import ChunkMapper
from ._convert import Message, to_replies

Content: TypeAlias = list[Message] | str
"""Messages of a chat, else a text to be continued."""

_NEEDS_LOOP = "is a coroutine function, or returns a coroutine; use run_async()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that a component is about to make."""

    component: Component
    model: str
    """With the provider's prefix."""
    content: Content
    arguments: Mapping[str, Any]
    """Further arguments of `completion()` or `text_completion()`, which check them."""
    callback: StreamingCallbackT | None
    stream: bool
    """Whether the answer comes in chunks, which a callback needs."""


def chat(call: Call | None) -> dict[str, list[ChatMessage]]:
    """What a chat component's `run` returns; without a call, no replies."""
    if call is None:
        return {"replies": []}
    if not call.stream:
        answer: ChatCompletion = completion(call.model, call.content, **call.arguments)
        return _replies(answer)
    relay = _Relay(call)
    with completion(call.model, call.content, stream=True, **call.arguments) as stream:
        relay.chunks(stream)
        answer = stream.get_final_completion()
    relay.usage(answer)
    return _replies(answer, completion_start_time=relay.started)


async def achat(call: Call | None) -> dict[str, list[ChatMessage]]:
    """The async twin of `chat`."""
    if call is None:
        return {"replies": []}
    if not call.stream:
        answer: ChatCompletion = await acompletion(call.model, call.content, **call.arguments)
        return _replies(answer)
    relay = _Relay(call)
    async with await acompletion(call.model, call.content, stream=True, **call.arguments) as stream:
        await relay.achunks(stream)
        answer = await stream.get_final_completion()
    await relay.ausage(answer)
    return _replies(answer, completion_start_time=relay.started)


def text(call: Call) -> TextCompletion:
    """The answer to a text component's call."""
    assert isinstance(call.content, str)
    if not call.stream:
        answer: TextCompletion = text_completion(call.model, call.content, **call.arguments)
        return answer
    relay = _Relay(call)
    with text_completion(call.model, call.content, stream=True, **call.arguments) as stream:
        relay.chunks(stream)
        answer = stream.get_final_completion()
    relay.usage(answer)
    return answer


async def atext(call: Call) -> TextCompletion:
    """The async twin of `text`."""
    assert isinstance(call.content, str)
    if not call.stream:
        answer: TextCompletion = await atext_completion(call.model, call.content, **call.arguments)
        return answer
    relay = _Relay(call)
    async with await atext_completion(
        call.model, call.content, stream=True, **call.arguments
    ) as stream:
        await relay.achunks(stream)
        answer = await stream.get_final_completion()
    await relay.ausage(answer)
    return answer


def choose_callback(
    init: StreamingCallbackT | None, run: StreamingCallbackT | None, *, in_loop: bool
) -> StreamingCallbackT | None:
    """The callback of a run, which wins over that of the component.

    Raises `ValueError` for a coroutine function where no event loop runs to await it.
    """
    for name, callback in (("init", init), ("run", run)):
        if not in_loop and _is_async(callback):
            raise ValueError(f"The streaming_callback of {name} {_NEEDS_LOOP}")
    return run if run is not None else init


def _is_async(callback: StreamingCallbackT | None) -> bool:
    call = getattr(callback, "__call__", None)  # noqa: B004  (an object may have an async one)
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(call)


def _replies(answer: ChatCompletion, **further_meta: object) -> dict[str, list[ChatMessage]]:
    return {"replies": to_replies(answer, further_meta=further_meta)}


class _Relay:
    """Passes the chunks of one stream on to the callback, as Haystack's."""

    def __init__(self, call: Call) -> None:
        self._callback = call.callback
        self._mapper = ChunkMapper(ComponentInfo.from_component(call.component))

    @property
    def started(self) -> str | None:
        """When the first chunk came, as ISO text; `None` before."""
        return self._mapper.started

    def chunks(self, stream: Stream[ChatCompletionChunk] | Stream[TextCompletion]) -> None:
        for chunk in stream:
            for piece in self._mapper.feed(chunk):
                self._send(piece)

    async def achunks(
        self, stream: AsyncStream[ChatCompletionChunk] | AsyncStream[TextCompletion]
    ) -> None:
        async for chunk in stream:
            for piece in self._mapper.feed(chunk):
                await self._asend(piece)

    def usage(self, answer: ChatCompletion | TextCompletion) -> None:
        for piece in self._mapper.usage(answer):
            self._send(piece)

    async def ausage(self, answer: ChatCompletion | TextCompletion) -> None:
        for piece in self._mapper.usage(answer):
            await self._asend(piece)

    def _send(self, chunk: StreamingChunk) -> None:
        if self._callback is None:
            return
        returned: object = self._callback(chunk)
        if inspect.isawaitable(returned):  # as a lambda around a coroutine function returns
            if inspect.iscoroutine(returned):
                returned.close()
            raise ValueError(f"The streaming_callback {_NEEDS_LOOP}")

    async def _asend(self, chunk: StreamingChunk) -> None:
        if self._callback is None:
            return
        returned: object = self._callback(chunk)
        if inspect.isawaitable(returned):
            await returned
