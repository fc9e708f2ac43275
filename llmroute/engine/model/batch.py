"""The tokens of one step, laid out as llama.cpp wants them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np


class Batch:
    """A `llama_batch` whose arrays are numpy's, so that filling it is a few slice assignments."""

    def __init__(self, lib: Any, capacity: int) -> None:
        self.size = 0
        self._tokens = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._counts = np.ones(capacity, np.int32)
        self._sequences = np.zeros(capacity, np.int32)
        self._wanted = np.zeros(capacity, np.int8)
        # Every token belongs to one sequence: pointer i points at number i of a flat array.
        base, step = self._sequences.ctypes.data, self._sequences.itemsize
        self._pointers = base + step * np.arange(capacity, dtype=np.uintp)
        self._native = lib.llama_batch(
            n_tokens=0,
            token=_pointer(self._tokens, ctypes.c_int32),
            pos=_pointer(self._positions, ctypes.c_int32),
            n_seq_id=_pointer(self._counts, ctypes.c_int32),
            seq_id=_pointer(self._pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self._wanted, ctypes.c_int8),
        )

    def clear(self) -> None:
        """Start the next step."""
        self.size = 0

    def add(
        self,
        tokens: Sequence[int],
        position: int,
        sequence: int,
        *,
        wanted: bool,
        every: bool = False,
    ) -> int:
        """Append tokens of one sequence; returns where its last one is.

        `wanted` asks for the outcome after the last of them, `every` after each.
        """
        start, end = self.size, self.size + len(tokens)
        self._tokens[start:end] = tokens
        self._positions[start:end] = range(position, position + len(tokens))
        self._sequences[start:end] = sequence
        self._wanted[start:end] = every
        self._wanted[end - 1] = wanted
        self.size = end
        return end - 1

    @property
    def native(self) -> Any:
        """The filled `llama_batch`."""
        self._native.n_tokens = self.size
        return self._native


def _pointer(array: Any, kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
