"""A smaller model that guesses how the answers of a larger one go on.

It has a context of its own, in which the sequence of an answer has the same number. What that holds
is compared with the answer's tokens each time, so it need not hear when answers end or start over.

Belongs to the engine's thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

import numpy as np

from ..interrupt import Interrupt
from ..job import Choice
from ..model.model import DECODED, Model
from ..native import logger
from .common_prefix import common_length
from .lengths import Pace, StepTimes

_SURE = 0.75
"""A token that the draft model itself finds less likely is not drafted."""
_HOPED = 0.9
"""How many of its drafts are right, until that is known."""
_PATIENCE = 1 / 64
"""How much of the way back to the first estimate it goes in each step, so that a model that was of
no use is tried again."""
_WORTH_COPYING = 32
"""Tokens that another sequence must have more of, for its beginning to be taken over."""


class DraftModel:
    """Drafts greedily, for all answers at once: one token each in a decode."""

    def __init__(self, model: Model, interrupt: Interrupt, *, vocabulary: int, most: int) -> None:
        """`vocabulary` is how many tokens the large model has, `most` how many are drafted."""
        self.times = StepTimes()
        self._model = model
        self._interrupt = interrupt
        self._tokens = range(min(vocabulary, model.vocabulary.size))
        """Those that both models have."""
        self._most = most
        self._held: list[list[int]] = [[] for _ in range(model.sequences)]
        """What each sequence has in the cache."""
        self._paces: WeakKeyDictionary[Choice, Pace] = WeakKeyDictionary()

    def chance(self, choice: Choice) -> float:
        """See `Drafter`."""
        if len(choice.tokens) + self._most > self._model.window:
            return 0.0
        pace = self._paces.setdefault(choice, Pace(_HOPED))
        pace.chance += _PATIENCE * max(0.0, _HOPED - pace.chance)
        return pace.chance

    def draft(self, lengths: Mapping[Choice, int]) -> Mapping[Choice, list[int]]:
        """See `Drafter`. An answer that it still reads the beginning of gets none."""
        drafts: dict[Choice, list[int]] = {choice: [] for choice in lengths}
        rows = self._read(self._fitting(lengths))
        while rows:
            begun, count, going = time.perf_counter(), len(rows), {}
            for choice, row in rows.items():
                token = self._likeliest(row)
                if token is None:
                    continue
                drafts[choice].append(token)
                if len(drafts[choice]) < lengths[choice]:
                    going[choice] = [token]
            rows = self._compute(going)
            if rows:
                self.times.add(count, time.perf_counter() - begun)
        return drafts

    def checked(self, choice: Choice, right: int, wrong: int) -> None:
        """See `Drafter`."""
        pace = self._paces[choice]
        for _ in range(right):
            pace.saw(True)
        if wrong:
            pace.saw(False)

    def free(self) -> None:
        """Give all memory back."""
        self._model.free()

    def _fitting(self, lengths: Mapping[Choice, int]) -> list[Choice]:
        """Those that have room in the cache together; what others left goes for them."""
        room = self._model.cells
        fitting = []
        for choice, length in lengths.items():
            if len(choice.tokens) + length <= room:
                room -= len(choice.tokens) + length
                fitting.append(choice)
        for sequence in {*range(len(self._held))} - {choice.sequence for choice in fitting}:
            if len(self._held[sequence]) > room:
                self._cut(sequence, 0)
            room -= len(self._held[sequence])
        return fitting

    def _read(self, choices: Iterable[Choice]) -> dict[Choice, int]:
        """Read in what is missing of answers, one batch at most; the rows of those complete."""
        room = self._model.batch_size
        parts = {}
        for choice in choices:
            part = self._missing(choice)[:room]
            if part and all(token in self._tokens for token in part):  # not so in an image
                parts[choice] = part
                room -= len(part)
        rows = self._compute(parts)
        return {
            choice: row
            for choice, row in rows.items()
            if len(self._held[choice.sequence]) == len(choice.tokens)
        }

    def _missing(self, choice: Choice) -> list[int]:
        """The tokens to read before it can be told what follows them; at least the last one."""
        tokens, sequence = choice.tokens, choice.sequence
        common = self._common(sequence, tokens)
        if len(tokens) - common > _WORTH_COPYING:
            best = max(range(len(self._held)), key=lambda other: self._common(other, tokens))
            length = self._common(best, tokens)
            if length - common > _WORTH_COPYING:
                self._cut(sequence, 0)
                self._model.share(best, sequence, 0, length)
                self._held[sequence] = tokens[:length]
                common = length
        self._cut(sequence, common)
        return tokens[common:]

    def _common(self, sequence: int, tokens: list[int]) -> int:
        """How much of a sequence's beginning these tokens have, if it can be cut back to it."""
        length = common_length(self._held[sequence], tokens, len(tokens) - 1)
        window = self._model.sliding_window
        # Drafts that were cut off may have cost the window its oldest tokens; a guess can do
        # without them.
        needed = max(0, length - window + 1) + self._most
        return length if not window or self._model.first_cached(sequence) <= needed else 0

    def _cut(self, sequence: int, length: int) -> None:
        if length < len(self._held[sequence]):
            self._model.cut(sequence, length)
            del self._held[sequence][length:]

    def _compute(self, parts: Mapping[Choice, list[int]]) -> dict[Choice, int]:
        """Append tokens to sequences; where in the batch their last ones are."""
        if not parts:
            return {}
        batch = self._model.batch
        batch.clear()
        rows = {}
        for choice, tokens in parts.items():
            held = self._held[choice.sequence]
            rows[choice] = batch.add(tokens, len(held), choice.sequence, wanted=True)
            held += tokens
        self._interrupt.begin([choice.job for choice in parts])
        try:
            result = self._model.decode()
        finally:
            self._interrupt.end()
        if result == DECODED:
            return rows
        logger.debug("The draft model's llama_decode returned %d", result)
        for choice in parts:
            self._cut(choice.sequence, 0)
        return {}

    def _likeliest(self, row: int) -> int | None:
        """The next token, if the model is sure of it and the large one has it."""
        logits = self._model.logits(row)
        token = int(logits.argmax())
        chance = 1 / float(np.exp(logits - logits[token]).sum())
        return token if chance >= _SURE and token in self._tokens else None
