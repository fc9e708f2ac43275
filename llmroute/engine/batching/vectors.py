"""Vectors of texts: many texts, of many calls, in one step.

Belongs to the engine's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...errors import (
    ContextWindowExceededError,
    InternalServerError,
    UnsupportedOperationError,
)
from ...providers.base import LocalVector
from ..interrupt import Interrupt
from ..job import EngineJob
from ..model.model import ABORTED, DECODED, Model
from ..options.pooling import RANK, pooling_of
from ..prompt.prompts import prompts_of

_STEP = 512
"""Tokens computed in one step, unless one text alone has more. More at once is not faster, as every
token is compared with all others, those of other texts too."""


@dataclass(eq=False, slots=True)
class VectorTask:
    """The texts of one call that have no vector yet."""

    job: EngineJob
    texts: deque[tuple[int, list[int]]]
    """Place in the result, and tokens."""


class _Row(NamedTuple):
    """A text in the running batch; its number there is its sequence."""

    job: EngineJob
    place: int
    """Of its vector in the result."""


def _tasks(job: EngineJob, model: Model) -> list[VectorTask]:
    """The work of one call.

    Raises `ContextWindowExceededError` if one of its texts is too long: a vector of its beginning
    would not be its vector.
    """
    _check_kind(job.call.operation, pooling_of(model.header, model.options))
    job.prompts = prompts_of(job.call, model.vocabulary, model.header)
    for index, prompt in enumerate(job.prompts):
        if len(prompt.tokens) > model.window:
            raise ContextWindowExceededError(
                f"Input {index} has {len(prompt.tokens):,} tokens and the context window "
                f"{model.window:,}. Shorten it, split it, or set a larger n_ctx in model_kwargs "
                f"(the model was trained with {model.header.context_length or 'unknown'}).",
                code="context_length_exceeded",
                param="input",
            )
    job.unfinished = len(job.prompts)
    return [VectorTask(job, deque(enumerate(prompt.tokens for prompt in job.prompts)))]


def _check_kind(operation: str, pooling: int) -> None:
    if operation not in ("embedding", "rerank"):
        raise UnsupportedOperationError(
            "A model loaded with embeddings=True only makes vectors. Leave that out of "
            "model_kwargs; embedding() sets it itself.",
            param="embeddings",
        )
    if (operation == "rerank") != (pooling == RANK):
        raise UnsupportedOperationError(
            "This model ranks documents and has no vectors: use rerank()."
            if pooling == RANK
            else "This model does not rank documents: its file has no pooling type 'rank'."
        )


class VectorScheduler:
    """Computes whole texts, as many in a step as fit, one of each call in turn."""

    def __init__(self, model: Model, interrupt: Interrupt) -> None:
        self._model = model
        self._interrupt = interrupt
        self.waiting: deque[VectorTask] = deque()
        self.active: list[_Row] = []
        """The texts that are being computed."""

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.waiting)

    def rendering(self, job: EngineJob) -> None:
        """Nothing is rendered for vectors."""

    def prepare(self, job: EngineJob) -> list[VectorTask]:
        """The work of one call. Raises what is wrong with it."""
        return _tasks(job, self._model)

    def add(self, tasks: Iterable[VectorTask]) -> None:
        """The texts of a new call."""
        self.waiting.extend(tasks)

    def step(self) -> None:
        """Compute one batch and hand out its vectors."""
        self.waiting = deque(task for task in self.waiting if not task.job.cancelled)
        self.active = self._fill()
        if not self.active:
            return
        self._interrupt.begin([row.job for row in self.active])
        try:
            result = self._model.decode()
        finally:
            self._interrupt.end()
        if result == DECODED:
            for sequence, row in enumerate(self.active):
                self._deliver(row, sequence)
        elif result != ABORTED:  # aborted: all of them are cancelled
            for row in self.active:
                row.job.fail(InternalServerError(f"llama_decode failed with code {result}."))
        self._model.forget_all()
        self.active = []

    def _fill(self) -> list[_Row]:
        batch, rows = self._model.batch, list[_Row]()
        room = min(_STEP, self._model.batch_size)
        batch.clear()
        while self.waiting and len(rows) < self._model.sequences:
            task = self.waiting[0]
            index, tokens = task.texts[0]
            if rows and batch.size + len(tokens) > room:
                break
            task.texts.popleft()
            batch.add(tokens, 0, len(rows), wanted=True, every=True)
            rows.append(_Row(task.job, index))
            self.waiting.rotate(-1)
            if not task.texts:
                self.waiting.pop()
        return rows

    def _deliver(self, row: _Row, sequence: int) -> None:
        vector = self._model.vector(sequence).astype(np.float64)
        if not np.isfinite(vector).all():
            row.job.fail(InternalServerError("The model's vector is not made of finite numbers."))
            return
        if row.job.call.operation == "embedding":
            vector = _normalised(vector)
        row.job.emit(LocalVector(row.place, vector.astype("<f4").tobytes()))

    def fail_all(self, error: Exception) -> None:
        """End every job with an error."""
        jobs = [row.job for row in self.active] + [task.job for task in self.waiting]
        for job in {id(job): job for job in jobs}.values():
            job.fail(error)
        self.waiting.clear()
        self.active = []


def _normalised(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The vector of the same direction and length 1; a vector of zeros stays what it is."""
    length = np.linalg.norm(vector)
    return vector / length if length else vector
