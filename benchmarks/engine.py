"""The engine beside llama-cpp-python behind a lock, llama.cpp's own server, and a bare decode loop.

    python benchmarks/engine.py MODEL.gguf [--tokens 64] [--rounds 3] [--threads N]

Every contestant runs in a process of its own; they are measured in turns, so that other work on the
machine meets all alike. What counts are the ratios within a run. All requests of a round have a
system prompt in common, also with earlier rounds, and a question of their own. llama.cpp's server
takes part through the package xllamacpp if that is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from llmroute.engine import machine, native
from llmroute.engine.batch import Batch
from llmroute.engine.chain import SamplerChain
from llmroute.engine.model import Model
from llmroute.engine.scheduler import Scheduler
from llmroute.providers.base import LocalCall, LocalToken
from llmroute.testing.tiny_gguf import write_scripted
from llmroute.transport.local import open_local
from llmroute.types.request import Timeout

_SYSTEM = "The following is a list of short stories, each told in a few plain sentences. " * 11
_HISTORY = "And then they went on to the next village, where nobody knew their names. " * 50
_AT_ONCE = (1, 2, 4, 8, 16)
_N_CTX = 8192
_TALKS = 4
_BARE_TOKENS = 48

Ask = Callable[[str, int], Iterator[object]]
"""From a prompt and a number of tokens to something that yields about once a token."""


# Contestants, each in its own process


def ask_engine(model: str, threads: int, **load: Any) -> Ask:
    """This project's engine."""
    options = {"n_ctx": _N_CTX, "n_parallel": max(_AT_ONCE), "n_threads": threads} | load

    def ask(prompt: str, tokens: int) -> Iterator[object]:
        params = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        stream = open_local(LocalCall(model, "text", prompt, params, options), Timeout())
        return (event for event in stream if isinstance(event, LocalToken))

    return ask


def ask_without_cache(model: str, threads: int) -> Ask:
    """The same, computing every prompt anew."""
    return ask_engine(model, threads, prefix_cache=False)


def ask_lock(model: str, threads: int) -> Ask:
    """llama-cpp-python's own class, which takes one request at a time."""
    from llama_cpp import Llama

    llama = Llama(model, n_ctx=_N_CTX, n_threads=threads, n_threads_batch=threads, verbose=False)
    lock = threading.Lock()

    def ask(prompt: str, tokens: int) -> Iterator[object]:
        with lock:
            yield from llama.create_completion(
                prompt, max_tokens=tokens, temperature=0, stream=True, logit_bias={1: -1000}
            )

    return ask


def ask_server(model: str, threads: int) -> Ask:
    """llama.cpp's server, in process, as the package xllamacpp has it."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx, params.n_parallel, params.kv_unified = _N_CTX, max(_AT_ONCE), True
    params.cache_idle_slots = False  # it would put the common beginning aside after each call
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)

    def ask(prompt: str, tokens: int) -> Iterator[object]:
        wanted = {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True}
        times: list[float] = []
        server.handle_completions(
            wanted | {"ignore_eos": True}, lambda _: bool(times.append(time.perf_counter()))
        )
        return iter(times)

    return ask


def ask_bare(model: str, threads: int) -> Ask:
    """`llama_decode` and a greedy sampler with nothing around them: the limit for one sequence."""
    lib = native.library()
    weights = lib.llama_model_load_from_file(model.encode(), lib.llama_model_default_params())
    settings = lib.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = _N_CTX, 512, 512
    settings.n_threads = settings.n_threads_batch = threads
    settings.no_perf = True
    context = lib.llama_init_from_model(weights, settings)
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
    batch = Batch(lib, 512)

    def ask(prompt: str, tokens: int) -> Iterator[object]:
        token = 2
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        for position in range(tokens):
            batch.clear()
            row = batch.add([token], position, 0, wanted=True)
            assert lib.llama_decode(context, batch.native) == 0
            token = lib.llama_sampler_sample(chain, context, row)
            yield token

    return ask


_CONTESTANTS: dict[str, Callable[[str, int], Ask]] = {
    "engine": ask_engine,
    "engine without cache": ask_without_cache,
    "lock": ask_lock,
    "llama.cpp's server": ask_server,
    "bare loop": ask_bare,
}


# What a contestant's process measures


class Clock:
    """How long the engine's steps take, and how much of that is llama.cpp."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []
        self._native = 0.0
        Model.decode = self._counted(Model.decode)  # type: ignore[method-assign]
        SamplerChain.sample = self._counted(SamplerChain.sample)  # type: ignore[method-assign]
        step = Scheduler.step

        def timed(scheduler: Scheduler) -> None:
            self._native, start = 0.0, time.perf_counter()
            step(scheduler)
            self.steps.append((time.perf_counter() - start, self._native))

        Scheduler.step = timed  # type: ignore[method-assign]

    def _counted(self, method: Any) -> Any:
        def counted(*args: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*args)
            finally:
                self._native += time.perf_counter() - start

        return counted

    def python(self) -> float:
        """Python's share of the steps so far."""
        return 1 - sum(native for _, native in self.steps) / sum(total for total, _ in self.steps)


