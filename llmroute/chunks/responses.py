"""Events of a Responses stream back into one answer."""

from __future__ import annotations

from ..types.lenient import validate_leniently
from ..types.responses import Response, ResponseEvent

LAST_EVENTS = frozenset({"response.completed", "response.failed", "response.incomplete"})
"""The events after which nothing comes; they have the whole answer."""
_SILENT = frozenset({"keepalive", "response.created", "response.in_progress", "response.queued"})


class ResponseAssembler:
    """Collects the events of one stream; see `Assembler`."""

    expected = 1
    settled = False

    def __init__(self) -> None:
        self.spoke = False
        self.says_something = False
        self._ended = False
        self._latest: Response | None = None
        self._items: dict[int, object] = {}
        """The items that have ended, by their place."""

    def add(self, event: ResponseEvent) -> bool:
        """See `Assembler.add`. Every event is one to show."""
        self.says_something = event.type not in _SILENT
        self.spoke = self.spoke or self.says_something
        self._ended = self._ended or event.type in LAST_EVENTS
        if event.response is not None:
            self._latest = event.response
        if event.type == "response.output_item.done" and event.item is not None:
            self._items[event.output_index or 0] = event.item.to_dict()
        return True

    def missing(self, *, marked: bool, needs_reasons: bool = True) -> str | None:
        """See `Assembler.missing`."""
        return None if self._ended else "its last event did not come"

    def completion(self) -> Response:
        """See `Assembler.completion`. Before the last event: the items that have ended."""
        latest = self._latest
        if latest is not None and self._ended:
            return latest
        head = latest.to_dict() if latest is not None else {"id": "", "created_at": 0, "model": ""}
        output = [item for _, item in sorted(self._items.items())]
        return validate_leniently(Response, {"status": "in_progress", **head, "output": output})
