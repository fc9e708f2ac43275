"""What llama.cpp's sequences hold, and which cells of the cache that takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ..job import Block, Choice

_HEADROOM = 128
"""Cells cached free for the tokens of an answer to come, when deciding whether it can start."""


@dataclass(eq=False, slots=True)
class CachedPrefix:
    """The tokens of an ended answer, still in the cache under a sequence of their own."""

    sequence: int
    tokens: list[int]
    blocks: tuple[Block, ...]

    @property
    def computed(self) -> int:
        """All of its tokens are in the cache."""
        return len(self.tokens)


@dataclass(eq=False, slots=True)
class Checkpoint:
    """The sliding window before a place where prompts diverge. To go on from there, it takes a
    holder of all that is before the place, too."""

    sequence: int
    tokens: list[int]
    """All that is before the place."""

    @property
    def computed(self) -> int:
        """How many tokens that is."""
        return len(self.tokens)


Cached: TypeAlias = CachedPrefix | Checkpoint
Holder: TypeAlias = Choice | CachedPrefix


class PrefixMatch(NamedTuple):
    """What of a choice's beginning is in the cache."""

    source: Holder | None = None
    """Who has it."""
    length: int = 0
    """Tokens of it."""
    checkpoint: Checkpoint | None = None
    """What has their window, if the source has not."""
    divergence: int = 0
    """After how many tokens it differs from the one most like it, whether they are there or not."""
    prefilled_by: Choice | None = None
    """Who is computing more of it."""
    ready_at: int = 0
    """Tokens of it that this one will have then."""


def blocks_of(holder: Holder) -> tuple[Block, ...]:
    """The blocks a sequence is made of, in their order."""
    if isinstance(holder, CachedPrefix):
        return holder.blocks
    own = holder.computed - sum(block.length for block in holder.inherited)
    return (*holder.inherited, Block(holder.block, own))


def first_blocks(holder: Holder, length: int) -> tuple[Block, ...]:
    """The blocks that its first tokens are in."""
    blocks = []
    for block in blocks_of(holder):
        blocks.append(Block(block.owner, min(block.length, length)))
        length -= blocks[-1].length
    return tuple(block for block in blocks if block.length)


def shared_length(one: Holder, other: Holder) -> int:
    """How many tokens at the beginning of both are in the same cells."""
    length = 0
    for mine, others in zip(blocks_of(one), blocks_of(other), strict=False):
        if mine.owner != others.owner:
            break
        length += min(mine.length, others.length)
        if mine.length != others.length:
            break
    return length


def count_cells(blocks: Iterable[Block]) -> int:
    """How many cells blocks take together; those of one owner are the same cells."""
    longest: dict[int, int] = {}
    for block in blocks:
        longest[block.owner] = max(block.length, longest.get(block.owner, 0))
    return sum(longest.values())


def growth(choice: Choice, inherited: Iterable[Block]) -> int:
    """Cells of its own a choice has or is going to need ready_at."""
    own = len(choice.tokens) - sum(block.length for block in inherited)
    return own + min(choice.answer.remaining, _HEADROOM)
