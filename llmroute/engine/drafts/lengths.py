"""How many tokens to draft: as many as make the most tokens in a second.

Checking a drafted token costs a part of a step: a fiftieth on a GPU, half of it on a processor
under a model with a large vocabulary. So both are measured while the engine runs: how long steps
take, and how often drafted tokens turn out right.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections import Counter
from collections.abc import Sequence

_MEMORY = 0.15
"""How much one drafted token counts in the estimate of how many are right."""
_UNKNOWN = 0.5
_SLOWER = 0.1
"""How fast a measured time rises when steps get slower. It falls at once: what else the machine
does only makes steps slower."""
_FADING = 0.9995
"""What a time is multiplied with in each step that does not measure it."""
_MOST_SURPRISE = 2.0
"""How many times of what was expected a time may count as. One bad moment is no news."""
_ENOUGH = 3
"""Steps without drafts to measure before the first draft: the first ones of a model are slow."""
_RECENT = 64
"""Steps after which one without drafts is measured again."""
_GUESSED_SHARE = 0.2
"""What a token more costs in parts of a step, until that is measured."""
_WORTH = 1.2
"""How much faster drafting must be to be done."""


class Pace:
    """How often drafted tokens of one answer are right."""

    def __init__(self, chance: float = _UNKNOWN) -> None:
        self.chance = chance
        """That the next one is, if those before it are."""

    def saw(self, right: bool) -> None:
        """One was, or was not."""
        self.chance += _MEMORY * (right - self.chance)


class StepTimes:
    """How long a step takes, by the tokens in it."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._when: dict[int, int] = {}
        self._counts: Counter[int] = Counter()
        self._measured: list[int] = []
        self._now = 0

    def tick(self) -> None:
        """A step more. What is not measured again counts as ever faster, so that it is tried."""
        self._now += 1

    def add(self, tokens: int, seconds: float) -> None:
        """A step of that many tokens took that long."""
        expected = self.of(tokens)
        if expected is not None:
            seconds = min(seconds, _MOST_SURPRISE * expected)
        if tokens not in self._seconds:
            insort(self._measured, tokens)
        known = self._seconds.get(tokens, seconds)
        self._seconds[tokens] = min(seconds, known + _SLOWER * (seconds - known))
        self._when[tokens] = self._now
        self._counts[tokens] += 1

    def is_sure(self, tokens: int) -> bool:
        """Whether steps of this size were measured often enough, and not long ago."""
        recent = self._now - self._when.get(tokens, 0) <= _RECENT
        return recent and self._counts[tokens] >= _ENOUGH

    def of(self, tokens: int) -> float | None:
        """What one may take; `None` while nothing is known."""
        if tokens in self._seconds:
            return self._known(tokens)
        if not self._measured:
            return None
        place = bisect(self._measured, tokens)
        if 0 < place < len(self._measured):
            below, above = self._measured[place - 1 : place + 1]
            low, high = self._known(below), self._known(above)
            return low + (high - low) * (tokens - below) / (above - below)
        nearest = self._measured[max(0, place - 1)]
        return self._known(nearest) * _guessed(tokens) / _guessed(nearest)

    def _known(self, tokens: int) -> float:
        return float(self._seconds[tokens] * _FADING ** (self._now - self._when[tokens]))


def _guessed(tokens: int) -> float:
    return 1 + _GUESSED_SHARE * (tokens - 1)


def draft_lengths(
    answers: Sequence[tuple[float, int]], room: int, times: StepTimes, drafting: float = 0.0
) -> list[int]:
    """How many tokens to draft for each answer being written.

    `answers` are the chance that a drafted token is right and the most to draft, for each; `room`
    is the most for all together, and `drafting` the seconds it takes to draft one for everybody.
    """
    rows = len(answers)
    plain = times.of(rows)
    if plain is None or not times.is_sure(rows):
        return [0] * rows
    tokens, longest = float(rows), 0
    rate = _WORTH * tokens / plain
    lengths = []
    for chance, most in answers:
        best, gain, likely = 0, 0.0, 1.0
        found = tokens
        for length in range(1, min(most, room) + 1):
            likely *= chance
            gain += likely
            seconds = (times.of(rows + length) or plain) + drafting * max(longest, length)
            if (tokens + gain) / seconds > rate:
                best, found, rate = length, tokens + gain, (tokens + gain) / seconds
        lengths.append(best)
        tokens, rows, room, longest = found, rows + best, room - best, max(longest, best)
    return lengths
