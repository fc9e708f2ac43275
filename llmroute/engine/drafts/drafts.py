"""Speculative decoding: tokens guessed ahead, so that one step can confirm several.

A drafted token is computed beside the last chosen one. It never decides anything: the answer's own
samplers choose at each place in turn, and as long as they choose what was drafted, the next place
is computed already. So an answer is what it is without drafts, and so is its state.

Belongs to the engine's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

from ..job import Choice
from .lengths import Pace, StepTimes, draft_lengths
from .lookup import Lookup


class Drafter(Protocol):
    """Guesses how answers go on."""

    times: StepTimes
    """How long it takes to guess one token for each of that many answers."""

    def chance(self, choice: Choice) -> float:
        """How likely its next guess for an answer is right; 0 without one."""

    def draft(self, lengths: Mapping[Choice, int]) -> Mapping[Choice, list[int]]:
        """Guesses for these answers, each at most so long; it may know fewer or none."""

    def checked(self, choice: Choice, right: int, wrong: int) -> None:
        """Of the tokens drafted for an answer, these were `right` and those after them `wrong`."""

    def free(self) -> None:
        """Give all memory back."""


class Drafts:
    """What is drafted in which step."""

    def __init__(
        self,
        drafter: Drafter | None,
        most: int,
        is_end: Callable[[int], bool],
        times: StepTimes | None = None,
    ) -> None:
        """`most` is how many tokens for one answer; nothing is drafted without a `drafter`.
        `times` is what is known of how long steps take."""
        self._drafter = drafter
        self._most = most
        self._is_end = is_end
        self._times = StepTimes() if times is None else times

    @property
    def on(self) -> bool:
        """Whether anything is ever drafted."""
        return self._drafter is not None

    def plan(self, choices: Sequence[Choice], room: int) -> Mapping[Choice, list[int]]:
        """What to compute after the last tokens of answers, `room` tokens at most for all."""
        drafter = self._drafter
        if drafter is None or not choices:
            return {}
        # The token after the last drafted one is chosen, too.
        answers = [
            (drafter.chance(choice), min(self._most, choice.answer.remaining - 1))
            for choice in choices
        ]
        self._times.tick()
        drafter.times.tick()
        drafting = drafter.times.of(len(choices)) or 0.0
        lengths = draft_lengths(answers, room, self._times, drafting)
        wanted = {choice: length for choice, length in zip(choices, lengths, strict=True) if length}
        if not wanted:
            return {}
        return {choice: self._usable(found) for choice, found in drafter.draft(wanted).items()}

    def _usable(self, drafted: list[int]) -> list[int]:
        """Up to an image of the prompt, and to the end of an answer, after which nothing comes."""
        for number, token in enumerate(drafted):
            if token < 0 or self._is_end(token):
                return drafted[:number]
        return drafted

    def took(self, tokens: int, seconds: float) -> None:
        """A step with that number of tokens, and no prompts, took that long."""
        self._times.add(tokens, seconds)

    def checked(self, choice: Choice, right: int, wrong: int) -> None:
        """Of the tokens drafted for an answer, these were `right` and those after them `wrong`."""
        if self._drafter is not None:
            self._drafter.checked(choice, right, wrong)

    def free(self) -> None:
        """Give all memory back."""
        if self._drafter is not None:
            self._drafter.free()


class PromptLookup:
    """Guesses that an answer goes on as prompt and answer did when they came to its last words.

    It costs next to nothing, so it guesses at every step and knows how often that would have been
    right, drafted or not.
    """

    def __init__(self) -> None:
        self.times = StepTimes()  # nothing worth measuring
        self._known: WeakKeyDictionary[Choice, tuple[Lookup, Pace]] = WeakKeyDictionary()

    def chance(self, choice: Choice) -> float:
        """See `Drafter`."""
        if choice not in self._known:
            lookup = Lookup()
            for _ in lookup.read(choice.tokens):
                pass  # how a prompt repeats itself says little of its answer
            self._known[choice] = lookup, Pace()
        lookup, pace = self._known[choice]
        for right in lookup.read(choice.tokens):
            pace.saw(right)
        return pace.chance if lookup.expects else 0.0

    def draft(self, lengths: Mapping[Choice, int]) -> Mapping[Choice, list[int]]:
        """See `Drafter`."""
        return {
            choice: self._known[choice][0].next(choice.tokens, length)
            for choice, length in lengths.items()
        }

    def checked(self, choice: Choice, right: int, wrong: int) -> None:
        """It sees that in the answer itself."""

    def free(self) -> None:
        """There is nothing."""
