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
from .failures import decode, stream_error
from .repair import repair_chunk


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
                raise self._error(event)
        else:
            chunk = self._repaired(event)
        if isinstance(chunk, ChatCompletionChunk):
            for choice in chunk.choices:
                if choice.delta.tool_calls:
                    self._number_calls(choice.index, choice.delta.tool_calls)
        return (chunk,)

    def _repaired(self, event: Event) -> Chunk:
        payload = self._payload(event)
        if (error := stream_error(payload)) or event.name == "error":
            raise error or self._broken("The stream reported an error.", event.data)
        if not isinstance(payload, dict):
            raise self._broken("An event of the stream is not a JSON object.", event.data)
        repair_chunk(payload, self._request, self._finish_reasons)
        self._complete_calls(payload)
        try:
            return self._model.model_validate(payload)
        except ValidationError as exc:
            raise self._broken("An event of the stream is not a chunk.", event.data) from exc

    def _payload(self, event: Event) -> Any:
        try:
            return from_json(event.data)
        except ValueError:
            raise self._broken("An event of the stream is not JSON.", event.data) from None

    def _error(self, event: Event) -> Exception:
        error = stream_error(self._payload(event))
        return error or self._broken("The stream reported an error.", event.data)

    def _complete_calls(self, payload: dict[str, Any]) -> None:
        """Gives deltas of tool calls without an index the one they belong to."""
        for choice in payload["choices"]:
            calls = choice.get("delta", {}).get("tool_calls") if isinstance(choice, dict) else None
            for call in calls or ():
                if isinstance(call, dict) and call.get("index") is None:
                    known = self._indexes(choice.get("index") or 0)
                    call["index"] = known.find(call.get("id"))

    def _number_calls(self, choice: int, calls: list[ToolCallDelta]) -> None:
        known = self._indexes(choice)
        for call in calls:
            call.index = known.place(call.index, call.id)
            if call.id is None and known.begins(call.index):
                call.id = f"call_{self._request.call_id}_{choice}_{call.index}"
            known.note(call.index, call.id)

    def _indexes(self, choice: int) -> ToolCallIndexes:
        return self._calls.setdefault(choice, ToolCallIndexes())

    def _broken(self, what: str, data: bytes) -> APIResponseValidationError:
        return APIResponseValidationError(what, model=self._request.model, body=decode(data))


class ToolCallIndexes:
    """Keeps the tool calls of one choice apart where a server's indexes do not.

    Some servers leave the index out, others give every call index 0: a new id is a new call.
    """

    def __init__(self) -> None:
        self._ids: dict[int, str | None] = {}
        self._moved: dict[int, int] = {}

    def find(self, call_id: str | None) -> int:
        """The index for a delta without one: that of its id, else a new one or the latest."""
        for index, known in self._ids.items():
            if call_id and known == call_id:
                return index
        latest = len(self._ids) - 1
        return latest if call_id is None and latest >= 0 else latest + 1

    def place(self, index: int, call_id: str | None) -> int:
        """The index a delta really belongs to."""
        index = self._moved.get(index, index) if not call_id else index
        if call_id and self._ids.get(index) not in (None, call_id):
            moved = next((i for i, known in self._ids.items() if known == call_id), None)
            self._moved[index] = moved if moved is not None else max(self._ids) + 1
            return self._moved[index]
        return index

    def begins(self, index: int) -> bool:
        """Whether nothing of this call has come yet."""
        return index not in self._ids

    def note(self, index: int, call_id: str | None) -> None:
        """Remembers that a delta of this call has come."""
        if call_id or index not in self._ids:
            self._ids[index] = call_id
