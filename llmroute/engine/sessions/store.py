"""From what a model keeps of ended answers to what a session holds, and back.

Belongs to the engine's thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ...errors import InternalServerError
from ..batching.cells import (
    Cached,
    CachedPrefix,
    Checkpoint,
    Holder,
    blocks_of,
    count_cells,
    first_blocks,
    shared_length,
)
from ..batching.sequence_store import SequenceStore
from ..job import Block, Choice
from .file import SavedSequence


class SessionStore:
    """Saves and restores what a `SequenceStore` keeps."""

    def __init__(self, store: SequenceStore) -> None:
        self._store = store
        self._model = store.model

    def save(self, cached: Cached, written: Iterable[Cached]) -> SavedSequence | None:
        """What the cache holds of it; the beginning that it has in common with one of `written` is
        left out. `None` if it is not cached any more."""
        if cached not in self._store.cached:
            return None
        if isinstance(cached, Checkpoint):
            start, state = (
                self._store.seen_from(cached.computed),
                self._model.state(cached.sequence),
            )
            return SavedSequence(cached.tokens, start, state, checkpoint=True)
        start, source = 0, cached
        # With a sliding window a beginning is in the same cells in some layers only, and a state
        # has none.
        for other in written if not self._store.needs_checkpoints else ():
            if isinstance(other, CachedPrefix) and other in self._store.cached:
                common = shared_length(cached, other)
                start, source = (common, other) if common > start else (start, source)
        self._model.drop_beginning(cached.sequence, start)
        try:
            return SavedSequence(cached.tokens, start, self._model.state(cached.sequence))
        finally:
            self._model.share(source.sequence, cached.sequence, 0, start)

    def restore(
        self,
        saved: SavedSequence,
        newer: Sequence[Cached],
        active: Collection[Choice],
    ) -> Cached | None:
        """Keep what was saved; `None` if there is no room for it, or nothing to go before it.

        What was cached before makes room, but not those of `newer`, which were used after it.
        """
        known = next((other for other in self._store.cached if self._does_for(other, saved)), None)
        if known:
            return known
        before = saved.tokens if saved.checkpoint else saved.tokens[: saved.start]
        source = self._holder(before, active)
        if before and not source:
            return None
        cached = self._as_cached(saved, source)
        staying = [
            *active,
            *(other for other in self._store.cached if other in newer or other is source),
        ]
        if not self._make_room(cached, staying) or not self._fill(cached, saved.state):
            return None
        if source and not saved.checkpoint:
            self._model.share(source.sequence, cached.sequence, 0, saved.start)
        at = (
            self._store.cached.index(newer[-1])
            if newer and newer[-1] in self._store.cached
            else len(self._store.cached)
        )
        self._store.cached.insert(at, cached)
        return cached

    def _does_for(self, other: Cached, saved: SavedSequence) -> bool:
        """Whether there is no use in restoring what was saved."""
        longer = (
            not self._store.needs_checkpoints and other.tokens[: len(saved.tokens)] == saved.tokens
        )
        return isinstance(other, Checkpoint) == saved.checkpoint and (
            longer or other.tokens == saved.tokens
        )

    def _holder(self, tokens: list[int], active: Iterable[Choice]) -> Holder | None:
        """Who has these tokens in the cache."""
        holders: list[Holder] = [
            cached for cached in self._store.cached if isinstance(cached, CachedPrefix)
        ]
        length = len(tokens)
        for other in [*holders, *active] if tokens else []:
            if other.computed >= length and other.tokens[:length] == tokens:
                return other
        return None

    def _as_cached(self, saved: SavedSequence, source: Holder | None) -> Cached:
        if saved.checkpoint:
            return Checkpoint(-1, saved.tokens)
        inherited = first_blocks(source, saved.start) if source else ()
        own = Block(next(self._store.blocks), len(saved.tokens) - saved.start)
        return CachedPrefix(-1, saved.tokens, (*inherited, own))

    def _make_room(self, cached: Cached, staying: Collection[Holder | Checkpoint]) -> bool:
        """Free a sequence and cells for one more, if that can be done without those that stay."""
        going = [other for other in self._store.cached if other not in staying]
        if not self._have_cells([cached, *staying]) or not (self._store.free or going):
            return False
        while not self._store.free or not self._have_cells([cached, *staying, *going]):
            self._store.evict(going.pop(0))
        return True

    def _have_cells(self, holders: Iterable[Holder | Checkpoint]) -> bool:
        """Whether the cache has as many cells. A checkpoint may share those of another, or not."""
        blocks: list[Block] = []
        for place, holder in enumerate(holders):
            if isinstance(holder, Checkpoint):
                blocks.append(Block(-1 - place, min(holder.computed, self._model.sliding_window)))
            else:
                blocks += blocks_of(holder)
        return count_cells(blocks) <= self._model.cells

    def _fill(self, cached: Cached, state: bytearray) -> bool:
        try:
            self._model.restore(self._store.free[-1], state)
        except InternalServerError:
            if min(cached.tokens) >= 0:
                raise
            return False  # an image may take more cells than are counted
        cached.sequence = self._store.free.pop()
        return True
