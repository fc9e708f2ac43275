"""Choosing tokens that a grammar allows.

llama.cpp ends the process when a grammar is given a token that it does not allow, so every token is
checked before. Mostly the model's own choice is allowed, which costs nearly nothing to find out;
only where it is not, the choice is made again among those that are. llama.cpp's own programs do the
same, but send the whole vocabulary through the grammar then.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from ...errors import BadRequestError
from .. import native
from ..vocabulary.first_bytes import Answers, Ids
from ..vocabulary.vocabulary import Vocabulary

_ENTRY = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""`llama_token_data`."""
_ASKED_FIRST = 256
"""How many of the likeliest tokens the grammar is asked about before all."""

Scores: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"


class GrammarSampler:
    """A grammar at some place in an answer. Belongs to the engine's thread; `free` it there.

    Raises `BadRequestError` for a grammar that llama.cpp does not take.
    """

    def __init__(
        self,
        lib: Any,
        vocabulary: Vocabulary,
        grammar: str,
        *,
        banned: Iterable[int] = (),
        enough: int | None = None,
    ) -> None:
        """`grammar` was made by `grammar.gbnf`; the samplers never choose tokens that are `banned`.

        `enough`: of how many of the likeliest allowed tokens they choose one; `None` means all.
        """
        self._lib = lib
        self._vocabulary = vocabulary
        self._enough = enough
        self._open = np.ones(vocabulary.size, np.bool_)
        self._open[list(banned)] = False
        with native.logged_errors() as errors:
            self._handle = lib.llama_sampler_init_grammar(
                vocabulary.handle, grammar.encode(), b"root"
            )
        if not self._handle:
            reasons = f": {' / '.join(errors)}" if errors else ""
            raise BadRequestError(
                f"llama.cpp does not take this grammar{reasons}.", param="grammar"
            )

    def sample(self, chain: Any, scores: Scores) -> int:
        """Choose a token that the grammar allows with the samplers of `chain`, and remember it.

        `scores` are the logits of all tokens. Raises `BadRequestError` if the vocabulary has none.
        """
        token = self._choose(chain, scores)
        if not self._allows(token):
            token = self._choose(chain, self._only_allowed(scores))
            if not self._allows(token):
                raise _dead_end()
        self._lib.llama_sampler_accept(chain, token)
        self._lib.llama_sampler_accept(self._handle, token)
        return token

    def free(self) -> None:
        """Give the native grammar back. Nothing may be sampled afterwards."""
        self._lib.llama_sampler_free(self._handle)
        self._handle = None

    def allowed(self, scores: Scores) -> Ids:
        """The tokens that may come next: all, or `enough` of the likeliest and perhaps others."""
        ids = self._vocabulary.first_bytes.candidates(self._among)
        ids = ids[self._open[ids]]
        if self._enough is not None and len(ids) > _ASKED_FIRST:
            likely = _likeliest(ids, scores)
            allowed = likely[self._among(likely)]
            if len(allowed) >= self._enough:
                return allowed
        return ids[self._among(ids)]

    def _only_allowed(self, scores: Scores) -> Scores:
        allowed = self.allowed(scores)
        if not len(allowed):
            raise _dead_end()
        left = np.full_like(scores, -math.inf)
        left[allowed] = scores[allowed]
        return left

    def _choose(self, chain: Any, scores: Scores) -> int:
        entries = _entries(np.arange(len(scores), dtype=np.int32), scores)
        array = self._apply(chain, entries)
        # Samplers may put the entries elsewhere; if not, they are gone with `entries`.
        return int(array.data[array.selected].id) if array.selected >= 0 else -1

    def _allows(self, token: int) -> bool:
        return token >= 0 and bool(self._among(np.array([token]))[0])

    def _among(self, ids: Ids) -> Answers:
        """Which of some tokens the grammar allows."""
        entries = _entries(ids, 0.0)
        self._apply(self._handle, entries)
        allowed: Answers = entries["logit"] > -math.inf
        return allowed

    def _apply(self, sampler: Any, entries: np.ndarray[Any, Any]) -> Any:
        pointer = entries.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        array = self._lib.llama_token_data_array(pointer, len(entries), -1, False)
        self._lib.llama_sampler_apply(sampler, ctypes.byref(array))
        return array


def _entries(ids: Ids, scores: Scores | float) -> np.ndarray[Any, Any]:
    entries = np.empty(len(ids), _ENTRY)
    entries["id"], entries["logit"], entries["p"] = ids, scores, 0.0
    return entries


def _likeliest(ids: Ids, scores: Scores) -> Ids:
    """The likeliest of `ids`, in their order, with all that are as likely as the last of them."""
    among = scores[ids]
    likeliest: Ids = ids[among >= np.partition(among, -_ASKED_FIRST)[-_ASKED_FIRST]]
    return likeliest


def _dead_end() -> BadRequestError:
    return BadRequestError(
        "The grammar allows no token of this model's vocabulary (that logit_bias does not rule "
        "out) at some place of the answer.",
        param="grammar",
    )
