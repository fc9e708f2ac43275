"""Answers in the Responses protocol, whole and streamed, into our types.

The fields stay as they came; nothing is translated.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from ..chunks import Decoder, assembled
from ..chunks.responses import LAST_EVENTS
from ..errors import APIResponseValidationError
from ..sse import WHOLE_BODY, Event, SSEDecoder, is_event_stream
from ..types.call_info import Answer
from ..types.lenient import validate_leniently
from ..types.request import Request
from ..types.responses import Response, ResponseEvent
from .failures import event_error, not_understood, stream_error
from .openai_answers import from_any_json, problem


def parse_response(body: bytes, request: Request, provider: str) -> Answer:
    """The answer in `body`, also in a stream that nobody asked for.

    Raises the error that the body stands for or that the answer failed with, and
    `APIResponseValidationError` for what is neither an error nor an answer.
    """
    if is_event_stream(body):
        splitter = SSEDecoder()
        events = chain(splitter.feed(body), splitter.flush())
        return assembled(ResponsesDecoder(request, provider), events, request)
    return _response(_decoded(body, request, provider), body, request, provider)


class ResponsesDecoder(Decoder[Event]):
    """Decodes one stream; see `Decoder`."""

    def __init__(self, request: Request, provider: str) -> None:
        self._request = request
        self._provider = provider

    def feed(self, event: Event) -> Iterator[ResponseEvent]:
        """The event, typed. Raises `APIError` for an error, and after `response.failed`."""
        name, data = event
        if name == WHOLE_BODY:
            payload = _decoded(data, self._request, self._provider)
            answer = _response(payload, data, self._request, self._provider)
            self.done = self.is_whole = True
            status = "incomplete" if answer.status == "incomplete" else "completed"
            yield ResponseEvent(type=f"response.{status}", response=answer)
            return
        if self.done or not data.strip():
            return
        if data.strip() == b"[DONE]":
            self.done = True
            return
        payload = _decoded(data, self._request, self._provider)
        if name == "error":
            raise event_error(data)
        if error := stream_error(payload):
            raise error
        typed = self._typed(payload, data)
        self.done = typed.type in LAST_EVENTS
        yield typed
        if typed.type == "response.failed":
            raise event_error(_failure(payload))

    def _typed(self, payload: Any, data: bytes) -> ResponseEvent:
        try:
            return validate_leniently(ResponseEvent, payload)
        except ValidationError as exc:
            error = _broken(f"an event ({problem(exc)})", data, self._request, self._provider)
        raise error


def _response(payload: Any, body: bytes, request: Request, provider: str) -> Response:
    if error := stream_error(payload):
        raise error
    try:
        return validate_leniently(Response, payload)
    except ValidationError as exc:
        error = _broken(f"an answer ({problem(exc)})", body, request, provider)
    raise error


def _decoded(data: bytes, request: Request, provider: str) -> Any:
    try:
        return from_any_json(data)
    except ValueError:
        error = _broken("JSON", data, request, provider)
    raise error


def _failure(payload: Any) -> bytes:
    """The error in a `response.failed`, as the data of an event of its own."""
    return to_json({"error": payload["response"].get("error")})


def _broken(what: str, data: bytes, request: Request, provider: str) -> APIResponseValidationError:
    what = f"What {provider} sent is not {what} of the Responses protocol."
    return not_understood(what, data, provider=provider, model=request.model)
