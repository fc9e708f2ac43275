"""The numbers of llama.cpp's sequences, and what is kept under them of answers that ended.

Belongs to the engine's thread.
"""

from __future__ import annotations

from itertools import count

from ..job import Choice
from ..model.model import Model
from .cells import Holder, Kept, Pin


class SequenceStore:
    """Which sequences are free, and which are kept until their number or their cells are needed."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.keeps: bool = model.options.prefix_cache and (model.can_cut or not model.window_layers)
        """Whether anything stays of answers that ended."""
        self.forgets = bool(model.window_layers) or not model.can_cut
        """Whether a sequence may not do for its own beginning."""
        self.free = list(range(model.sequences))
        self.kept: list[Kept | Pin] = []
        """Least recently used first."""
        self.parts = count()
        """Owners for runs of cells."""

    def use(self, holder: Holder | Pin) -> None:
        """Count as used last."""
        if not isinstance(holder, Choice):
            self.kept.remove(holder)
            self.kept.append(holder)

    def has_free_beside(self, *needed: Holder | Pin | None) -> bool:
        """Have a sequence free, without giving back those that are needed; whether there is one."""
        while not self.free:
            gone = next((kept for kept in self.kept if kept not in needed), None)
            if gone is None:
                return False
            self.drop(gone)
        return True

    def kept_with(self, tokens: list[int]) -> Kept | None:
        """What is kept with exactly these tokens."""
        found = (kept for kept in self.kept if isinstance(kept, Kept) and kept.tokens == tokens)
        return next(found, None)

    def drop_oldest(self) -> bool:
        """Give back what has not been used for longest; `False` if nothing is kept."""
        if not self.kept:
            return False
        self.drop(self.kept[0])
        return True

    def drop(self, kept: Kept | Pin) -> None:
        """Give back one that is kept."""
        self.kept.remove(kept)
        self.release(kept.sequence)

    def release(self, sequence: int) -> None:
        """Give back a sequence and its cells."""
        self.model.forget(sequence)
        self.free.append(sequence)

    def seen_from(self, place: int) -> int:
        """The first position that layers with a sliding window need to compute the token at a
        place: it sees itself and the window's length less one before it."""
        return max(0, place - self.model.window_layers + 1)