def one_round(ask: Ask, at_once: int, tokens: int, number: int) -> dict[str, Any]:
    """Send requests together; when their first and last tokens came."""
    barrier = threading.Barrier(at_once + 1)

    def send(own: int) -> list[float]:
        barrier.wait()
        prompt = f"{_SYSTEM}\nStory {number}.{own}: Once upon a time"
        times = [
            item if isinstance(item, float) else time.perf_counter() for item in ask(prompt, tokens)
        ]
        return [times[0] - start, times[-1] - start]

    with ThreadPoolExecutor(at_once) as threads:
        sent = [threads.submit(send, own) for own in range(at_once)]
        start = time.perf_counter()
        barrier.wait()
        times = [future.result() for future in sent]
    seconds = time.perf_counter() - start
    return {
        "rate": at_once * tokens / seconds,
        "first": statistics.median(first for first, _ in times),
        "slowest": max(last for _, last in times),
    }


def pace(ask: Ask) -> float:
    """Tokens per second after the first one."""
    times = [time.perf_counter() for _ in ask("Once", _BARE_TOKENS)]
    return (len(times) - 1) / (times[-1] - times[0])


def second_turns(ask: Ask, number: int) -> float:
    """Median time to the first token of turn 2 of conversations that take turns."""
    talks = [f"Talk {number}.{own}. {_HISTORY}" for own in range(_TALKS)]
    answered = [talk + "".join(map(text_of, ask(talk, 20))) for talk in talks]
    times = []
    for talk in answered:
        start = time.perf_counter()
        next(iter(ask(f"{talk} What next?", 4)))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def text_of(said: object) -> str:
    """The text in what a contestant yields, if it yields any."""
    if isinstance(said, LocalToken):
        return said.text
    return str(said["choices"][0]["text"]) if isinstance(said, dict) else ""


def python_costs(clock: Clock) -> tuple[float, float]:
    """Microseconds of Python a token, after 250 tokens and after 4,000."""
    with tempfile.TemporaryDirectory() as folder:
        model = str(write_scripted(Path(folder) / "endless.gguf", "on and on ", loop=True))
        clock.steps.clear()
        list(ask_engine(model, 1)("Once", 4100))
    own = [(total - inside) * 1e6 for total, inside in clock.steps]
    return statistics.median(own[150:350]), statistics.median(own[3900:4100])


def serve(name: str, model: str, tokens: int, threads: int) -> None:
    """A contestant's process: a command a line, an answer a line."""
    clock = Clock() if name == "engine" else None
    ask = _CONTESTANTS[name](model, threads)
    list(ask("Once", 2))
    commands: dict[str, Callable[[int, int], Any]] = {
        "round": lambda at_once, number: one_round(ask, at_once, tokens, number),
        "pace": lambda *_: pace(ask),
        "turns": lambda _, number: second_turns(ask, number),
        "memory": lambda *_: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "python": lambda *_: clock and clock.python(),
        "costs": lambda *_: clock and python_costs(clock),
    }
    for line in sys.stdin:
        command, *numbers = json.loads(line)
        print("=", json.dumps(commands[command](*numbers)), flush=True)


