"""llama.cpp's sequences: whose they are, and what of earlier ones need not be computed again.

A sequence that nobody writes on any more is kept with its tokens until its number or its cells are
needed. A prompt that begins like one that is kept, or like one that is being written, gets a copy
of that beginning, which costs nothing: both then own the same cells.

Layers with a sliding window soon forget what lies before it, so a prompt could only go on where an
earlier one ended. Where prompts part, or are likely to, a sequence of its own therefore holds on to
the window: a `Pin`.

Recurrent layers have one state of all that was read, of which nothing can be taken away, so a
prompt can only go on where a sequence ends (`Model.can_cut`). At the same places all of it is kept
as it is.

Belongs to the engine's thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..drafts.common_prefix import common_length
from ..job import Choice, Part
from ..model.model import Model
from .cells import Holder, Kept, Pin, Start, count_cells, first_parts, growth, parts_of
from .sequence_store import SequenceStore

_WORTH_WAITING = 4
"""A choice waits for one that is reading its beginning if that saves it one part in so many."""
_WORTH_PINNING = 32
"""The least tokens before a place for which it is pinned."""
_LAST_WORDS = 8
"""Tokens that end a prompt and may be written otherwise once an answer follows: a template's
opening of the thinking."""


class Sequences:
    """Hands out sequences, and keeps those that answers leave."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._store = SequenceStore(model)

    @property
    def store(self) -> SequenceStore:
        """The sequences that nobody writes on."""
        return self._store

    def find(self, choice: Choice, active: Collection[Choice]) -> Start:
        """How `choice` can begin. Its last token is always computed, for what comes next."""
        most = len(choice.tokens) - 1
        alike = [
            (choice.prompt.whole(common_length(choice.tokens, other.tokens, most)), other)
            for other in self._others(choice, active)
        ]
        partings = (common for common, other in alike if common < len(other.tokens))
        start = Start(parting=max(partings, default=0))
        for common, other in alike:
            length, pin = min(common, other.computed), None
            if not self._still_has(other, length):
                pin = self._pin_before(choice, length)
                length = pin.computed if pin else 0
            if length > start.length:
                start = start._replace(source=other, length=length, pin=pin)
        for common, other in alike:
            if isinstance(other, Choice) and max(other.computed, start.soon) < common:
                start = start._replace(reader=other, soon=common)
        if (start.soon - start.length) * _WORTH_WAITING < choice.pending - start.length:
            return start._replace(reader=None)
        if start.reader and not self._model.can_cut:
            self._stop_at(start.reader, start.soon)
        return start

    def _others(self, choice: Choice, active: Collection[Choice]) -> Iterable[Holder]:
        if self._store.keeps and not choice.prompt.unscored:
            return [
                *active,
                *(kept for kept in reversed(self._store.kept) if isinstance(kept, Kept)),
            ]
        if self._model.can_cut:  # answers to one prompt of one call, which score it together
            return [other for other in active if other.prompt is choice.prompt]
        return []

    def _still_has(self, other: Holder, length: int) -> bool:
        """Whether a sequence has what is needed to go on after its first tokens, in every layer."""
        if not self._model.can_cut:
            return length == other.computed
        if not self._model.window_layers:
            return True
        return self._model.first_kept(other.sequence) <= self._store.seen_from(length)

    def _pin_before(self, choice: Choice, length: int) -> Pin | None:
        """The last pinned place within the first tokens of a choice."""
        pins = (pin for pin in self._store.kept if isinstance(pin, Pin) and pin.computed <= length)
        fitting = (pin for pin in pins if pin.tokens == choice.tokens[: pin.computed])
        return max(fitting, key=lambda pin: pin.computed, default=None)

    def has_cells(self, choice: Choice, start: Start, active: Iterable[Choice]) -> bool:
        """Whether a choice fits beside the active ones. What is only kept makes room."""
        inherited = first_parts(start.source, start.length) if start.source else ()
        parts = [*inherited, Part(-1, growth(choice, inherited))]
        for other in active:
            parts += [*other.inherited, Part(other.part, growth(other, other.inherited))]
        return count_cells(parts) <= self._model.cells

    def begin(self, choice: Choice, start: Start) -> None:
        """Give a choice a sequence, with the beginning that was found for it."""
        source, pin = start.source, start.pin
        if pin and not self._store.has_free_beside(source, pin):
            source, pin, start = None, None, Start(parting=start.parting)
        choice.part = next(self._store.parts)
        if isinstance(source, Kept) and not pin and self._can_take_over(source, start.length):
            self._store.kept.remove(source)
            choice.sequence = source.sequence
            self._model.cut(choice.sequence, start.length)
        else:
            self._store.has_free_beside(source, pin)
            choice.sequence = self._store.free.pop()
            if not self._copy(choice.sequence, start):
                self._model.forget(choice.sequence)
                source, start = None, Start(parting=start.parting)
        choice.inherited = first_parts(source, start.length) if source else ()
        choice.computed = start.length
        choice.places = self._places(choice, start.parting)
        choice.stops = not self._model.can_cut
        self.pin(choice)

    def _copy(self, target: int, start: Start) -> bool:
        """Let a sequence begin as `start` says, and its sources count as just used; whether that
        went well."""
        source, pin, length = start.source, start.pin, start.length
        if source is None:
            return True
        self._store.use(source)
        if pin is None:
            self._model.share(source.sequence, target, 0, length)
        else:
            self._store.use(pin)
            border = self._store.seen_from(length)
            self._model.share(source.sequence, target, 0, border)
            self._model.share(pin.sequence, target, border, length)
        # Cells that two sequences have are never written over, also where both are past them.
        past = self._store.seen_from(length) - self._model.first_kept(target)
        window = self._model.window_layers
        return not window or past <= window or self._model.renew_window(target)

    def _places(self, choice: Choice, parting: int) -> list[int]:
        """Where a prompt is worth pinning: where it parts from another, and before its end."""
        if not (self._store.keeps and self._store.forgets):
            return []
        end = choice.prompt.whole(len(choice.prompt.tokens) - _LAST_WORDS)
        places = [parting, end] if parting < end else [end]
        return [place for place in places if place >= max(_WORTH_PINNING, choice.computed)]

    def _stop_at(self, reader: Choice, place: int) -> None:
        """Have a place pinned that another choice waits for."""
        if place not in reader.places:
            reader.places = sorted([*reader.places, place])

    def pin(self, choice: Choice) -> None:
        """Pin the places of a prompt that it has come to."""
        while choice.places and choice.places[0] <= choice.computed:
            place = choice.places.pop(0)
            if self._still_has(choice, place):
                self._pin(choice, place)

    def _pin(self, choice: Choice, place: int) -> None:
        if not self._model.can_cut:
            self._keep_state(choice)
            return
        known = self._pin_before(choice, place)
        if known and known.computed == place:
            self._store.use(known)
        elif self._store.has_free_beside():
            pin = Pin(self._store.free.pop(), choice.tokens[:place])
            self._model.share(choice.sequence, pin.sequence, self._store.seen_from(place), place)
            self._store.kept.append(pin)

    def _keep_state(self, choice: Choice) -> None:
        """Keep all of a sequence as it is now."""
        tokens = choice.tokens[: choice.computed]
        known = self._store.kept_with(tokens)
        if known:
            self._store.use(known)
        elif self._store.has_free_beside():
            kept = Kept(self._store.free.pop(), tokens, parts_of(choice))
            self._model.share(choice.sequence, kept.sequence, 0, choice.computed)
            self._store.kept.append(kept)

    def _drop_same(self, kept: Kept) -> None:
        """Drop what was kept with the same tokens before."""
        known = self._store.kept_with(kept.tokens)
        if known and known is not kept:
            self._store.drop(known)

    def _can_take_over(self, source: Kept, length: int) -> bool:
        """Whether a choice goes on in the sequence of its source; otherwise it gets a copy.

        It does if that loses nothing, or no more than what would have to go to make a copy. A state
        that is gone on from is lost.
        """
        lost = source.computed - (length if self._model.can_cut else 0)
        oldest = next((kept for kept in self._store.kept if kept is not source), None)
        return not lost or not (self._store.free or (oldest and lost > oldest.computed))

    def leave(self, choice: Choice) -> None:
        """A choice has ended: keep what is computed of it."""
        kept = Kept(choice.sequence, choice.tokens[: choice.computed], parts_of(choice))
        self._store.kept.append(kept)
        if not self._store.keeps or not kept.tokens:
            self._store.drop(kept)
            return
        self._model.cut(kept.sequence, kept.computed)  # a decode may have been broken off
        if self._store.forgets:
            self._drop_same(kept)
            return
        for other in self._store.kept[:-1]:
            if other.tokens[: kept.computed] == kept.tokens:
                self._store.drop(kept)
                return
            if kept.tokens[: other.computed] == other.tokens:
                self._store.drop(other)

    def restart(self, choice: Choice) -> None:
        """Let a choice read its tokens again from the first on."""
        self._model.forget(choice.sequence)
        choice.computed, choice.inherited = 0, ()

    def restart_all(self, active: Iterable[Choice]) -> None:
        """Give up all that is computed, also of active choices, which go on from nothing."""
        while self._store.drop_oldest():
            pass
        for choice in active:
            self.restart(choice)
        self._model.forget_all()

    def drop_oldest(self) -> bool:
        """Give back what has not been used for longest; `False` if nothing is kept."""
        return self._store.drop_oldest()

    def take(self, choice: Choice) -> None:
        """Take a choice's sequence and its cells away, to give it new ones later."""
        self._store.release(choice.sequence)
