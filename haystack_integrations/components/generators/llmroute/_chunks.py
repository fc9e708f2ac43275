"""Streamed chunks as Haystack's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from haystack.dataclasses import ComponentInfo, ReasoningContent, StreamingChunk, ToolCallDelta
from haystack.dataclasses.streaming_chunk import FinishReason

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
        """The last chunk, which has the usage; none if the provider reported none."""
        if answer.usage is not None:
            yield self._chunk(answer.model, _NOTHING, {"usage": usage_dict(answer.usage)})

    def _choice(self, model: str, choice: ChunkChoice | TextChoice) -> Iterator[StreamingChunk]:
        *before, last = list(_parts(choice)) or [_NOTHING]
        for part in before:
            yield self._chunk(model, part, {"index": choice.index}, self._block(choice, part))
        meta: dict[str, object] = {"index": choice.index}
        if choice.finish_reason is not None:
            meta["finish_reason"] = choice.finish_reason
        if choice.logprobs is not None:
            meta["logprobs"] = choice.logprobs.to_dict()
        if isinstance(choice, ChunkChoice) and choice.delta.refusal:
            meta["refusal"] = choice.delta.refusal
        if len(meta) > 1 or last is not _NOTHING:
            ends = FINISH_REASONS.get(choice.finish_reason)
            yield self._chunk(model, last, meta, self._block(choice, last), ends)

    def _chunk(
        self,
        model: str,
        part: _Part,
        meta: Mapping[str, object],
        block: tuple[int | None, bool] = (None, False),
        finish_reason: FinishReason | None = None,
    ) -> StreamingChunk:
        now = datetime.now(UTC).isoformat()
        self.started = self.started or now
        index, start = block
        return StreamingChunk(
            content=part.content,
            reasoning=part.reasoning,
            tool_calls=part.tool_calls,
            index=index,
            start=start,
            component_info=self._component,
            finish_reason=finish_reason,
            meta={"model": model, "received_at": now, **meta},
        )

    def _block(self, choice: ChunkChoice | TextChoice, part: _Part) -> tuple[int | None, bool]:
        """The number of the content block that `part` belongs to, and whether it begins it."""
        if part is _NOTHING:
            return None, False
        block = (choice.index, part.kind, part.number)
        start = block not in self._blocks
        return self._blocks.setdefault(block, len(self._blocks)), start


class _Part(NamedTuple):
    """What a choice brings to one content block."""

    kind: str
    number: int = 0
    """Which block of that kind."""
    content: str = ""
    reasoning: ReasoningContent | None = None
    tool_calls: list[ToolCallDelta] | None = None


_NOTHING = _Part("nothing")


def _parts(choice: ChunkChoice | TextChoice) -> Iterator[_Part]:
    if isinstance(choice, TextChoice):
        if choice.text:
            yield _Part("text", content=choice.text)
        return
    delta = choice.delta
    if delta.reasoning_content:
        yield _Part("reasoning", reasoning=ReasoningContent(delta.reasoning_content))
    if delta.content:
        yield _Part("text", content=delta.content)
    for call in delta.tool_calls or ():
        function = call.function
        piece = ToolCallDelta(
            index=call.index,
            id=call.id,
            tool_name=function.name if function else None,
            arguments=function.arguments if function else None,
        )
        yield _Part("tool call", call.index, tool_calls=[piece])
