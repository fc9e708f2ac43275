"""llama.cpp's samplers for one answer, and the log probabilities beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from ...errors import BadRequestError
from ...providers.base import LocalLogprob
from ..vocabulary.vocabulary import Vocabulary
from .guided import GuidedSampler
from .sampling import Sampling

_MAX_SEED = 0xFFFFFFFF
"""llama.cpp takes this one as "choose for me", so it is never passed on."""
_REPEAT_WINDOW = 64
"""Tokens that `repeat_penalty` looks back at."""
_MIROSTAT_CANDIDATES = 100


class SamplerChain:
    """Chooses the tokens of one answer. Belongs to the engine's thread; `free` it there."""

    def __init__(
        self,
        lib: Any,
        vocabulary: Vocabulary,
        sampling: Sampling,
        *,
        seed: int,
        prompt: Sequence[int],
        window: int,
        matcher: Future[Any] | None = None,
    ) -> None:
        """`matcher` is the `llguidance.LLMatcher` that holds the answer to a grammar."""
        self._lib = lib
        biases = _biases(sampling, vocabulary)
        self._takes_likeliest = (
            sampling.temperature == 0 and not biases and not _penalizes(sampling)
        )
        self._size = vocabulary.size
        self._handle = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        seed %= _MAX_SEED
        for sampler in _samplers(lib, vocabulary, sampling, biases, seed, prompt, window):
            lib.llama_sampler_chain_add(self._handle, sampler)
        self._guided: GuidedSampler | None = None
        if matcher is not None:
            self._guided = GuidedSampler(
                lib,
                self._handle,
                vocabulary.size,
                matcher,
                choose=self._choose,
                banned=[token for token, bias in biases.items() if bias == -math.inf],
                remembers=_penalizes(sampling),
            )

    def ready(self, seconds: float = 0.0) -> bool:
        """Whether tokens can be chosen: not while a grammar is compiled. Waits up to `seconds`."""
        return self._guided is None or self._guided.ready(seconds)

    def sample(self, context: Any, row: int) -> int:
        """Choose a token from the distribution at a place of the last batch, and remember it."""
        if self._guided is not None:
            return self._guided.sample(context, row)
        return self._choose(context, row)

    def _choose(self, context: Any, row: int) -> int:
        """Choose among all tokens."""
        if self._takes_likeliest:  # as llama.cpp's own sampler, which first copies all scores
            logits = self._lib.llama_get_logits_ith(context, row)
            return int(np.ctypeslib.as_array(logits, (self._size,)).argmax())
        return int(self._lib.llama_sampler_sample(self._handle, context, row))

    def free(self) -> None:
        """Give the native samplers back. Nothing may be sampled afterwards."""
        self._lib.llama_sampler_free(self._handle)
        self._handle = self._guided = None


def _penalizes(sampling: Sampling) -> bool:
    other = sampling.frequency_penalty or sampling.presence_penalty
    return bool(other) or sampling.repeat_penalty != 1.0


def _biases(sampling: Sampling, vocabulary: Vocabulary) -> dict[int, float]:
    outside = [token for token in sampling.logit_bias if not 0 <= token < vocabulary.size]
    if outside:
        raise BadRequestError(
            f"llamacpp: logit_bias names token {outside[0]}; the vocabulary has tokens 0 to "
            f"{vocabulary.size - 1}.",
            param="logit_bias",
        )
    banned = dict.fromkeys(vocabulary.ends, -math.inf) if sampling.ignore_eos else {}
    return {**sampling.logit_bias, **banned}


def _samplers(
    lib: Any,
    vocabulary: Vocabulary,
    sampling: Sampling,
    biases: dict[int, float],
    seed: int,
    prompt: Sequence[int],
    window: int,
) -> Iterable[Any]:
    """The samplers in the order of llama.cpp's own programs."""
    size = vocabulary.size
    if biases:
        entries = (lib.llama_logit_bias * len(biases))(*biases.items())
        yield lib.llama_sampler_init_logit_bias(size, len(biases), entries)
    if sampling.repeat_penalty != 1.0:
        repeat = lib.llama_sampler_init_penalties(
            size, _REPEAT_WINDOW, sampling.repeat_penalty, 0.0, 0.0
        )
        for token in prompt[-_REPEAT_WINDOW:]:
            lib.llama_sampler_accept(repeat, token)
        yield repeat
    if sampling.frequency_penalty or sampling.presence_penalty:
        yield lib.llama_sampler_init_penalties(
            size, window, 1.0, sampling.frequency_penalty, sampling.presence_penalty
        )
    if sampling.temperature == 0:
        yield lib.llama_sampler_init_greedy()
    elif sampling.mirostat:
        yield lib.llama_sampler_init_temp(sampling.temperature)
        yield _mirostat(lib, size, sampling, seed)
    else:
        yield lib.llama_sampler_init_top_k(sampling.top_k)
        yield lib.llama_sampler_init_typical(sampling.typical_p, 1)
        yield lib.llama_sampler_init_top_p(sampling.top_p, 1)
        yield lib.llama_sampler_init_min_p(sampling.min_p, 1)
        yield lib.llama_sampler_init_temp(sampling.temperature)
        yield lib.llama_sampler_init_dist(seed)


def _mirostat(lib: Any, size: int, sampling: Sampling, seed: int) -> Any:
    tau, eta = sampling.mirostat_tau, sampling.mirostat_eta
    if sampling.mirostat == 1:
        return lib.llama_sampler_init_mirostat(size, seed, tau, eta, _MIROSTAT_CANDIDATES)
    return lib.llama_sampler_init_mirostat_v2(seed, tau, eta)


def logprob_of(
    vocabulary: Vocabulary, logits: np.ndarray[Any, Any], token: int, top: int
) -> LocalLogprob:
    """What the model itself thought of `token`, before any sampling parameter."""
    total = _log_sum(logits)
    likeliest: list[int] = []
    if top:
        among = np.argpartition(logits, -top)[-top:]
        likeliest = among[np.argsort(-logits[among], kind="stable")].tolist()
    raw = vocabulary.bytes_of(token)
    return LocalLogprob(
        token=raw.decode("utf-8", "replace"),
        raw=raw,
        logprob=float(logits[token]) - total,
        top=[_candidate(vocabulary, logits, other, total) for other in likeliest],
    )


def log_probability(logits: np.ndarray[Any, Any], token: int) -> float:
    """The log probability the model itself gave `token`, before any sampling parameter."""
    return float(logits[token]) - _log_sum(logits)


def _log_sum(logits: np.ndarray[Any, Any]) -> float:
    """What makes logits log probabilities when it is taken off them."""
    highest = float(logits.max())
    return highest + math.log(float(np.exp(logits - highest).sum(dtype=np.float64)))


def _candidate(
    vocabulary: Vocabulary, logits: np.ndarray[Any, Any], token: int, total: float
) -> tuple[str, bytes, float]:
    raw = vocabulary.bytes_of(token)
    return raw.decode("utf-8", "replace"), raw, float(logits[token]) - total
