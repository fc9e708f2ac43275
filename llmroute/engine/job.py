"""One call to the engine, and the answers it is made of."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from ..errors import APIError, InternalServerError, LLMRouteError
from ..providers.base import LocalCall, LocalEvent, LocalToken, LocalUsage, LocalVector
from .answers.answer import Answer
from .answers.best_of import BestOf
from .answers.chain import SamplerChain
from .answers.rules import AnswerRules
from .answers.sampling import Sampling
from .prompt.prompt import Prompt
from .prompt.rendered import RenderedChat
from .vision.encoder import Picture

Item: TypeAlias = LocalEvent | LLMRouteError | None
"""What a job delivers: events, then `None`; or an error, which is the last thing."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class EngineJob:
    """One call. Made by the caller's thread, worked on by the engine's."""

    call: LocalCall
    sampling: Sampling
    deliver: Callable[[Item], None]
    """Takes what the job has to say to its caller; must return at once."""
    cancelled: bool = False
    """Whether nobody wants the rest. Set through `Interrupt.cancel`."""
    seed: int = field(init=False)
    """Of its first choice; the others count on from there."""
    rendered: RenderedChat | None = None
    """The conversation of a chat, once it is rendered."""
    rules: AnswerRules | None = None
    """How the answers of a chat are to be read."""
    prompts: list[Prompt] = field(default_factory=list)
    best_of: BestOf | None = None
    """Chooses which answers are told; `None` tells all."""
    unfinished: int = 0
    """Choices that are not told to their end."""
    completion_tokens: int = 0
    drafted: int = 0
    """Tokens that were guessed ahead."""
    accepted: int = 0
    """Drafted tokens that were right."""

    def __post_init__(self) -> None:
        given = self.sampling.seed
        self.seed = int.from_bytes(os.urandom(4)) if given is None else given

    def emit(self, event: LocalToken | LocalVector) -> None:
        """Hand a piece of text, or a vector, to the caller."""
        if self.best_of is None or isinstance(event, LocalVector):
            self._tell(event)
            return
        for piece in self.best_of.add(event):
            self._tell(piece)

    def _tell(self, event: LocalToken | LocalVector) -> None:
        self._send(event)
        if isinstance(event, LocalVector) or event.finish_reason is not None:
            self.unfinished -= 1
            if not self.unfinished:
                self._finish()

    def _finish(self) -> None:
        prompt_tokens = sum(prompt.size for prompt in self.prompts)
        cached = sum(prompt.cached or 0 for prompt in self.prompts)
        rejected = self.drafted - self.accepted
        self._send(
            LocalUsage(prompt_tokens, self.completion_tokens, cached, self.accepted, rejected)
        )
        self._send(None)

    def fail(self, error: Exception) -> None:
        """End the job with an error."""
        self._send(located(error, self.call.path))
        self.cancelled = True

    def _send(self, item: Item) -> None:
        if self.cancelled:
            return
        try:
            self.deliver(item)
        except RuntimeError:  # its event loop is closed: nobody is there to read it
            self.cancelled = True


def as_ours(error: Exception) -> LLMRouteError:
    """`error` itself if it is ours; anything unforeseen becomes an `InternalServerError`."""
    if isinstance(error, LLMRouteError):
        return error
    wrapped = InternalServerError(f"The llamacpp engine failed: {error!r}.")
    wrapped.__cause__ = error
    return wrapped


def located(error: Exception, model: str) -> LLMRouteError:
    """A copy of `error` that says which model it is about; several jobs may end with one error."""
    known = as_ours(error)
    ours = copy.copy(known)
    ours.__cause__ = known.__cause__
    if isinstance(ours, APIError):
        ours.provider = "llamacpp"
        ours.model = ours.model or f"llamacpp/{model}"
        ours.url = ours.url or model
    return ours


class Block(NamedTuple):
    """A run of the cache's cells."""

    owner: int
    """Who filled it; sequences with the same beginning have blocks of the same owner in common."""
    length: int
    """How many of its first cells."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class Choice:
    """One answer being generated: a sequence of llama.cpp while it is active."""

    job: EngineJob
    prompt: Prompt
    chain: SamplerChain
    answer: Answer
    tokens: list[int]
    """The prompt's and the chosen ones."""
    sequence: int = -1
    """Which of llama.cpp's sequences it is; -1 while it waits."""
    computed: int = 0
    """How many of `tokens` are in the cache."""
    scheduled: int = 0
    """How many more this step computes."""
    block: int = -1
    """The owner of the cells it fills itself."""
    inherited: tuple[Block, ...] = ()
    """The cells before these, filled by others."""
    prefilled_by: Choice | None = None
    """An active choice that computes the same beginning, while this one waits for it."""
    ready_at: int = 0
    """How many tokens that one must have computed."""
    checkpoints: list[int] = field(default_factory=list)
    """After how many tokens to make a checkpoint, where that is still to come; in their order."""
    stops_there: bool = False
    """Whether a checkpoint can only be made when all before it is computed and nothing more."""
    row: int = -1
    """Where in the batch its next token can be sampled; -1 if not after this step."""
    first_row: int = -1
    """Where in the batch the first of the tokens is that this step computes."""
    drafted: Sequence[int] = ()
    """Tokens guessed to come next, in the batch after those scheduled."""

    def schedule(self, count: int, row: int, drafted: Sequence[int]) -> None:
        """This step computes `count` tokens and the `drafted` ones after them, whose last is at
        `row` of the batch."""
        self.scheduled, self.drafted = count, drafted
        self.first_row = row - count - len(drafted) + 1
        self.row = row - len(drafted) if count == self.pending else -1

    def confirm(self) -> None:
        """The next drafted token is what was chosen, and it is computed already."""
        self.computed += 1
        self.row += 1
        self.job.accepted += 1

    def deactivate(self) -> None:
        """It has no sequence any more: it has ended, or gets another one later."""
        self.sequence, self.computed, self.drafted = -1, 0, ()

    @property
    def waits_for_prefill(self) -> bool:
        """Whether another choice is still computing a beginning that this one is to have."""
        other = self.prefilled_by
        return other is not None and other.sequence >= 0 and other.computed < self.ready_at

    @property
    def begins(self) -> bool:
        """Whether no token of the answer has been chosen."""
        return len(self.tokens) == len(self.prompt.tokens)

    @property
    def pending(self) -> int:
        """Tokens to compute before the next one can be chosen."""
        return len(self.tokens) - self.computed

    @property
    def picture(self) -> Picture | None:
        """The image to be computed next, if one is."""
        return self.prompt.pictures.get(self.computed)

    @property
    def computable(self) -> int:
        """Tokens that can be computed next, before an image or a checkpoint to stop at."""
        stops = [*self.prompt.pictures, *(self.checkpoints if self.stops_there else ())]
        ahead = (stop for stop in stops if stop >= self.computed)
        return min(ahead, default=len(self.tokens)) - self.computed
