"""Carries out a component's run: the call, and its chunks to the callback."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from haystack.dataclasses import (
    ChatMessage,
    ComponentInfo,
    StreamingCallbackT,
    StreamingChunk,
)

from llmroute.api import acompletion, atext_completion, completion, text_completion
from llmroute.types.chat import ChatCompletion
from llmroute.types.text import TextCompletion

from ._chunks import ChunkMapper
from ._convert import to_replies

_NEEDS_LOOP = "is a coroutine function, or returns a coroutine; use run_async()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that a component is about to make."""

    component: Any
    model: str
    """With the provider's prefix."""
    content: list[dict[str, Any]] | str
    """Messages for a chat, else a text to be continued."""
    arguments: Mapping[str, Any]
    """Further arguments of `completion()` or `text_completion()`."""
    callback: StreamingCallbackT | None
    """`None`: the answer comes whole, unless the arguments ask for a stream."""

    @property
    def stream(self) -> bool:
        """Whether the model is asked for a stream."""
        return self.callback is not None or bool(self.arguments.get("stream"))

    def keywords(self) -> dict[str, Any]:
        """The keyword arguments of the call."""
        return {**self.arguments, "stream": self.stream}

    def mapper(self) -> ChunkMapper:
        """A new mapper for the chunks of this call."""
        return ChunkMapper(ComponentInfo.from_component(self.component))


def chat(call: Call) -> dict[str, list[ChatMessage]]:
    """What a chat component's `run` returns."""
    answer, meta = _answer(completion, call)
    return {"replies": to_replies(cast(ChatCompletion, answer), further_meta=meta)}


async def achat(call: Call) -> dict[str, list[ChatMessage]]:
    """The async twin of `chat`."""
    answer, meta = await _aanswer(acompletion, call)
    return {"replies": to_replies(cast(ChatCompletion, answer), further_meta=meta)}


def text(call: Call) -> TextCompletion:
    """The answer to a text component's call."""
    return cast(TextCompletion, _answer(text_completion, call)[0])


async def atext(call: Call) -> TextCompletion:
    """The async twin of `text`."""
    return cast(TextCompletion, (await _aanswer(atext_completion, call))[0])


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


def _answer(send: Any, call: Call) -> tuple[ChatCompletion | TextCompletion, dict[str, Any]]:
    """The whole answer, and what the reply's `meta` shall also tell."""
    if not call.stream:
        return send(call.model, call.content, **call.keywords()), {}
    mapper = call.mapper()
    with send(call.model, call.content, **call.keywords()) as stream:
        for chunk in stream:
            for piece in mapper.feed(chunk):
                _tell(call.callback, piece)
        answer = stream.get_final_completion()
    for piece in mapper.usage(answer):
        _tell(call.callback, piece)
    return answer, {"completion_start_time": mapper.started}


async def _aanswer(send: Any, call: Call) -> tuple[ChatCompletion | TextCompletion, dict[str, Any]]:
    """The async twin of `_answer`."""
    if not call.stream:
        return await send(call.model, call.content, **call.keywords()), {}
    mapper = call.mapper()
    async with await send(call.model, call.content, **call.keywords()) as stream:
        async for chunk in stream:
            for piece in mapper.feed(chunk):
                await _atell(call.callback, piece)
        answer = await stream.get_final_completion()
    for piece in mapper.usage(answer):
        await _atell(call.callback, piece)
    return answer, {"completion_start_time": mapper.started}


def _tell(callback: StreamingCallbackT | None, chunk: StreamingChunk) -> None:
    told = callback(chunk) if callback is not None else None
    if inspect.isawaitable(told):  # as a lambda around a coroutine function returns
        if inspect.iscoroutine(told):
            told.close()
        raise ValueError(f"The streaming_callback {_NEEDS_LOOP}")


async def _atell(callback: StreamingCallbackT | None, chunk: StreamingChunk) -> None:
    if callback is not None:
        told = callback(chunk)
        if inspect.isawaitable(told):
            await told
