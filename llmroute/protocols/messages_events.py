"""Chunks of a chat as the events of Anthropic's Messages, in the protocol's order.

Blocks come one after the other there, while chunks may mix the pieces of several calls. So only the
first open block is shown as it grows; what belongs to later ones waits until it is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic_core import from_json

from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk, Delta, ToolCallDelta
from ..types.messages import MessageEvent, MessagesResponse
from ..types.request import JSON
from .messages_answer import ending, head, response, usage
from .messages_state import closed

# By the type of a block: the type of its deltas, and their key.
_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}


@dataclass(slots=True)
class _Block:
    type: str
    start: dict[str, JSON]
    """The block as it begins."""
    waiting: list[str] = field(default_factory=list)
    """Pieces that no event has shown yet."""
    shown: list[str] = field(default_factory=list)
    """Pieces of a call's arguments that events have shown."""
    is_open: bool = False

    def can_begin(self) -> bool:
        """Whether its start is known: a call's name may come in pieces, before its arguments."""
        return self.type != "tool_use" or self.is_open or bool(self.start["name"] and self.waiting)

    def is_whole(self) -> bool:
        """Whether nothing more of it is to be expected once another block has begun."""
        if self.type != "tool_use":
            return True
        text = "".join([*self.shown, *self.waiting])
        try:
            from_json(text)
        except ValueError:
            return False
        return True


class ChunkEvents:
    """Makes events of the chunks of one stream."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        """`stops` are the stop sequences that were asked for."""
        self._stops = stops
        self._has_begun = False
        self._index = 0
        """The number of the first block that has not ended."""
        self._blocks: list[_Block] = []
        """The blocks that have not ended, in order."""
        self._calls: dict[int, _Block] = {}

    def feed(self, chunk: ChatCompletionChunk) -> Iterator[MessageEvent]:
        """The events that `chunk` completes."""
        if not self._has_begun:
            self._has_begun = True
            yield self._begin(chunk.id, chunk.model)
        for choice in chunk.choices:
            if choice.index == 0:
                self._add(choice.delta, chunk.id)
        yield from self._advance()

    def end(self, answer: ChatCompletion) -> Iterator[MessageEvent]:
        """The last events; `answer` is what the whole stream said."""
        if not self._has_begun:
            yield self._begin(answer.id, answer.model)
        choice = answer.choices[0] if answer.choices else None
        if choice is not None and (state := closed(choice.message)) is not None:
            self._blocks.append(_Block(str(state["type"]), state))
        while self._blocks:
            yield from self._grow(self._blocks[0])
            yield self._close()
        counts = usage(answer.usage)
        yield _event("message_delta", delta=ending(choice, self._stops), usage=counts)
        yield _event("message_stop")

    def answer(self, answer: ChatCompletion) -> MessagesResponse:
        """The whole message; `answer` is what the whole stream said."""
        return response(answer, self._stops)

    def _begin(self, id: str, model: str) -> MessageEvent:
        nothing = {"input_tokens": 0, "output_tokens": 0}  # the counts come at the end
        message = {**head(id, model), "content": [], "stop_reason": None, "stop_sequence": None}
        return _event("message_start", message={**message, "usage": nothing})

    def _add(self, delta: Delta, id: str) -> None:
        """Puts the pieces of a delta into their blocks."""
        if delta.reasoning_content:
            start = {"type": "thinking", "thinking": "", "signature": ""}
            self._last("thinking", start).waiting.append(delta.reasoning_content)
        for text in (delta.content, delta.refusal):
            if text:
                self._last("text", {"type": "text", "text": ""}).waiting.append(text)
        for piece in delta.tool_calls or ():
            self._add_call(piece, id)

    def _last(self, type: str, start: dict[str, JSON]) -> _Block:
        """The last block if it is of this type, or a new one."""
        if not self._blocks or self._blocks[-1].type != type:
            self._blocks.append(_Block(type, start))
        return self._blocks[-1]

    def _add_call(self, piece: ToolCallDelta, id: str) -> None:
        block = self._calls.get(piece.index)
        if block is None:
            start = {"type": "tool_use", "id": f"{id}-{piece.index}", "name": "", "input": {}}
            block = self._calls[piece.index] = _Block("tool_use", start)
            self._blocks.append(block)
        if piece.id and not block.is_open:
            block.start["id"] = piece.id
        if piece.function is None:
            return
        name = piece.function.name
        if name and name != block.start["name"] and not block.is_open:
            block.start["name"] += name
        if piece.function.arguments:
            block.waiting.append(piece.function.arguments)

    def _advance(self) -> Iterator[MessageEvent]:
        """What can be shown now."""
        while self._blocks and self._blocks[0].can_begin():
            yield from self._grow(self._blocks[0])
            if len(self._blocks) == 1 or not self._blocks[0].is_whole():
                return
            yield self._close()

    def _grow(self, block: _Block) -> Iterator[MessageEvent]:
        if not block.is_open:
            block.is_open = True
            yield _event("content_block_start", index=self._index, content_block=block.start)
        if not block.waiting:
            return
        type, key = _DELTAS[block.type]
        for piece in block.waiting:
            yield _event("content_block_delta", index=self._index, delta={"type": type, key: piece})
        if block.type == "tool_use":
            block.shown += block.waiting
        block.waiting.clear()

    def _close(self) -> MessageEvent:
        del self._blocks[0]
        self._index += 1
        return _event("content_block_stop", index=self._index - 1)


def _event(type: str, **fields: JSON) -> MessageEvent:
    return MessageEvent.model_validate({"type": type, **fields})
