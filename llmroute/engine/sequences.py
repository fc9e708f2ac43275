"""llama.cpp's sequences: whose they are, and what of earlier ones need not be computed again.

A sequence that nobody writes on any more is kept with its tokens until its number or its cells are
needed. A prompt that begins like one that is kept, or like one that is being written, gets a copy
of that beginning, which costs nothing: both then own the same cells.

Belongs to the engine's thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, TypeAlias

from .job import Choice, Part
from .model import Model

_HEADROOM = 128
"""Cells kept free for the tokens of an answer to come, when deciding whether it can start."""
_WORTH_WAITING = 4
"""A choice waits for one that is reading its beginning if that saves it one part in so many."""


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


Holder: TypeAlias = Choice | Kept


class Start(NamedTuple):
    """How a choice can begin."""

    source: Holder | None = None
    """Who has its beginning in the cache."""
    length: int = 0
    """Tokens of it."""
    reader: Choice | None = None
    """Who is reading in more of it."""
    soon: int = 0
    """Tokens of it that this one will have then."""


class Sequences:
    """Hands out sequences, and keeps those that answers leave."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._keeps = model.can_share and model.options.prefix_cache
        self._free = list(range(model.sequences))
        self._kept: list[Kept] = []
        """Least recently used first."""
        self._parts = count()

    def find(self, choice: Choice, active: Collection[Choice]) -> Start:
        """How `choice` can begin. Its last token is always computed, for what comes next."""
        most = len(choice.tokens) - 1
        alike = [
            (choice.prompt.whole(common_length(choice.tokens, other.tokens, most)), other)
            for other in self._others(choice, active)
        ]
        start = Start()
        for common, other in alike:
            length = min(common, other.computed)
            if length > start.length and self._still_has(other, length):
                start = Start(other, length)
        for common, other in alike:
            if isinstance(other, Choice) and max(other.computed, start.soon) < common:
                start = start._replace(reader=other, soon=common)
        if (start.soon - start.length) * _WORTH_WAITING < choice.pending - start.length:
            return start._replace(reader=None)
        return start

    def _others(self, choice: Choice, active: Collection[Choice]) -> Iterable[Holder]:
        if self._keeps:
            return [*active, *reversed(self._kept)]
        if self._model.can_share:  # answers to one prompt of one call
            return [other for other in active if other.prompt is choice.prompt]
        return []

    def _still_has(self, other: Holder, length: int) -> bool:
        """Whether layers with a sliding window still have what follows the first tokens needs."""
        window = self._model.window_layers  # a token sees itself and so many less one before it
        return not window or self._model.first_kept(other.sequence) <= max(0, length - window + 1)

    def has_cells(self, choice: Choice, start: Start, active: Iterable[Choice]) -> bool:
        """Whether a choice fits beside the active ones. What is only kept makes room."""
        longest: dict[int, int] = {}
        inherited = _first_parts(start.source, start.length) if start.source else ()
        parts = [*inherited, Part(-1, _growth(choice, inherited))]
        for other in active:
            parts += [*other.inherited, Part(other.part, _growth(other, other.inherited))]
        for part in parts:
            longest[part.owner] = max(part.length, longest.get(part.owner, 0))
        return sum(longest.values()) <= self._model.cells

    def begin(self, choice: Choice, start: Start) -> None:
        """Give a choice a sequence, with the beginning that was found for it."""
        source = start.source
        choice.part = next(self._parts)
        choice.inherited = _first_parts(source, start.length) if source else ()
        choice.computed = start.length
        if isinstance(source, Kept):
            self._kept.remove(source)
            if self._can_take_over(source, start.length):
                choice.sequence = source.sequence
                self._model.cut(choice.sequence, start.length)
                return
            self._kept.append(source)
        if not self._free:
            self.drop_oldest()
        choice.sequence = self._free.pop()
        if source:
            self._model.share(source.sequence, choice.sequence, start.length)

    def _can_take_over(self, source: Kept, length: int) -> bool:
        """Whether a choice goes on in the sequence of its source; otherwise it gets a copy.

        It does if that loses nothing, or no more than what would have to go to make a copy.
        """
        lost = source.computed - length
        return not lost or not (self._free or (self._kept and lost > self._kept[0].computed))

    def leave(self, choice: Choice) -> None:
        """A choice has ended: keep what is computed of it."""
        kept = Kept(choice.sequence, choice.tokens[: choice.computed], parts_of(choice))
        self._kept.append(kept)
        if not self._keeps or not kept.tokens:
            self._drop(kept)
            return
        self._model.cut(kept.sequence, kept.computed)  # a decode may have been broken off
        for other in self._kept[:-1]:
            if self._covers(other, kept):
                self._drop(kept)
                return
            if self._covers(kept, other):
                self._drop(other)

    def _covers(self, longer: Kept, shorter: Kept) -> bool:
        """Whether there is no use in keeping `shorter`. A sliding window forgets beginnings."""
        length = shorter.computed
        return not self._model.window_layers and longer.tokens[:length] == shorter.tokens

    def take(self, choice: Choice) -> None:
        """Take a choice's sequence and its cells away, to give it new ones later."""
        self._release(choice.sequence)

    def drop_oldest(self) -> bool:
        """Give back what has not been used for longest; `False` if nothing is kept."""
        if not self._kept:
            return False
        self._drop(self._kept[0])
        return True

    def _drop(self, kept: Kept) -> None:
        self._kept.remove(kept)
        self._release(kept.sequence)

    def _release(self, sequence: int) -> None:
        self._model.forget(sequence)
        self._free.append(sequence)


def parts_of(holder: Holder) -> tuple[Part, ...]:
    """The runs of cells a sequence is made of, in their order."""
    if isinstance(holder, Kept):
        return holder.parts
    own = holder.computed - sum(part.length for part in holder.inherited)
    return (*holder.inherited, Part(holder.part, own))


def _growth(choice: Choice, inherited: Iterable[Part]) -> int:
    """Cells of its own a choice has or is going to need soon."""
    own = len(choice.tokens) - sum(part.length for part in inherited)
    return own + min(choice.answer.remaining, _HEADROOM)


def _first_parts(holder: Holder, length: int) -> tuple[Part, ...]:
    parts = []
    for part in parts_of(holder):
        parts.append(Part(part.owner, min(part.length, length)))
        length -= parts[-1].length
    return tuple(part for part in parts if part.length)


def common_length(one: Sequence[int], other: Sequence[int], most: int) -> int:
    """How many tokens two lists have in common at their beginning, at most `most`."""
    low, high = 0, min(len(one), len(other), most)
    while low < high:  # comparing slices is done in C
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
