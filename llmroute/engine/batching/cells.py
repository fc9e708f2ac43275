"""What llama.cpp's sequences hold, and which cells of the cache that takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ..job import Choice, Part

_HEADROOM = 128
"""Cells kept free for the tokens of an answer to come, when deciding whether it can start."""


@dataclass(eq=False, slots=True)
class Kept:
    """What an answer left behind."""

    sequence: int
    tokens: list[int]
    parts: tuple[Part, ...]

    @property
    def computed(self) -> int:
        """All of its tokens are in the cache."""
        return len(self.tokens)


@dataclass(eq=False, slots=True)
class Pin:
    """The window before a place where prompts part. It takes a holder of all that is before the
    place to go on from there."""

    sequence: int
    tokens: list[int]
    """All that is before the place."""

    @property
    def computed(self) -> int:
        """How many tokens that is."""
        return len(self.tokens)


Holder: TypeAlias = Choice | Kept


class Start(NamedTuple):
    """How a choice can begin."""

    source: Holder | None = None
    """Who has its beginning in the cache."""
    length: int = 0
    """Tokens of it."""
    pin: Pin | None = None
    """What has their window, if the source has not."""
    parting: int = 0
    """After how many tokens it parts from the one most like it, whether they are there or not."""
    reader: Choice | None = None
    """Who is reading in more of it."""
    soon: int = 0
    """Tokens of it that this one will have then."""


def parts_of(holder: Holder) -> tuple[Part, ...]:
    """The runs of cells a sequence is made of, in their order."""
    if isinstance(holder, Kept):
        return holder.parts
    own = holder.computed - sum(part.length for part in holder.inherited)
    return (*holder.inherited, Part(holder.part, own))


def first_parts(holder: Holder, length: int) -> tuple[Part, ...]:
    """The runs that its first tokens are in."""
    parts = []
    for part in parts_of(holder):
        parts.append(Part(part.owner, min(part.length, length)))
        length -= parts[-1].length
    return tuple(part for part in parts if part.length)


def shared_length(one: Holder, other: Holder) -> int:
    """How many tokens at the beginning of both are in the same cells."""
    length = 0
    for mine, others in zip(parts_of(one), parts_of(other), strict=False):
        if mine.owner != others.owner:
            break
        length += min(mine.length, others.length)
        if mine.length != others.length:
            break
    return length


def count_cells(parts: Iterable[Part]) -> int:
    """How many cells runs take together; where they have an owner in common they are the same."""
    longest: dict[int, int] = {}
    for part in parts:
        longest[part.owner] = max(part.length, longest.get(part.owner, 0))
    return sum(longest.values())


def growth(choice: Choice, inherited: Iterable[Part]) -> int:
    """Cells of its own a choice has or is going to need soon."""
    own = len(choice.tokens) - sum(part.length for part in inherited)
    return own + min(choice.answer.remaining, _HEADROOM)
