"""Finding the end of what a model writes, while it is written."""

from __future__ import annotations

from collections.abc import Sequence


class ObjectScanner:
    """Finds where a JSON object ends. Begins at its opening brace, or `inside` it."""

    def __init__(self, *, inside: bool = False) -> None:
        self._depth = int(inside)
        self._in_string = False
        self._escaped = False
        self.done = False
        """Whether the closing brace has come."""

    def feed(self, text: str) -> int:
        """How many characters of `text` belong to the object."""
        for position, character in enumerate(text):
            self._step(character)
            if self.done:
                return position + 1
        return len(text)

    def _step(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self._in_string:
            self._in_string = character != '"'
            self._escaped = character == "\\"
        elif character == '"':
            self._in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            self.done = self._depth == 0


def object_end(text: str, start: int) -> int | None:
    """Where the JSON object that begins at `start` ends; `None` if it does not yet."""
    scanner = ObjectScanner()
    length = scanner.feed(text[start:])
    return start + length if scanner.done else None


def beginning_of(text: str, markers: Sequence[str]) -> int:
    """Length of the longest end of `text` with which some marker begins."""
    longest = max(map(len, markers), default=0)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(marker.startswith(text[-length:]) for marker in markers):
            return length
    return 0
