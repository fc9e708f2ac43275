"""Streamed chunks as Haystack's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from haystack.dataclasses import ComponentInfo, ReasoningContent, StreamingChunk, ToolCallDelta

from llmroute.types.chat import ChatCompletion
from llmroute.types.chat_chunk import ChatCompletionChunk, ChunkChoice
from llmroute.types.text import TextChoice, TextCompletion

from ._convert import FINISH_REASONS, usage_dict


class ChunkMapper:
    """Maps the chunks of one stream.

    Reasoning, text and every tool call are content blocks, numbered as they come: a chunk's
    `index` is its block's number, and `start` is true in a block's first chunk.
    """

    def __init__(self, component: ComponentInfo) -> None:
        self._component = component
        self._blocks: dict[tuple[int, str, int], int] = {}
        self.started: str | None = None
        """When the first chunk came, as ISO text; `None` before."""

    def feed(self, chunk: ChatCompletionChunk | TextCompletion) -> Iterator[StreamingChunk]:
        """Haystack's chunks for one of ours: one for each thing it brings."""
        for choice in chunk.choices:
            yield from self._choice(chunk.model, choice)

    def usage(self, answer: ChatCompletion | TextCompletion) -> Iterator[StreamingChunk]:
        """The last chunk, which tells the usage; none if the provider reported none."""
        if answer.usage is not None:
            yield self._chunk(answer.model, {}, {"usage": usage_dict(answer.usage)})

    def _choice(self, model: str, choice: ChunkChoice | TextChoice) -> Iterator[StreamingChunk]:
        brought = [self._in_block(choice, *part) for part in _parts(choice)]
        last: dict[str, Any] = {}
        if choice.finish_reason is not None:
            last["finish_reason"] = choice.finish_reason
        if choice.logprobs is not None:
            last["logprobs"] = choice.logprobs.to_dict()
        if isinstance(choice, ChunkChoice) and choice.delta.refusal:
            last["refusal"] = choice.delta.refusal
        if last and not brought:
            brought = [{}]
        for number, fields in enumerate(brought, 1):
            meta = {"index": choice.index, **(last if number == len(brought) else {})}
            yield self._chunk(model, fields, meta)

    def _in_block(
        self, choice: ChunkChoice | TextChoice, kind: str, number: int, fields: dict[str, Any]
    ) -> dict[str, Any]:
        block = (choice.index, kind, number)
        start = block not in self._blocks
        index = self._blocks.setdefault(block, len(self._blocks))
        return {**fields, "index": index, "start": start}

    def _chunk(self, model: str, fields: dict[str, Any], meta: dict[str, Any]) -> StreamingChunk:
        now = datetime.now(UTC).isoformat()
        self.started = self.started or now
        return StreamingChunk(
            **{"content": "", **fields},
            component_info=self._component,
            finish_reason=FINISH_REASONS.get(meta.get("finish_reason")),
            meta={"model": model, "received_at": now, **meta},
        )


def _parts(choice: ChunkChoice | TextChoice) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """What a choice brings: the kind of block, which of that kind, and the chunk's fields."""
    if isinstance(choice, TextChoice):
        if choice.text:
            yield "text", 0, {"content": choice.text}
        return
    delta = choice.delta
    if delta.reasoning_content:
        yield "reasoning", 0, {"reasoning": ReasoningContent(delta.reasoning_content)}
    if delta.content:
        yield "text", 0, {"content": delta.content}
    for call in delta.tool_calls or ():
        function = call.function
        piece = ToolCallDelta(
            index=call.index,
            id=call.id,
            tool_name=function.name if function else None,
            arguments=function.arguments if function else None,
        )
        yield "tool call", call.index, {"tool_calls": [piece]}
