"""An answer's text, read while it comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from typing import TypeAlias, TypeVar

from .pieces import Piece

Returned = TypeVar("Returned")
Steps: TypeAlias = Generator[Piece | None, None, Returned]
"""A reader: it yields what is certain, and `None` where it needs more text to go on."""
Emit: TypeAlias = Callable[[str], Piece | None]
"""Takes a stretch of text; gives the piece to hand out, or `None` if it keeps it."""

_SPACE = re.compile(r"\s*")


class Source:
    """Text that comes in parts. Methods that give `Steps` wait for what they need.

    Every character is looked at a bounded number of times, so reading takes time in proportion to
    the text. A trial remembers what is taken, until it is known whether that is a call.
    """

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._trial: list[str] | None = None
        self.ended = False
        """Whether no more text comes."""

    def feed(self, text: str) -> None:
        """Add text at the end."""
        self._text = self._text[self._at :] + text
        self._at = 0

    @property
    def rest(self) -> str:
        """What has come and is not taken yet."""
        return self._text[self._at :]

    @property
    def empty(self) -> bool:
        """Whether all that has come is taken."""
        return self._at == len(self._text)

    def take(self, length: int) -> str:
        """The next characters, which are then gone."""
        text = self._text[self._at : self._at + length]
        self._at += length
        if self._trial is not None:
            self._trial.append(text)
        return text

    def begin_trial(self) -> None:
        """Remember what is taken from now on."""
        self._trial = []

    def accept(self) -> None:
        """What was taken in the trial was what it looked like."""
        self._trial = None

    def refuse(self) -> str:
        """What was taken in the trial, as text after all."""
        taken, self._trial = "".join(self._trial or ()), None
        return taken

    def peek(self) -> Steps[str]:
        """The next character; `""` at the end."""
        while self.empty:
            if self.ended:
                return ""
            yield None
        return self._text[self._at]

    def space(self) -> Steps[str]:
        """Take white space."""
        return (yield from self.word(_SPACE))

    def starts(self, *literals: str) -> Steps[str | None]:
        """The first of `literals` that comes next, if one does; nothing is taken."""
        longest = max(map(len, literals), default=0)
        while True:
            near = self._text[self._at : self._at + longest]
            for literal in literals:
                if near.startswith(literal):
                    return literal
                if literal.startswith(near) and not self.ended:
                    break
            else:
                return None
            yield None

    def skip(self, literal: str) -> Steps[bool]:
        """Take `literal` if it comes next."""
        if (yield from self.starts(literal)) is None:
            return False
        self.take(len(literal))
        return True

    def word(self, characters: re.Pattern[str]) -> Steps[str]:
        """Take all that `characters`, a repeated class of characters, matches."""
        taken: list[str] = []
        while True:
            found = characters.match(self._text, self._at)
            taken.append(self.take(found.end() - self._at if found else 0))
            if not self.empty or self.ended:
                return "".join(taken)
            yield None

    def follows(self, literal: str, followers: Sequence[str]) -> Steps[bool]:
        """Whether, after `literal` and white space, a follower or the end of the text comes."""
        longest = max(map(len, followers))
        while True:
            found = _SPACE.match(self._text, self._at + len(literal))
            assert found is not None
            near = self._text[found.end() : found.end() + longest]
            if near.startswith(tuple(followers)):
                return True
            if self.ended or not any(follower.startswith(near) for follower in followers):
                return not near
            yield None

    def until(self, markers: tuple[str, ...], emit: Emit) -> Steps[str | None]:
        """Give the text before the first marker to `emit` as it comes; the marker is not taken.

        `None` if the text ends without one.
        """
        finder, final = _finders(markers)
        while True:
            found = (final if self.ended else finder).search(self._text, self._at)
            end = found.start() if found else len(self._text)
            if end > self._at and (piece := emit(self.take(end - self._at))) is not None:
                yield piece
            if found and found["whole"]:
                return found["whole"]
            if self.ended:
                return None
            yield None


@lru_cache(maxsize=256)
def _finders(markers: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns for the first marker: with what may become one at the end, and without."""
    if not markers:
        nothing = re.compile(r"(?P<whole>(?!))")
        return nothing, nothing
    longest_first = sorted(markers, key=len, reverse=True)
    whole = f"(?P<whole>{'|'.join(map(re.escape, longest_first))})"
    partly = "|".join(_beginnings(marker) for marker in longest_first if len(marker) > 1)
    beginning = rf"(?:{partly})\Z|" if partly else ""
    return re.compile(beginning + whole), re.compile(whole)


def _beginnings(marker: str) -> str:
    """A pattern for every beginning of `marker` but all of it."""
    first, *others = map(re.escape, marker[:-1])
    return first + "".join(f"(?:{other}" for other in others) + ")?" * len(others)
