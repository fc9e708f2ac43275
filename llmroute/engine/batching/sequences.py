"""llama.cpp's sequences: whose they are, and what of earlier ones need not be computed again.

A sequence whose answer has ended stays cached with its tokens until its number or its cells are
needed. A prompt that begins like a cached one, or like one that is being computed, gets a copy of
that beginning, which costs nothing: both then own the same cells.

Layers with a sliding window forget what lies before it, so a prompt could only go on where an
earlier one ended. Where prompts diverge, or are likely to, a sequence of its own therefore holds on
to the window: a `Checkpoint`.

Recurrent layers have one state of all tokens, of which nothing can be taken away, so a prompt can
only go on where a sequence ends (`Model.can_cut`). There a checkpoint is a cached prefix itself.

Belongs to the engine's thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..drafts.common_prefix import common_length
from ..job import Block, Choice
from ..model.model import Model
from .cells import (
    CachedPrefix,
    Checkpoint,
    Holder,
    PrefixMatch,
    blocks_of,
    count_cells,
    first_blocks,
    growth,
)
from .sequence_store import SequenceStore

_WORTH_WAITING = 4
"""A choice waits for one that computes its beginning if the tokens saved, times this, are more than
it has to compute."""
_WORTH_A_CHECKPOINT = 32
"""The least tokens before a checkpoint."""
_LAST_WORDS = 8
"""Tokens that end a prompt and may be written otherwise once an answer follows: a template's
opening of the thinking."""


class Sequences:
    """Hands out sequences, and caches those of ended answers."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._store = SequenceStore(model)

    @property
    def store(self) -> SequenceStore:
        """The sequences that nobody writes on."""
        return self._store

    def find(self, choice: Choice, active: Collection[Choice]) -> PrefixMatch:
        """How `choice` can begin. Its last token is always computed, for what comes next."""
        most = len(choice.tokens) - 1
        alike = [
            (choice.prompt.whole(common_length(choice.tokens, other.tokens, most)), other)
            for other in self._others(choice, active)
        ]
        divergences = (common for common, other in alike if common < len(other.tokens))
        match = PrefixMatch(divergence=max(divergences, default=0))
        for common, other in alike:
            length, checkpoint = min(common, other.computed), None
            if not self._still_has(other, length):
                checkpoint = self._checkpoint_before(choice, length)
                length = checkpoint.computed if checkpoint else 0
            if length > match.length:
                match = match._replace(source=other, length=length, checkpoint=checkpoint)
        for common, other in alike:
            if isinstance(other, Choice) and max(other.computed, match.ready_at) < common:
                match = match._replace(prefilled_by=other, ready_at=common)
        if (match.ready_at - match.length) * _WORTH_WAITING < choice.pending - match.length:
            return match._replace(prefilled_by=None)
        if match.prefilled_by and not self._model.can_cut:
            self._stop_at(match.prefilled_by, match.ready_at)
        return match

    def _others(self, choice: Choice, active: Collection[Choice]) -> Iterable[Holder]:
        if self._store.caches and not choice.prompt.logprobs_pending:
            return [
                *active,
                *(
                    cached
                    for cached in reversed(self._store.cached)
                    if isinstance(cached, CachedPrefix)
                ),
            ]
        if self._model.can_cut:  # answers to one prompt of one call, which score it together
            return [other for other in active if other.prompt is choice.prompt]
        return []

    def _still_has(self, other: Holder, length: int) -> bool:
        """Whether a sequence has what is needed to go on after its first tokens, in every layer."""
        if not self._model.can_cut:
            return length == other.computed
        if not self._model.sliding_window:
            return True
        return self._model.first_cached(other.sequence) <= self._store.seen_from(length)

    def _checkpoint_before(self, choice: Choice, length: int) -> Checkpoint | None:
        """The last checkpoint within the first tokens of a choice."""
        cached = (c for c in self._store.cached if isinstance(c, Checkpoint))
        fitting = (
            c for c in cached if c.tokens == choice.tokens[: c.computed] and c.computed <= length
        )
        return max(fitting, key=lambda checkpoint: checkpoint.computed, default=None)

    def has_cells(self, choice: Choice, match: PrefixMatch, active: Iterable[Choice]) -> bool:
        """Whether a choice fits beside the active ones. What is only cached makes room."""
        inherited = first_blocks(match.source, match.length) if match.source else ()
        blocks = [*inherited, Block(-1, growth(choice, inherited))]
        for other in active:
            blocks += [*other.inherited, Block(other.block, growth(other, other.inherited))]
        return count_cells(blocks) <= self._model.cells

    def begin(self, choice: Choice, match: PrefixMatch) -> None:
        """Give a choice a sequence, with the beginning that was found for it."""
        source, checkpoint = match.source, match.checkpoint
        if checkpoint and not self._store.has_free_beside(source, checkpoint):
            source, checkpoint, match = None, None, PrefixMatch(divergence=match.divergence)
        choice.block = next(self._store.blocks)
        if (
            isinstance(source, CachedPrefix)
            and not checkpoint
            and self._can_take_over(source, match.length)
        ):
            self._store.cached.remove(source)
            choice.sequence = source.sequence
            self._model.cut(choice.sequence, match.length)
        else:
            self._store.has_free_beside(source, checkpoint)
            choice.sequence = self._store.free.pop()
            if not self._copy(choice.sequence, match):
                self._model.forget(choice.sequence)
                source, match = None, PrefixMatch(divergence=match.divergence)
        choice.inherited = first_blocks(source, match.length) if source else ()
        choice.computed = match.length
        choice.checkpoints = self._checkpoints(choice, match.divergence)
        choice.stops_there = not self._model.can_cut
        self.make_checkpoints(choice)

    def _copy(self, target: int, match: PrefixMatch) -> bool:
        """Let a sequence begin as `match` says, and its sources count as just used; whether that
        went well."""
        source, checkpoint, length = match.source, match.checkpoint, match.length
        if source is None:
            return True
        self._store.touch(source)
        if checkpoint is None:
            self._model.share(source.sequence, target, 0, length)
        else:
            self._store.touch(checkpoint)
            border = self._store.seen_from(length)
            self._model.share(source.sequence, target, 0, border)
            self._model.share(checkpoint.sequence, target, border, length)
        # Cells that two sequences have are never written over, also where both are past them.
        past = self._store.seen_from(length) - self._model.first_cached(target)
        window = self._model.sliding_window
        return not window or past <= window or self._model.renew_window(target)

    def _checkpoints(self, choice: Choice, divergence: int) -> list[int]:
        """Where to make checkpoints of a prompt: where it diverges from another, and before its
        end."""
        if not (self._store.caches and self._store.needs_checkpoints):
            return []
        end = choice.prompt.whole(len(choice.prompt.tokens) - _LAST_WORDS)
        places = [divergence, end] if divergence < end else [end]
        return [place for place in places if place >= max(_WORTH_A_CHECKPOINT, choice.computed)]

    def _stop_at(self, choice: Choice, place: int) -> None:
        """Have a checkpoint made that another choice waits for."""
        if place not in choice.checkpoints:
            choice.checkpoints = sorted([*choice.checkpoints, place])

    def make_checkpoints(self, choice: Choice) -> None:
        """Make the checkpoints of a prompt that it has come to."""
        while choice.checkpoints and choice.checkpoints[0] <= choice.computed:
            place = choice.checkpoints.pop(0)
            if self._still_has(choice, place):
                self._make_checkpoint(choice, place)

    def _make_checkpoint(self, choice: Choice, place: int) -> None:
        if not self._model.can_cut:
            self._cache_state(choice)
            return
        known = self._checkpoint_before(choice, place)
        if known and known.computed == place:
            self._store.touch(known)
        elif self._store.has_free_beside():
            checkpoint = Checkpoint(self._store.free.pop(), choice.tokens[:place])
            self._model.share(
                choice.sequence, checkpoint.sequence, self._store.seen_from(place), place
            )
            self._store.cached.append(checkpoint)

    def _cache_state(self, choice: Choice) -> None:
        """Keep all of a sequence as it is now."""
        tokens = choice.tokens[: choice.computed]
        known = self._store.cached_with(tokens)
        if known:
            self._store.touch(known)
        elif self._store.has_free_beside():
            cached = CachedPrefix(self._store.free.pop(), tokens, blocks_of(choice))
            self._model.share(choice.sequence, cached.sequence, 0, choice.computed)
            self._store.cached.append(cached)

    def _evict_same(self, cached: CachedPrefix) -> None:
        """Drop what was cached with the same tokens before."""
        known = self._store.cached_with(cached.tokens)
        if known and known is not cached:
            self._store.evict(known)

    def _can_take_over(self, source: CachedPrefix, length: int) -> bool:
        """Whether a choice goes on in the sequence of its source; otherwise it gets a copy.

        It does if that loses nothing, or no more than what would have to go to make a copy. A state
        that is gone on from is lost.
        """
        lost = source.computed - (length if self._model.can_cut else 0)
        oldest = next((cached for cached in self._store.cached if cached is not source), None)
        return not lost or not (self._store.free or (oldest and lost > oldest.computed))

    def detach(self, choice: Choice) -> None:
        """A choice has ended: keep what is computed of it."""
        cached = CachedPrefix(choice.sequence, choice.tokens[: choice.computed], blocks_of(choice))
        self._store.cached.append(cached)
        if not self._store.caches or not cached.tokens:
            self._store.evict(cached)
            return
        self._model.cut(cached.sequence, cached.computed)  # a decode may have been broken off
        if self._store.needs_checkpoints:
            self._evict_same(cached)
            return
        for other in self._store.cached[:-1]:
            if other.tokens[: cached.computed] == cached.tokens:
                self._store.evict(cached)
                return
            if cached.tokens[: other.computed] == other.tokens:
                self._store.evict(other)

    def restart(self, choice: Choice) -> None:
        """Let a choice read its tokens again from the first on."""
        self._model.forget(choice.sequence)
        choice.computed, choice.inherited = 0, ()

    def restart_all(self, active: Iterable[Choice]) -> None:
        """Give up all that is computed, also of active choices, which go on from nothing."""
        while self._store.evict_oldest():
            pass
        for choice in active:
            self.restart(choice)
        self._model.forget_all()

    def evict_oldest(self) -> bool:
        """Give back what has not been used for longest; `False` if nothing is cached."""
        return self._store.evict_oldest()

    def release(self, choice: Choice) -> None:
        """Take a choice's sequence and its cells away, to give it new ones later."""
        self._store.release(choice.sequence)
