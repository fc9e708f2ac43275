"""Of several answers to one prompt, those that the model itself finds likeliest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...providers.base import LocalToken
from .answer import Answer


class BestOf:
    """Holds the answers of one call back until all to a prompt are complete, and then lets the
    best of them through."""

    def __init__(self, answers: Sequence[Answer], candidates: int, n: int) -> None:
        """Each prompt has `candidates` of the answers, of which `n` are given."""
        self._answers = answers
        self._candidates = candidates
        self._n = n
        self._pieces: list[list[LocalToken]] = [[] for _ in answers]

    def add(self, piece: LocalToken) -> list[LocalToken]:
        """What can be told after this piece: all pieces of the best answers to its prompt, the
        likeliest first and numbered again; before the last of them is complete an empty one, for
        those who wait to see that it goes on."""
        self._pieces[piece.index].append(piece)
        prompt = piece.index // self._candidates
        own = range(prompt * self._candidates, (prompt + 1) * self._candidates)
        if not all(self._is_complete(answer) for answer in own):
            return [LocalToken(prompt * self._n, "")]
        best = sorted(own, key=lambda answer: -self._answers[answer].mean_logprob)[: self._n]
        return [
            replace(told, index=prompt * self._n + place)
            for place, answer in enumerate(best)
            for told in self._pieces[answer]
        ]

    def _is_complete(self, answer: int) -> bool:
        pieces = self._pieces[answer]
        return bool(pieces) and pieces[-1].finish_reason is not None