class Contestant:
    """The other end of such a process."""

    def __init__(self, name: str, given: argparse.Namespace) -> None:
        command = [sys.executable, __file__, given.model, "--serve", name]
        command += ["--tokens", str(given.tokens), "--threads", str(given.threads)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, command: str, *numbers: int) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([command, *(numbers or (0, 0))]) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("="):
                return json.loads(line[1:])
        raise RuntimeError("A contestant's process ended.")

    def end(self) -> None:
        """Let the process go."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


# The comparison


def compare(contestants: dict[str, Contestant], rounds: int) -> None:
    """Rounds of several requests at once."""
    names = [name for name in ("engine", "lock", "llama.cpp's server") if name in contestants]
    for at_once in _AT_ONCE:
        results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for number in range(rounds):
            for name in names:
                results[name].append(contestants[name]("round", at_once, 100 * at_once + number))
        for name in names:
            print(
                f"{at_once:2} at once  {name:20}{_told(results[name], results['engine'])}",
                flush=True,
            )


def _told(results: list[dict[str, float]], engine: list[dict[str, float]]) -> str:
    ratio = statistics.median(e["rate"] / r["rate"] for e, r in zip(engine, results, strict=True))
    sooner = statistics.median(
        r["first"] / e["first"] for e, r in zip(engine, results, strict=True)
    )
    figures = {key: statistics.median(result[key] for result in results) for key in results[0]}
    return (
        f"{figures['rate']:7.1f} tokens/s  first token {figures['first']:6.3f} s  slowest "
        f"{figures['slowest']:6.2f} s   engine: {ratio:.2f} x the rate, 1/{sooner:.1f} the wait"
    )


def compare_turns(contestants: dict[str, Contestant], rounds: int) -> None:
    """Turn 2 of conversations in turns."""
    names = [name for name in contestants if name != "bare loop"]
    times = {name: [contestants[name]("turns", 0, n) for n in range(rounds)] for name in names}
    for name in names:
        print(f"turn 2 of {_TALKS} conversations, first token: {name:20} {min(times[name]):6.3f} s")


def compare_pace(contestants: dict[str, Contestant], rounds: int) -> None:
    """One sequence beside the limit."""
    names = ("engine", "bare loop", "lock")
    rates = [[contestants[name]("pace") for name in names] for _ in range(rounds)]
    best = [max(rate) for rate in zip(*rates, strict=True)]
    told = ", ".join(f"{name} {rate:.1f}" for name, rate in zip(names, best, strict=True))
    print(
        f"one sequence, tokens/s of the fastest rounds: {told}; engine / bare loop "
        f"{best[0] / best[1]:.3f}, median of the pairs "
        f"{statistics.median(rate[0] / rate[1] for rate in rates):.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.model, given.tokens, given.threads)
        return
    names = list(_CONTESTANTS)
    if importlib.util.find_spec("xllamacpp") is None:
        names.remove("llama.cpp's server")
        print("llama.cpp's server: not installed (pip install xllamacpp)")
    contestants = {name: Contestant(name, given) for name in names}
    compare_pace(contestants, 4 * given.rounds)
    compare(contestants, given.rounds)
    print(f"Python's share of the engine's steps: {contestants['engine']('python'):.1%}")
    compare_turns(contestants, max(1, given.rounds // 2))
    for name in names:
        print(f"peak memory: {name:20} {contestants[name]('memory'):6.0f} MB")
    early, late = contestants["engine"]("costs")
    print(
        f"Python a token: {early:.0f} us after 250 tokens, {late:.0f} us after 4,000, "
        f"ratio {late / early:.2f}"
    )
    for contestant in contestants.values():
        contestant.end()


if __name__ == "__main__":
    main()
