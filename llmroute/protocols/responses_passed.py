"""The events of a provider that speaks the Responses protocol itself: passed on as they come."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import LLMRouteError
from ..types.responses import Response, ResponseEvent
from .responses_events import failure


class PassedEvents:
    """Passes events on, and ends a stream that breaks off as the protocol does."""

    def __init__(self) -> None:
        self.final: Response
        """The whole answer; set by `finish`."""
        self._latest: ResponseEvent | None = None
        self._response: Response | None = None

    def begin(self) -> Iterator[ResponseEvent]:
        """None: the provider sends them."""
        yield from ()

    def feed(self, event: ResponseEvent) -> Iterator[ResponseEvent]:
        """The event itself."""
        self._latest = event
        self._response = event.response or self._response
        yield event

    def finish(self, answer: Response) -> Iterator[ResponseEvent]:
        """None: the last event has come."""
        self.final = answer
        yield from ()

    def fail(self, error: LLMRouteError) -> Iterator[ResponseEvent]:
        """The last event, unless the provider has sent it or nothing."""
        latest, response = self._latest, self._response
        if latest is None or response is None or latest.type == "response.failed":
            return
        failed = {**response.to_dict(), "status": "failed", "error": failure(error)}
        number = None if latest.sequence_number is None else latest.sequence_number + 1
        yield ResponseEvent.model_validate(
            {"type": "response.failed", "sequence_number": number, "response": failed}
        )
