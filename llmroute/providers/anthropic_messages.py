"""Anthropic's Messages API for those who speak it themselves: nothing is changed on the way.

Written from https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11-28).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from ..chunks import Decoder, assembled
from ..errors import APIResponseValidationError
from ..sse import WHOLE_BODY, Event, SSEDecoder, is_event_stream
from ..types.call_info import Answer
from ..types.messages import MessageEvent, MessagesRequest, MessagesResponse
from ..types.request import JSON
from .anthropic_answer import only_begins
from .failures import decode, stream_error


def passed_body(request: MessagesRequest) -> dict[str, JSON]:
    """The body without `model` and `stream`: what the caller gave."""
    return {"messages": list(request.messages), **request.params}


def parse_response(body: bytes, request: MessagesRequest) -> Answer:
    """The answer in `body`, also from a stream that nobody asked for.

    Raises `APIResponseValidationError`, or the error that it stands for.
    """
    if is_event_stream(body):
        events = SSEDecoder()
        return assembled(EventDecoder(request), chain(events.feed(body), events.flush()), request)
    return _message(body, request)


class EventDecoder(Decoder[Event]):
    """Decodes one stream; see `Decoder`. Each event comes out as it came in."""

    def __init__(self, request: MessagesRequest) -> None:
        self.done = False
        """Whether `message_stop` has come."""
        self._request = request
        self._id: str | None = None
        """The message that has begun: another one is no part of this stream."""
        self._cut_event: bytes | None = None
        """An event whose end is missing: right only if no other follows it."""

    def feed(self, event: Event) -> Sequence[MessageEvent]:
        """The event, read. Raises `APIError` for an error event."""
        if self.done or not event.data.strip():
            return ()
        if event.name == WHOLE_BODY:
            self.done = self.is_whole = True
            return tuple(_events(_message(event.data, self._request)))
        if self._cut_event is not None:
            raise _unreadable(self._cut_event, self._request)
        try:
            read = MessageEvent.model_validate_json(event.data)
        except ValidationError:
            if not only_begins(event.data):
                raise _unreadable(event.data, self._request) from None
            self._cut_event = event.data
            return ()
        if read.type == "error":
            raise stream_error(from_json(event.data)) or _unreadable(event.data, self._request)
        if read.type == "message_start" and read.message is not None:
            if self._id is not None and self._id != read.message.id:
                raise _unreadable(event.data, self._request)
            self._id = read.message.id
        self.done = read.type == "message_stop"
        return (read,)


def _message(body: bytes, request: MessagesRequest) -> MessagesResponse:
    try:
        payload: Any = from_json(body)
        if error := stream_error(payload):
            raise error
        return MessagesResponse.model_validate(payload)
    except ValueError:  # pydantic's errors are ones, too
        raise APIResponseValidationError(
            "The answer of Anthropic is not a message.", model=request.model, body=decode(body)
        ) from None


def _unreadable(data: bytes, request: MessagesRequest) -> APIResponseValidationError:
    return APIResponseValidationError(
        "An event of Anthropic's stream cannot be read.", model=request.model, body=decode(data)
    )


def _events(message: MessagesResponse) -> Iterator[MessageEvent]:
    """A whole message as the events of a stream."""
    said = message.to_dict()
    ending = {key: said.get(key) for key in ("stop_reason", "stop_sequence")}
    start = {**said, "content": [], "stop_reason": None, "stop_sequence": None}
    events: list[Mapping[str, JSON]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(said["content"]):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": ending, "usage": said["usage"]})
    events.append({"type": "message_stop"})
    return map(MessageEvent.model_validate, events)
