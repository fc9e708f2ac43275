"""The events of an OpenAI-shaped stream into chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from ..errors import APIResponseValidationError
from ..sse import Event
from ..types.chat_chunk import ChatCompletionChunk, ToolCallDelta
from ..types.request import Request
from ..types.text import TextCompletion
from .base import Chunk
from .failures import event_error, not_understood, stream_error
from .repair import NO_INDEX, name_reasoning, repair_chunk


class OpenAIDecoder:
    """Decodes one stream; see `Decoder`.

    A chunk that already has the canonical shape is validated straight from its bytes; only one
    that has not is decoded, repaired and validated again.
    """

    def __init__(self, request: Request, finish_reasons: Mapping[str, str]) -> None:
        self.done = False
        """Whether `[DONE]` has come."""
        self._request = request
        self._finish_reasons = finish_reasons
        self._model: type[ChatCompletionChunk] | type[TextCompletion] = (
            ChatCompletionChunk if request.operation == "chat" else TextCompletion
        )
        self._calls: dict[int, ToolCallIndexes] = {}

    def feed(self, event: Event) -> tuple[Chunk, ...]:
        """The chunk in `event`. Raises `APIError` for an error event or one that is no chunk."""
        if event.data == b"[DONE]":
            if self.done:
                raise self._broken("The stream was ended twice.", event.data)
            self.done = True
            return ()
        if self.done:
            raise self._broken("The stream went on after its end.", event.data)
        if event.name == "message":
            try:
                chunk = self._model.model_validate_json(event.data)
            except ValidationError:
                chunk = self._repaired(event)
            extra = chunk.__pydantic_extra__
            if extra and extra.get("error"):
                raise event_error(event.data)
        else:
            chunk = self._repaired(event)
        if isinstance(chunk, ChatCompletionChunk):
            for choice in chunk.choices:
                if choice.delta.__pydantic_extra__:
                    name_reasoning(choice.delta)
                if choice.delta.tool_calls:
                    self._number_calls(choice.index, choice.delta.tool_calls)
        return (chunk,)

    def _repaired(self, event: Event) -> Chunk:
        if event.name == "error":
            raise event_error(event.data)
        payload = self._payload(event)
        if error := stream_error(payload):
            raise error
        if not isinstance(payload, dict) or not payload.keys() & {"choices", "usage"}:
            raise self._broken("An event of the stream is not a chunk.", event.data)
        repair_chunk(payload, self._request, self._finish_reasons)
        try:
            return self._model.model_validate(payload)
        except ValidationError:
            raise self._broken("An event of the stream is not a chunk.", event.data) from None

    def _payload(self, event: Event) -> Any:
        try:
            return from_json(event.data)
        except ValueError:
            raise self._broken("An event of the stream is not JSON.", event.data) from None

    def _number_calls(self, choice: int, calls: list[ToolCallDelta]) -> None:
        known = self._calls.setdefault(choice, ToolCallIndexes())
        for call in calls:
            named = bool(call.function and call.function.name)
            call.index = known.place(call.index, call.id, named)
            if not call.id:
                begins = known.begins(call.index)
                call.id = f"call_{self._request.call_id}_{choice}_{call.index}" if begins else None
            known.note(call.index, call.id)

    def _broken(self, what: str, data: bytes) -> APIResponseValidationError:
        return not_understood(what, data, model=self._request.model)


class ToolCallIndexes:
    """Keeps the tool calls of one choice apart where a server's indexes do not.

    Some servers leave the index out, others give every call index 0: a new id is a new call.
    """

    def __init__(self) -> None:
        self._ids: dict[int, str | None] = {}
        self._moved: dict[int, int] = {}

    def place(self, index: int, call_id: str | None, named: bool) -> int:
        """The index a delta really belongs to; `named` says that it has the function's name."""
        if index == NO_INDEX:
            return self._find(call_id, named)
        if call_id and self._ids.get(index, call_id) != call_id:
            self._moved[index] = self._find(call_id, named)
        elif call_id:
            self._moved.pop(index, None)
        return self._moved.get(index, index)

    def begins(self, index: int) -> bool:
        """Whether nothing of this call has come yet."""
        return index not in self._ids

    def note(self, index: int, call_id: str | None) -> None:
        """Remembers that a delta of this call has come."""
        if call_id or index not in self._ids:
            self._ids[index] = call_id

    def _find(self, call_id: str | None, named: bool) -> int:
        """Where an id was seen; a new index for a new id or name, else the latest."""
        for index, known in self._ids.items():
            if call_id and known == call_id:
                return index
        latest = max(self._ids, default=-1)
        return latest + 1 if call_id or named or latest < 0 else latest
