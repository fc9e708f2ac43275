"""A model's text, apart in answer, thinking and calls, while it is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...providers.base import LocalToolCall
from .parser import ToolCallParser
from .pieces import Piece, Thought


@dataclass(slots=True)
class Parts:
    """What a piece of text brings."""

    content: str = ""
    reasoning: str = ""
    calls: list[LocalToolCall] = field(default_factory=list)


class Reader:
    """Splits one answer. Without a parser, all of it is content."""

    def __init__(self, parser: ToolCallParser | None) -> None:
        self._parser = parser

    def feed(self, text: str) -> Parts:
        """What is certain after `text`."""
        return Parts(text) if self._parser is None else _parts(self._parser.feed(text))

    def finish(self, text: str) -> Parts:
        """As `feed`, for the last text."""
        if self._parser is None:
            return Parts(text)
        return _parts([*self._parser.feed(text), *self._parser.finish()])

    @property
    def finished(self) -> bool:
        """Whether all that was wanted has come."""
        return self._parser is not None and self._parser.finished

    def reason(self, reason: str) -> str:
        """Why the answer ended, given why the text ended: `"tool_calls"` if calls are complete."""
        called = self._parser is not None and self._parser.calls > 0 and self._parser.complete
        return "tool_calls" if called and reason == "stop" else reason


def _parts(pieces: Iterable[Piece]) -> Parts:
    parts = Parts()
    for piece in pieces:
        if isinstance(piece, LocalToolCall):
            parts.calls.append(piece)
        elif isinstance(piece, Thought):
            parts.reasoning += piece.text
        else:
            parts.content += piece
    return parts
