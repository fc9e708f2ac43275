"""A model's text, apart in answer, thinking and calls, while it is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...providers.base import LocalToolCall
from .parser import Piece, ToolCallParser
from .reasoning import ReasoningSplitter


@dataclass(slots=True)
class Parts:
    """What a piece of text brings."""

    content: str = ""
    reasoning: str = ""
    calls: list[LocalToolCall] = field(default_factory=list)


class Reader:
    """Splits one answer. Without splitter and parser, all of it is content."""

    def __init__(self, splitter: ReasoningSplitter | None, parser: ToolCallParser | None) -> None:
        self._splitter = splitter
        self._parser = parser

    def feed(self, text: str) -> Parts:
        """What is certain after `text`."""
        reasoning, answer = self._splitter.feed(text) if self._splitter else ("", text)
        return _parts(reasoning, self._parser.feed(answer) if self._parser else [answer])

    def finish(self, text: str) -> Parts:
        """As `feed`, for the last text."""
        reasoning, answer = self._splitter.feed(text) if self._splitter else ("", text)
        if self._splitter:
            late, rest = self._splitter.finish()
            reasoning, answer = reasoning + late, answer + rest
        pieces = [*self._parser.feed(answer), *self._parser.finish()] if self._parser else [answer]
        return _parts(reasoning, pieces)

    @property
    def finished(self) -> bool:
        """Whether all that was wanted has come."""
        return self._parser is not None and self._parser.finished

    def reason(self, reason: str) -> str:
        """Why the answer ended, given why the text ended: `"tool_calls"` if calls are complete."""
        called = self._parser is not None and self._parser.calls > 0 and self._parser.complete
        return "tool_calls" if called and reason == "stop" else reason


def _parts(reasoning: str, pieces: Iterable[Piece]) -> Parts:
    parts = Parts(reasoning=reasoning)
    for piece in pieces:
        if isinstance(piece, LocalToolCall):
            parts.calls.append(piece)
        else:
            parts.content += piece
    return parts
