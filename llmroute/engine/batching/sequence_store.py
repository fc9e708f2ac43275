"""The numbers of llama.cpp's sequences, and what is cached under them of answers that ended.

Belongs to the engine's thread.
"""

from __future__ import annotations

from itertools import count

from ..job import Choice
from ..model.model import Model
from .cells import Cached, CachedPrefix, Checkpoint, Holder


class SequenceStore:
    """Which sequences are free, and which stay cached until their number or cells are needed."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.caches: bool = model.options.prefix_cache and (
            model.can_cut or not model.sliding_window
        )
        """Whether anything stays of answers that ended."""
        self.needs_checkpoints = bool(model.sliding_window) or not model.can_cut
        """Whether a sequence may not do for its own beginning."""
        self.free = list(range(model.sequences))
        self.cached: list[Cached] = []
        """Least recently used first."""
        self.blocks = count()
        """Owners for runs of cells."""

    def touch(self, holder: Holder | Checkpoint) -> None:
        """Count as used last."""
        if not isinstance(holder, Choice):
            self.cached.remove(holder)
            self.cached.append(holder)

    def has_free_beside(self, *needed: Holder | Checkpoint | None) -> bool:
        """Have a sequence free, without giving back those that are needed; whether there is one."""
        while not self.free:
            gone = next((cached for cached in self.cached if cached not in needed), None)
            if gone is None:
                return False
            self.evict(gone)
        return True

    def cached_with(self, tokens: list[int]) -> CachedPrefix | None:
        """What is cached with exactly these tokens."""
        found = (
            cached
            for cached in self.cached
            if isinstance(cached, CachedPrefix) and cached.tokens == tokens
        )
        return next(found, None)

    def evict_oldest(self) -> bool:
        """Give back what has not been used for longest; `False` if nothing is cached."""
        if not self.cached:
            return False
        self.evict(self.cached[0])
        return True

    def evict(self, cached: Cached) -> None:
        """Give back one that is cached."""
        self.cached.remove(cached)
        self.release(cached.sequence)

    def release(self, sequence: int) -> None:
        """Give back a sequence and its cells."""
        self.model.forget(sequence)
        self.free.append(sequence)

    def seen_from(self, place: int) -> int:
        """The first position that layers with a sliding window need to compute the token at a
        place: it sees itself and the window's length less one before it."""
        return max(0, place - self.model.sliding_window + 1)
