"""Many answers in one context: which tokens each step computes, and what comes of them.

Belongs to the engine's thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ...errors import InternalServerError, LLMRouteError
from ..drafts.drafts import Drafts
from ..interrupt import Interrupt
from ..job import Choice, EngineJob
from ..model.model import ABORTED, DECODED, NO_ROOM, Model
from .admission import choices_of, render
from .cells import PrefixMatch
from .sequence_store import SequenceStore
from .sequences import Sequences

_PREFILL_SHARE = 4
"""While answers are being decoded, prompts get at most a step's batch divided by this, so that the
answers keep coming."""
_GRAMMAR_SECONDS = 0.01
"""How long at a time an idle engine waits for a grammar: a new call waits as long."""


class Scheduler:
    """Runs the choices of all jobs, `n_parallel` of them at once."""

    def __init__(self, model: Model, interrupt: Interrupt, drafts: Drafts | None = None) -> None:
        self._model = model
        self._interrupt = interrupt
        self._drafts = drafts or Drafts(None, 0, model.vocabulary.is_end)
        self._drafts_fit = True
        """Whether the cache had room for drafts, or has been given some since."""
        self._sequences = Sequences(model)
        self.waiting: deque[Choice] = deque()
        self.active: list[Choice] = []
        """In the order they were admitted."""
        self._full = False
        """Whether the cache proved too small for those active; until one ends, none is admitted."""

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.active or self.waiting)

    def rendering(self, job: EngineJob) -> Callable[[], None] | None:
        """What must have run, on any other thread, before a job is prepared; `None`: nothing."""
        if job.cancelled or job.call.operation != "chat":
            return None
        return partial(render, job, self._model.header, self._model.vocabulary.control)

    def prepare(self, job: EngineJob) -> list[Choice]:
        """The choices a job asks for. Raises what is wrong with it."""
        return choices_of(job, self._model)

    def add(self, choices: Iterable[Choice]) -> None:
        """Choices of a new job, to be started when there is room."""
        self.waiting.extend(choices)

    def step(self) -> None:
        """Compute one batch and hand out the tokens that come of it."""
        self._drop_cancelled()
        self._admit()
        self._encode_image()
        batched = self._fill()
        if not batched:
            self._wait_for_grammar()
            return
        begun = time.perf_counter()
        if not self._computed(self._model.decode, batched):
            return
        if self._drafts.on and all(choice.pending == 1 for choice in batched):
            self._model.wait()
            self._drafts.took(self._model.batch.size, time.perf_counter() - begun)
        self._advance(batched)

    def _computed(self, compute: Callable[[], int], choices: Sequence[Choice]) -> bool:
        """Whether llama.cpp computed what was to be computed for these choices; if not, whatever
        has to be done about it is done."""
        self._interrupt.begin([choice.job for choice in choices])
        try:
            result = compute()
        finally:
            self._interrupt.end()
        if result == NO_ROOM:
            self._make_room()
        elif result != DECODED:
            self._broken_off()
            if result != ABORTED:  # aborted: all of them are cancelled, and dropped next time
                for choice in choices:
                    choice.computed = 0  # nothing of it stays cached
                error = InternalServerError(f"llama_decode failed with code {result}.")
                self._fail(choices, error)
        return result == DECODED

    def _broken_off(self) -> None:
        """A decode did not come to its end. llama.cpp moves states of other sequences meanwhile,
        so none is known to be whole."""
        if not self._model.can_cut:
            self._sequences.restart_all(self.active)

    def settled(self) -> SequenceStore:
        """The sequences, with nothing left of calls that were broken off."""
        self._drop_cancelled()
        return self._sequences.store

    def fail_all(self, error: Exception) -> None:
        """End every job with an error."""
        self._fail([*self.active, *self.waiting], error)

    def _fail(self, choices: Iterable[Choice], error: Exception) -> None:
        for job in {id(choice.job): choice.job for choice in choices}.values():
            job.fail(error)
        self._drop_cancelled()

    def _drop_cancelled(self) -> None:
        for choice in [choice for choice in self.active if choice.job.cancelled]:
            self._retire(choice)
        if any(choice.job.cancelled for choice in self.waiting):
            gone = [choice for choice in self.waiting if choice.job.cancelled]
            self.waiting = deque(c for c in self.waiting if not c.job.cancelled)
            for choice in gone:
                choice.chain.free()

    def _retire(self, choice: Choice) -> None:
        """Let a choice go that is complete or not wanted."""
        self._full, self._drafts_fit = False, True
        self._sequences.detach(choice)
        self._stop(choice)
        choice.chain.free()

    def _stop(self, choice: Choice) -> None:
        self.active.remove(choice)
        choice.deactivate()

    # Starting

    def _admit(self) -> None:
        """Start waiting choices in their order, as long as sequences and cells are free."""
        if self._full and self.active:
            return
        compiling = [choice for choice in self.waiting if not choice.chain.ready()]
        for choice in compiling:  # everybody overtakes these
            self.waiting.remove(choice)
        passed: list[Choice] = []
        while self.waiting and len(self.active) + len(passed) < self._model.options.at_once:
            choice = self.waiting.popleft()
            if choice.waits_for_prefill:
                passed.append(choice)
                continue
            match = self._sequences.find(choice, self.active)
            choice.prefilled_by, choice.ready_at = match.prefilled_by, match.ready_at
            if match.prefilled_by:
                passed.append(choice)
            elif self.active and not self._sequences.has_cells(choice, match, self.active):
                passed.append(choice)
                break  # nobody overtakes it
            else:
                self._start(choice, match)
        self.waiting.extendleft(reversed([*compiling, *passed]))

    def _wait_for_grammar(self) -> None:
        """Nothing else is to be done: wait a little for the first grammar that is compiled."""
        compiled = (choice.chain for choice in self.waiting if not choice.chain.ready())
        if chain := next(compiled, None):
            chain.ready(_GRAMMAR_SECONDS)

    def _start(self, choice: Choice, match: PrefixMatch) -> None:
        self._sequences.begin(choice, match)
        self.active.append(choice)
        if choice.prompt.cached is None:
            choice.prompt.cached = match.length

    # One step

    def _fill(self) -> list[Choice]:
        """Put the next tokens into the batch: one for each answer with what is drafted to follow
        it, then those of prompts."""
        batch = self._model.batch
        batch.clear()
        decoding = [choice for choice in self.active if choice.pending == 1]
        prefilling = [choice for choice in self.active if choice.pending > 1 and choice.computable]
        room = min(self._model.batch_size - len(self.active), self._model.score_rows)
        drafts = self._drafts.plan(decoding, room) if self._drafts_fit else {}
        for choice in decoding:
            self._put(choice, 1, drafts.get(choice, ()))
        room = self._model.batch_size - batch.size
        if decoding:
            room = max(1, room // _PREFILL_SHARE)
        shares = within_rows(_shares(prefilling, room), self._model.score_rows)
        for choice, count in shares:
            self._put(choice, count)
        return [*decoding, *(choice for choice, _ in shares)]

    def _encode_image(self) -> None:
        """Compute an image, if one is next in a prompt; it goes alone, one in a step."""
        choice = next((choice for choice in self.active if choice.picture), None)
        if choice is None or choice.picture is None:
            return
        picture, place, sequence = choice.picture, choice.computed, choice.sequence
        try:
            read = self._computed(
                lambda: self._model.encode_image(picture, place, sequence), [choice]
            )
        except LLMRouteError as error:
            choice.job.fail(error)
            return
        if read:
            choice.computed += picture.positions
            self._sequences.make_checkpoints(choice)
        elif choice.sequence == sequence:  # part of the image may be there
            self._forget_after(choice, place)

    def _forget_after(self, choice: Choice, place: int) -> None:
        if self._model.can_cut:
            self._model.cut(choice.sequence, place)
        else:
            self._sequences.restart(choice)

    def _put(self, choice: Choice, count: int, drafted: Sequence[int] = ()) -> None:
        start = choice.computed
        count = min(count, choice.computable)
        complete, every = count == choice.pending, choice.prompt.logprobs_pending
        tokens = [*choice.tokens[start : start + count], *drafted]
        row = self._model.batch.add(
            tokens, start, choice.sequence, wanted=complete or every, every=every or bool(drafted)
        )
        choice.schedule(count, row, drafted)

    def _advance(self, batched: list[Choice]) -> None:
        for choice in batched:
            self._score_prompt(choice)
            choice.computed += choice.scheduled
            self._sequences.make_checkpoints(choice)
            if choice.row >= 0 and not choice.job.cancelled:
                try:
                    self._sample(choice)
                except LLMRouteError as error:  # a grammar's dead end: it ends this job only
                    choice.job.fail(error)

    def _score_prompt(self, choice: Choice) -> None:
        """Find how likely the tokens of a prompt are, where that is wanted."""
        logprobs, start, row = choice.prompt.logprobs, choice.computed, choice.first_row
        if logprobs is not None and not choice.job.cancelled:
            logprobs.take(start, choice.scheduled, lambda at: self._model.logits(row + at - start))

    def _sample(self, choice: Choice) -> None:
        """Choose the next token of an answer, and more as long as they were drafted so."""
        drafted, right = choice.drafted, 0
        choice.job.drafted += len(drafted)
        self._choose(choice)
        for token in drafted:
            if choice.sequence < 0 or choice.job.cancelled or choice.tokens[-1] != token:
                break
            right += 1
            choice.confirm()
            self._choose(choice)
        if choice.sequence >= 0 and right < len(drafted):
            self._model.cut(choice.sequence, choice.computed)
        if drafted:
            self._drafts.checked(choice, right, len(drafted) - right)
            choice.drafted = ()

    def _choose(self, choice: Choice) -> None:
        """Choose the next token of an answer and hand out its text."""
        if choice.begins and choice.prompt.logprobs is not None:
            told = choice.prompt.logprobs.found
            choice.job.emit(choice.answer.echo(choice.prompt.text, told))
            if choice.answer.finished:
                self._retire(choice)
                return
        if choice.begins:
            self._model.check_scores(choice.row)
        token = choice.chain.sample(self._model.context, choice.row)
        self._model.check_score(choice.row, token)
        choice.job.completion_tokens += 1
        event = choice.answer.accept(token, lambda: self._model.logits(choice.row))
        if event is not None:
            choice.job.emit(event)
        if choice.answer.finished:
            self._retire(choice)
        else:
            choice.tokens.append(token)

    def _make_room(self) -> None:
        """The cache is full: drafts go first; then what is only cached, the least recently used
        before the others; then the youngest answer gives its cells back until another has ended.

        Nothing of it is lost but time: it keeps its tokens and its sampler.
        """
        if any(choice.drafted for choice in self.active):
            self._drafts_fit = False
            return
        self._drafts_fit = True
        if self._sequences.evict_oldest():
            return
        youngest = self.active[-1]
        if len(self.active) == 1:
            self._fail([youngest], InternalServerError("The engine's cache is full."))
        else:
            self._sequences.release(youngest)
            self._stop(youngest)
            self.waiting.appendleft(youngest)
            self._full = True


def within_rows(shares: Iterable[tuple[Choice, int]], rows: int) -> list[tuple[Choice, int]]:
    """Prompts whose every token is scored take a row of logits for each: no more than `rows`."""
    bounded = []
    for choice, count in shares:
        if choice.prompt.logprobs_pending:
            count = min(count, rows)
            rows -= count
        if count:
            bounded.append((choice, count))
    return bounded


def _shares(prefilling: list[Choice], room: int) -> list[tuple[Choice, int]]:
    """How many tokens of each prompt to compute.

    The shortest first, so that first tokens come soon and a long prompt holds up nobody; but half
    of the room is the oldest's, so that short ones that keep coming don't hold it up forever.
    """
    shares = []
    reserved = min(prefilling[0].pending, -(-room // 2)) if prefilling else 0
    room -= reserved
    for choice in sorted(prefilling, key=lambda choice: choice.pending):
        own = reserved if choice is prefilling[0] else 0
        more = min(choice.pending - own, room)
        room -= more
        if own + more:
            shares.append((choice, own + more))
    return shares
