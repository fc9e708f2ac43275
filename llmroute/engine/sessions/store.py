"""From what a model keeps of ended answers to what a session holds, and back.

Belongs to the engine's thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ...errors import InternalServerError
from ..batching.cells import Holder, Kept, Pin, count_cells, first_parts, parts_of, shared_length
from ..batching.sequence_store import SequenceStore
from ..job import Choice, Part
from .file import SavedSequence


class SessionStore:
    """Saves and restores what a `SequenceStore` keeps."""

    def __init__(self, store: SequenceStore) -> None:
        self._store = store
        self._model = store.model

    def save(self, kept: Kept | Pin, written: Iterable[Kept | Pin]) -> SavedSequence | None:
        """What the cache holds of it; the beginning that it has in common with one of `written` is
        left out. `None` if it is not kept any more."""
        if kept not in self._store.kept:
            return None
        if isinstance(kept, Pin):
            start, state = self._store.seen_from(kept.computed), self._model.state(kept.sequence)
            return SavedSequence(kept.tokens, start, state, pin=True)
        start, source = 0, kept
        # With a sliding window a beginning is in the same cells in some layers only, and a state
        # has none.
        for other in written if not self._store.forgets else ():
            if isinstance(other, Kept) and other in self._store.kept:
                common = shared_length(kept, other)
                start, source = (common, other) if common > start else (start, source)
        self._model.drop_beginning(kept.sequence, start)
        try:
            return SavedSequence(kept.tokens, start, self._model.state(kept.sequence))
        finally:
            self._model.share(source.sequence, kept.sequence, 0, start)

    def restore(
        self, saved: SavedSequence, newer: Sequence[Kept | Pin], active: Collection[Choice]
    ) -> Kept | Pin | None:
        """Keep what was saved; `None` if there is no room for it, or nothing to go before it.

        What was kept before makes room, but not those of `newer`, which were used after it.
        """
        known = next((other for other in self._store.kept if self._does_for(other, saved)), None)
        if known:
            return known
        before = saved.tokens if saved.pin else saved.tokens[: saved.start]
        source = self._holder(before, active)
        if before and not source:
            return None
        kept = self._as_kept(saved, source)
        staying = [
            *active,
            *(other for other in self._store.kept if other in newer or other is source),
        ]
        if not self._make_room(kept, staying) or not self._fill(kept, saved.state):
            return None
        if source and not saved.pin:
            self._model.share(source.sequence, kept.sequence, 0, saved.start)
        at = (
            self._store.kept.index(newer[-1])
            if newer and newer[-1] in self._store.kept
            else len(self._store.kept)
        )
        self._store.kept.insert(at, kept)
        return kept

    def _does_for(self, other: Kept | Pin, saved: SavedSequence) -> bool:
        """Whether there is no use in restoring what was saved."""
        longer = not self._store.forgets and other.tokens[: len(saved.tokens)] == saved.tokens
        return isinstance(other, Pin) == saved.pin and (longer or other.tokens == saved.tokens)

    def _holder(self, tokens: list[int], active: Iterable[Choice]) -> Holder | None:
        """Who has these tokens in the cache."""
        holders: list[Holder] = [kept for kept in self._store.kept if isinstance(kept, Kept)]
        length = len(tokens)
        for other in [*holders, *active] if tokens else []:
            if other.computed >= length and other.tokens[:length] == tokens:
                return other
        return None

    def _as_kept(self, saved: SavedSequence, source: Holder | None) -> Kept | Pin:
        if saved.pin:
            return Pin(-1, saved.tokens)
        inherited = first_parts(source, saved.start) if source else ()
        own = Part(next(self._store.parts), len(saved.tokens) - saved.start)
        return Kept(-1, saved.tokens, (*inherited, own))

    def _make_room(self, kept: Kept | Pin, staying: Collection[Holder | Pin]) -> bool:
        """Free a sequence and cells for one more, if that can be done without those that stay."""
        going = [other for other in self._store.kept if other not in staying]
        if not self._have_cells([kept, *staying]) or not (self._store.free or going):
            return False
        while not self._store.free or not self._have_cells([kept, *staying, *going]):
            self._store.drop(going.pop(0))
        return True

    def _have_cells(self, holders: Iterable[Holder | Pin]) -> bool:
        """Whether the cache has as many cells. A pin's may be those of another, but need not be."""
        parts: list[Part] = []
        for place, holder in enumerate(holders):
            if isinstance(holder, Pin):
                parts.append(Part(-1 - place, min(holder.computed, self._model.window_layers)))
            else:
                parts += parts_of(holder)
        return count_cells(parts) <= self._model.cells

    def _fill(self, kept: Kept | Pin, state: bytearray) -> bool:
        try:
            self._model.restore(self._store.free[-1], state)
        except InternalServerError:
            if min(kept.tokens) >= 0:
                raise
            return False  # an image may take more cells than are counted
        kept.sequence = self._store.free.pop()
        return True
