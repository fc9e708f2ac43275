"""What an assembler of streamed chunks does, whatever the chunks are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ..types.call_info import Answer
from ..types.chat import FinishReason
from ..types.chat_chunk import ChunkChoice
from ..types.text import TextChoice
from ..types.usage import Usage
from .fields import merge

ChunkT_contra = TypeVar("ChunkT_contra", contravariant=True)
AnswerT_co = TypeVar("AnswerT_co", bound=Answer, covariant=True)
ChoiceT = TypeVar("ChoiceT", bound="ChoiceState")


class Assembler(Protocol[ChunkT_contra, AnswerT_co]):
    """Collects the chunks of one stream."""

    expected: int
    """How many choices were asked for."""
    spoke: bool
    """Whether a chunk has said something."""
    says_something: bool
    """Whether the latest chunk did: text, a call, a reason, usage; not an empty delta."""

    settled: bool
    """Whether all is there that a stream can bring, its end mark aside."""

    def add(self, chunk: ChunkT_contra) -> bool:
        """Takes the next chunk; whether it is one to show."""

    def missing(self, *, marked: bool, needs_reasons: bool = True) -> str | None:
        """What a stream that is over lacks to be whole; `None` if nothing.

        `marked` says that its end mark has come (`[DONE]`), `needs_reasons` that its provider tells
        why a choice ended.
        """

    def completion(self) -> AnswerT_co:
        """What has come so far, as a completion. Never invents a finish reason or usage."""


@dataclass(slots=True)
class ChoiceState:
    """What has come of one choice, whatever it consists of."""

    finished: bool = False
    finish_reason: FinishReason | None = None
    in_one_piece: bool = False
    """Whether the first chunk brought text and a reason: some servers send a reason in each."""
    logprobs: list[Any] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


class ChoiceAssembler(Generic[ChoiceT]):
    """The part of an assembler that keeps account of choices and their ends."""

    def __init__(self, expected: int = 1, shows_usage: bool = False) -> None:
        self.spoke = False
        self.says_something = False
        self.settled = False
        self.expected = expected
        self._shows_usage = shows_usage
        """Whether the caller asked to see the chunk that carries the usage."""
        self._choices: dict[int, ChoiceT] = {}
        self._unfinished = 0
        self._went_on: int | None = None
        """A choice of which more came after its reason."""
        self._usage: Usage | None = None
        self._usage_apart = False
        """Whether usage has come in a chunk without content."""

    def missing(self, *, marked: bool, needs_reasons: bool = True) -> str | None:
        """See `Assembler.missing`."""
        if not self._choices:
            return "it brought no choices"
        if self._unfinished and (needs_reasons or not marked or not self.spoke):
            index = min(i for i, choice in self._choices.items() if not choice.finished)
            return f"choice {index} has no finish reason"
        if self._went_on is not None and not marked:
            return f"choice {self._went_on} went on after its finish reason, without an end"
        if len(self._choices) < self.expected:
            return f"only {len(self._choices)} of {self.expected} choices came"
        return None

    def _add_usage(self, usage: Usage | None, said: bool) -> None:
        """Takes the usage in a chunk, after its choices; `said`: one of them brought content.

        Servers that send a reason in each chunk may send the usage in each, too: only usage
        without content is the end there.
        """
        if usage is not None and not said:
            self._usage_apart = True
        if usage is not None:
            self._usage, self.says_something = usage, True
        self.settled = (
            self._usage is not None
            and not self._unfinished
            and self._went_on is None
            and len(self._choices) >= self.expected
            and (self._usage_apart or not any(c.in_one_piece for c in self._choices.values()))
        )

    def _begin(self, index: int, choice: ChoiceT) -> ChoiceT:
        """Takes a choice that was not known yet."""
        self._choices[index] = choice
        self._unfinished += 1
        return choice

    def _account(
        self, piece: ChunkChoice | TextChoice, choice: ChoiceT, says: bool, is_new: bool
    ) -> None:
        """Notes what a piece of a choice did to it: whether it said something, and ended it."""
        reason = piece.finish_reason
        ends = reason is not None
        if piece.logprobs is not None:
            choice.logprobs.append(piece.logprobs)
        if piece.__pydantic_extra__:
            merge(choice.extra, piece.__pydantic_extra__)
            ends = ends or bool(piece.__pydantic_extra__.get("native_finish_reason"))
        if says or ends:
            self.says_something = True
        if choice.finished:
            if says or (reason is not None and choice.finish_reason not in (None, reason)):
                self._went_on = piece.index
            choice.finish_reason = reason or choice.finish_reason
        elif ends:
            choice.finished, choice.finish_reason = True, reason
            choice.in_one_piece = says and is_new
            self._unfinished -= 1
