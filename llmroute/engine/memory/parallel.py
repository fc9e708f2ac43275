"""How many answers to generate at once: as many as the window and the memory have room for."""

from __future__ import annotations

from ..gguf.header import GGUFHeader
from ..options.load import FEWEST_AT_ONCE, LoadOptions
from . import machine
from .recurrent_states import state_bytes
from .window import cache_bytes

_MOST = 16
_CELLS = 256
"""Tokens of the window for each answer, at least."""
_SHARE = 32
"""The part of the free memory that more answers at once may take."""
_SEQUENCES = 3
"""For each answer: its own, and two that may be kept of one that ended."""
_SCORE_BYTES = 4


def choose_parallel(header: GGUFHeader, options: LoadOptions) -> int:
    """How many answers at once, where the caller does not say.

    llama.cpp shares the cache among them, so one alone has all of it. What each takes is little:
    the scores of one token, and the window or the state of layers that have one.
    """
    if options.n_parallel is not None:
        return options.n_parallel
    window = options.n_ctx or header.context_length or 0
    fitting = min(_MOST, window // _CELLS, options.n_batch)
    free = machine.free_memory()
    each = _SEQUENCES * _sequence_bytes(header, options)
    if free is not None and each:
        fitting = min(fitting, free // _SHARE // each)
    return max(fitting, min(FEWEST_AT_ONCE, options.n_batch))


def _sequence_bytes(header: GGUFHeader, options: LoadOptions) -> int:
    scores = (header.vocabulary_size or 0) * _SCORE_BYTES
    window = header.number("attention.sliding_window") or 0
    return scores + window * (cache_bytes(header, options) or 0) + state_bytes(header)
