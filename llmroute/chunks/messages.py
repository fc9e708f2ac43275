"""Events of Anthropic's Messages back into one message."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from ..types.messages import ContentBlock, EventDelta, MessageEvent, MessagesResponse

# Types of deltas whose texts go on: the key in the block, and in the delta.
_GROWING = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
_SPEAKING = frozenset({"content_block_start", "content_block_delta"})


class MessageAssembler:
    """Collects `MessageEvent`s; see `Assembler`."""

    expected = 1

    def __init__(self) -> None:
        self.spoke = False
        self.says_something = False
        self.settled = False
        """Whether `message_stop` has come, the protocol's own end."""
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}
        """By block and key, texts that go on."""

    def add(self, event: MessageEvent) -> bool:
        """See `Assembler.add`."""
        kind = event.type
        self.says_something = kind in _SPEAKING
        self.spoke = self.spoke or self.says_something
        if kind == "message_start" and event.message is not None:
            self._message = event.message.to_dict()
        elif kind == "content_block_start" and event.index is not None and event.content_block:
            self._blocks[event.index] = event.content_block.to_dict()
        elif kind == "content_block_delta" and event.index is not None and event.delta:
            self._grow(event.index, event.delta)
        elif kind == "message_delta":
            self._finish(event)
        elif kind == "message_stop":
            self.spoke = self.settled = True  # an empty answer is one, too
        return True

    def missing(self, *, marked: bool, needs_reasons: bool = True) -> str | None:
        """See `Assembler.missing`."""
        if not self._message:
            return "it brought no message_start"
        return None if self.settled else "message_stop has not come"

    def completion(self) -> MessagesResponse:
        """See `Assembler.completion`."""
        blocks = [self._block(index) for index in sorted(self._blocks)]
        nothing = {"id": "", "model": "", "usage": {}}
        return MessagesResponse.model_validate({**nothing, **self._message, "content": blocks})

    def _grow(self, index: int, delta: EventDelta) -> None:
        kind = str(delta.type)
        if kind == "input_json_delta":
            self._pieces.setdefault((index, "input"), []).append(delta.partial_json or "")
        elif (key := _GROWING.get(kind)) is not None:
            self._pieces.setdefault((index, key), []).append(delta.get(key) or "")
        elif kind == "citations_delta":
            block = self._blocks.setdefault(index, {"type": "text"})
            block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
        else:  # of a type that is not known here
            values = {key: value for key, value in delta.to_dict().items() if key != "type"}
            self._blocks.setdefault(index, {"type": kind.removesuffix("_delta")}).update(values)

    def _finish(self, event: MessageEvent) -> None:
        said = event.to_dict()
        usage = {k: v for k, v in (said.pop("usage", None) or {}).items() if v is not None}
        self._message["usage"] = {**(self._message.get("usage") or {}), **usage}
        self._message.update(said.pop("delta", None) or {})
        del said["type"]
        self._message.update(said)

    def _block(self, index: int) -> ContentBlock:
        block = dict(self._blocks[index])
        for key in _GROWING.values():
            if pieces := self._pieces.get((index, key)):
                block[key] = "".join([str(block.get(key) or ""), *pieces])
        if text := "".join(self._pieces.get((index, "input"), ())):
            try:
                block["input"] = from_json(text)
            except ValueError:  # cut by the limit of tokens, or by the end of the stream
                block["native_input"] = text
        return ContentBlock.model_validate(block)
