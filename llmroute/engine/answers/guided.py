"""Choosing tokens that a grammar allows.

A token is chosen freely first and the grammar asked about that one, which takes a microsecond; only
if it says no, the choice is made again among those it allows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import Any, TypeAlias

import numpy as np

from ...errors import BadRequestError
from ..grammar.compiling import problem_of

_ENTRY = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""`llama_token_data`."""

Scores: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"
Ids: TypeAlias = "np.ndarray[Any, np.dtype[np.signedinteger[Any]]]"


class GuidedSampler:
    """A grammar at some place in an answer, with the samplers that choose."""

    def __init__(
        self,
        lib: Any,
        chain: Any,
        size: int,
        matcher: Future[Any],
        *,
        choose: Callable[[Any, int], int],
        banned: Iterable[int] = (),
        remembers: bool,
    ) -> None:
        """`chain` are llama.cpp's samplers, `matcher` is an `llguidance.LLMatcher` to copy.

        `choose` has the samplers choose among all tokens; they never choose those that are
        `banned`. `remembers`: they look at the tokens chosen before, so they may be told only of
        those that are allowed.
        """
        self._lib = lib
        self._chain = chain
        self._size = size
        self._compiled = matcher
        self._choose_freely = choose
        self._banned = np.array(sorted(banned), np.int64)
        self._remembers = remembers
        self._matcher: Any = None

    def ready(self, seconds: float = 0.0) -> bool:
        """Whether the grammar is compiled, or could not be; waits up to `seconds` for it."""
        if seconds:
            wait([self._compiled], seconds)
        return self._compiled.done()

    def sample(self, context: Any, row: int) -> int:
        """Choose a token that the grammar allows, and remember it.

        Raises `BadRequestError` if there is none, or if the grammar has become too complex.
        """
        matcher = self._started()
        scores = self._lib.llama_get_logits_ith(context, row)
        if self._remembers:
            logits = np.ctypeslib.as_array(scores, (self._size,))
            token = self._choose_among(np.arange(self._size, dtype=np.int32), logits)
        else:
            token = self._choose_freely(context, row)
        if not matcher.validate_tokens([token]):
            allowed = self._allowed()
            token = self._choose_among(
                allowed, np.ctypeslib.as_array(scores, (self._size,))[allowed]
            )
        if self._remembers:
            self._lib.llama_sampler_accept(self._chain, token)
        if not matcher.consume_token(token):
            raise _stuck(matcher)
        return token

    def _started(self) -> Any:
        if self._matcher is None:
            self._matcher = self._compiled.result().deep_copy()
        return self._matcher

    def _allowed(self) -> Ids:
        """The tokens that may come next."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise _stuck(self._matcher)
        bits = np.unpackbits(mask, bitorder="little")[: self._size]
        bits[self._banned] = 0
        allowed = np.flatnonzero(bits)
        if not len(allowed):
            raise _dead_end()
        return allowed

    def _choose_among(self, ids: Ids, scores: Scores) -> int:
        entries = np.empty(len(ids), _ENTRY)
        entries["id"], entries["logit"], entries["p"] = ids, scores, 0.0
        pointer = entries.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        array = self._lib.llama_token_data_array(pointer, len(entries), -1, False)
        self._lib.llama_sampler_apply(self._chain, ctypes.byref(array))
        # Samplers may put the entries elsewhere; if not, they are gone with `entries`.
        return int(array.data[array.selected].id)


def _dead_end() -> BadRequestError:
    return BadRequestError(
        "The grammar allows no token of this model's vocabulary (that logit_bias does not rule "
        "out) at some place of the answer.",
        param="grammar",
    )


def _stuck(matcher: Any) -> BadRequestError:
    problem = problem_of(matcher)
    if "NoExtension" in problem:
        return _dead_end()
    return BadRequestError(
        f"The grammar or schema became too complex at some place of the answer: {problem}. Make it "
        "simpler there: fewer alternatives, shorter repetitions.",
        param="grammar",
    )
