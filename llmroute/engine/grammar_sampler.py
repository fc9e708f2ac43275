"""Choosing tokens that a grammar allows.

llama.cpp ends the process when a grammar is given a token that it does not allow, so every token is
checked before. Mostly the model's own choice is allowed, which costs nearly nothing to find out;
only where it is not, the whole vocabulary goes through the grammar, and the choice is made again.
llama.cpp's own programs do the same.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import BadRequestError
from . import native
from .vocabulary import Vocabulary

_ENTRY = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""`llama_token_data`."""


class GrammarSampler:
    """A grammar at some place in an answer. Belongs to the engine's thread; `free` it there.

    Raises `BadRequestError` for a grammar that llama.cpp does not take.
    """

    def __init__(
        self, lib: Any, vocabulary: Vocabulary, grammar: str, biases: Mapping[int, float]
    ) -> None:
        self._lib = lib
        self._size = vocabulary.size
        self._ids = np.arange(self._size, dtype=np.int32)
        self._banned = [token for token, bias in biases.items() if bias == -math.inf]
        with native.logged_errors() as errors:
            self._handle = lib.llama_sampler_init_grammar(
                vocabulary.handle, grammar.encode(), b"root"
            )
        if not self._handle:
            reasons = f": {' / '.join(errors)}" if errors else ""
            raise BadRequestError(
                f"llama.cpp does not take this grammar{reasons}.", param="grammar"
            )

    def sample(self, chain: Any, context: Any, row: int) -> int:
        """Choose a token with the samplers of `chain` that the grammar allows, and remember it.

        Raises `BadRequestError` if the vocabulary has none.
        """
        logits = self._lib.llama_get_logits_ith(context, row)
        scores = np.ctypeslib.as_array(logits, (self._size,))
        token = self._choose(chain, self._entries(scores))
        if not self._allows(token):
            entries = self._entries(scores)
            self._apply(self._handle, entries)
            if not self._any_left(entries):
                raise _dead_end()
            token = self._choose(chain, entries)
            if not self._allows(token):
                raise _dead_end()
        self._lib.llama_sampler_accept(chain, token)
        self._lib.llama_sampler_accept(self._handle, token)
        return token

    def free(self) -> None:
        """Give the native grammar back. Nothing may be sampled afterwards."""
        self._lib.llama_sampler_free(self._handle)
        self._handle = None

    def _entries(self, scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        entries = np.empty(self._size, _ENTRY)
        entries["id"], entries["logit"], entries["p"] = self._ids, scores, 0.0
        return entries

    def _apply(self, sampler: Any, entries: np.ndarray[Any, Any]) -> Any:
        pointer = entries.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        array = self._lib.llama_token_data_array(pointer, len(entries), -1, False)
        self._lib.llama_sampler_apply(sampler, ctypes.byref(array))
        return array

    def _choose(self, chain: Any, entries: np.ndarray[Any, Any]) -> int:
        array = self._apply(chain, entries)
        # Samplers may put the entries elsewhere.
        return int(array.data[array.selected].id) if array.selected >= 0 else -1

    def _allows(self, token: int) -> bool:
        if token < 0:
            return False
        entry = np.array([(token, 0.0, 0.0)], _ENTRY)
        self._apply(self._handle, entry)
        return bool(entry["logit"][0] > -math.inf)

    def _any_left(self, entries: np.ndarray[Any, Any]) -> bool:
        left = entries["logit"] > -math.inf
        left[self._banned] = False
        return bool(left.any())


def _dead_end() -> BadRequestError:
    return BadRequestError(
        "The grammar allows no token of this model's vocabulary (that logit_bias does not rule "
        "out) at some place of the answer.",
        param="grammar",
    )
