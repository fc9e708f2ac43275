"""Finds names in texts, in time that grows with the text only."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator


class NameFinder:
    """Finds any of some names; where several begin at one place, the longest.

    A regular expression of thousands of names would try them one after the other.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(set(filter(None, names)))
        self._most = max(map(len, self._names), default=0)
        self._shorter = _longest_beginnings(self._names)
        first = "".join(sorted({name[0] for name in self._names}))
        self._first = re.compile(f"[{re.escape(first)}]") if first else None

    def __bool__(self) -> bool:
        return bool(self._names)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where names begin and end in `text`, in their order; none overlap."""
        position = 0
        while self._first and (match := self._first.search(text, position)):
            start = match.start()
            length = self._length(text, start)
            if length:
                yield start, start + length
            position = start + max(1, length)

    def replace(self, text: str, mark: Callable[[str], str]) -> str:
        """`text` with `mark(name)` for each name in it."""
        return replaced(text, self.spans(text), mark)

    def _length(self, text: str, start: int) -> int:
        """How long the longest name is that begins there; 0 for none."""
        # The last name in the order that is not behind the text: every name that the text begins
        # with is this one or a beginning of it.
        place = bisect_right(self._names, text[start : start + self._most]) - 1
        while place >= 0 and not text.startswith(self._names[place], start):
            place = self._shorter[place]
        return len(self._names[place]) if place >= 0 else 0


def replaced(text: str, spans: Iterable[tuple[int, int]], mark: Callable[[str], str]) -> str:
    """`text` with `mark(part)` for the part at each of the spans, which come in their order."""
    parts, position = [], 0
    for start, end in spans:
        parts += [text[position:start], mark(text[start:end])]
        position = end
    return "".join([*parts, text[position:]]) if parts else text


def _longest_beginnings(names: list[str]) -> list[int]:
    """For each of the sorted names, the place of the longest other that it begins with; or -1."""
    result: list[int] = []
    within: list[int] = []
    for place, name in enumerate(names):
        while within and not name.startswith(names[within[-1]]):
            within.pop()
        result.append(within[-1] if within else -1)
        within.append(place)
    return result
