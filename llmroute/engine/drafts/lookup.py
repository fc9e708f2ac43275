"""Prompt lookup: what followed the last few tokens when they came before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_LENGTH = 3
"""Tokens that must have come before. With fewer, most of what followed them is no help."""


class Lookup:
    """An index of one growing list of tokens; a token more costs the same however long it is."""

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], int] = {}
        """Where the list continues after a few tokens: where they came last, before the end."""
        self._read = 0
        self._last: tuple[int, ...] = ()
        self._place: int | None = None

    def read(self, tokens: Sequence[int]) -> Iterator[bool]:
        """Take in what is new in `tokens`; tells of each of these whether it was the one expected,
        where one was.

        A place that turned out right is followed on, so that a long passage is not left for a
        common phrase in it.
        """
        for position in range(self._read, len(tokens)):
            token = tokens[position]
            if self._place is not None:
                right = tokens[self._place] == token
                self._place = self._place + 1 if right else None
                yield right
            if len(self._last) == _LENGTH:
                self._after[self._last] = position
            self._last = (*self._last[1 - _LENGTH :], token)
            if self._place is None:
                self._place = self._after.get(self._last)
            self._read = position + 1

    @property
    def expects(self) -> bool:
        """Whether the last tokens came before."""
        return self._place is not None

    def next(self, tokens: Sequence[int], count: int) -> list[int]:
        """Up to `count` tokens that may follow `tokens`, all of which were read.

        A passage that runs into the end goes round: what repeats itself goes on so.
        """
        if self._place is None:
            return []
        found = list(tokens[self._place : self._place + count])
        period = len(tokens) - self._place
        while len(found) < count:
            found.append(found[-period])
        return found
