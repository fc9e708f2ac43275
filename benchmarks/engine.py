"""The engine beside llama-cpp-python behind a lock, and beside a bare decode loop.

    python benchmarks/engine.py MODEL.gguf [--tokens 64] [--rounds 3] [--threads N]

All in one process, one after the other, on an otherwise idle machine: absolute figures depend on
it, the ratios are what counts. Prints one line per measurement, in tokens per second, time to the
first token (median and longest) and the slowest request.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from llmroute.engine import machine, native
from llmroute.engine.batch import Batch
from llmroute.providers.base import LocalCall, LocalToken
from llmroute.transport.local import open_local, unload, warm_up
from llmroute.types.request import Timeout

_SHARED = "The following is a list of short stories, each told in a few plain sentences. " * 12
_N_CTX = 4096
_PACE_TOKENS = 48


@dataclass
class Request:
    """When one request's tokens came, in seconds from the start of its round."""

    first: float
    last: float
    tokens: int


Ask = Callable[[str], Iterator[object]]
"""From a prompt to something that yields once a token."""


def one_round(ask: Ask, at_once: int) -> tuple[float, list[Request]]:
    """Send requests together; how long all took, and each of them."""
    barrier = threading.Barrier(at_once + 1)

    def send(number: int) -> Request:
        barrier.wait()
        times = [time.perf_counter() for _ in ask(f"{_SHARED}\nStory {number}: Once upon a time")]
        return Request(times[0] - start, times[-1] - start, len(times))

    with ThreadPoolExecutor(at_once) as threads:
        sent = [threads.submit(send, number) for number in range(at_once)]
        start = time.perf_counter()
        barrier.wait()
        requests = [future.result() for future in sent]
    return time.perf_counter() - start, requests


def report(name: str, ask: Ask, at_once: int, rounds: int) -> float:
    """Measure and print; the median tokens per second."""
    results = [one_round(ask, at_once) for _ in range(rounds)]
    rates = [sum(r.tokens for r in requests) / seconds for seconds, requests in results]
    firsts = [r.first for _, requests in results for r in requests]
    slowest = max(r.last for _, requests in results for r in requests)
    print(
        f"{name:32} {at_once:2} at once  {statistics.median(rates):7.1f} tokens/s"
        f"  first token {statistics.median(firsts):6.2f} s (longest {max(firsts):.2f})"
        f"  slowest request {slowest:6.2f} s"
    )
    return statistics.median(rates)


def engine(model: str, tokens: int, at_once: int, n_threads: int) -> Ask:
    """This project's engine."""
    load = {"n_ctx": _N_CTX, "n_parallel": at_once, "n_threads": n_threads}
    warm_up(model, **load)
    params = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}

    def ask(prompt: str) -> Iterator[object]:
        stream = open_local(LocalCall(model, "text", prompt, params, load), Timeout())
        return (event for event in stream if isinstance(event, LocalToken))

    return ask


def locked(model: str, tokens: int, n_threads: int) -> Ask:
    """llama-cpp-python's own class, which takes one request at a time."""
    from llama_cpp import Llama

    llama = Llama(
        model, n_ctx=_N_CTX, n_threads=n_threads, n_threads_batch=n_threads, verbose=False
    )
    lock = threading.Lock()

    def ask(prompt: str) -> Iterator[object]:
        with lock:
            # No cache of an earlier prompt, as the engine keeps none either.
            llama.reset()
            yield from llama.create_completion(
                prompt, max_tokens=tokens, temperature=0, stream=True
            )

    return ask


class BareLoop:
    """`llama_decode` and a greedy sampler with nothing around them: the limit for one sequence."""

    def __init__(self, model: str, threads: int) -> None:
        self._lib = lib = native.library()
        weights = lib.llama_model_load_from_file(model.encode(), lib.llama_model_default_params())
        settings = lib.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch = _N_CTX, 512, 512
        settings.n_threads = settings.n_threads_batch = threads
        settings.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings.no_perf = True
        self._context = lib.llama_init_from_model(weights, settings)
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        lib.llama_sampler_chain_add(self._chain, lib.llama_sampler_init_greedy())
        self._batch = Batch(lib, 512)

    def __call__(self, prompt: str) -> Iterator[object]:
        lib, token = self._lib, 2
        lib.llama_memory_clear(lib.llama_get_memory(self._context), True)
        for position in range(_PACE_TOKENS):
            self._batch.clear()
            row = self._batch.add([token], position, 0, wanted=True)
            assert lib.llama_decode(self._context, self._batch.native) == 0
            token = lib.llama_sampler_sample(self._chain, self._context, row)
            yield token


def pace(ask: Ask) -> float:
    """Seconds a token takes after the first one."""
    times = [time.perf_counter() for _ in ask("Once")]
    return (times[-1] - times[0]) / (len(times) - 1)


def compare_pace(model: str, threads: int, rounds: int) -> None:
    """One sequence in the engine beside the bare loop, in turns, so that noise meets both."""
    ours = engine(model, _PACE_TOKENS, 1, n_threads=threads)
    bare = BareLoop(model, threads)
    pairs = [(pace(ours), pace(bare)) for _ in range(rounds)]
    fastest = [min(times) for times in zip(*pairs, strict=True)]
    print(
        f"generation, one sequence, {threads} threads: engine {1 / fastest[0]:.1f} tokens/s, "
        f"bare loop {1 / fastest[1]:.1f}, ratio of the fastest rounds "
        f"{fastest[1] / fastest[0]:.3f}, median of the pairs' ratios "
        f"{statistics.median(b / o for o, b in pairs):.3f}"
    )
    unload()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=machine.cores())
    given: Any = parser.parse_args()

    compare_pace(given.model, given.threads, 5 * given.rounds)
    rates = {}
    for at_once in (1, 8):
        rates[at_once] = report(
            "engine",
            engine(given.model, given.tokens, at_once, given.threads),
            at_once,
            given.rounds,
        )
        unload()
    ask = locked(given.model, given.tokens, given.threads)
    for at_once in (1, 8):
        theirs = report("llama-cpp-python behind a lock", ask, at_once, given.rounds)
        print(f"  engine / lock: {rates[at_once] / theirs:.2f}")


if __name__ == "__main__":
    main()
