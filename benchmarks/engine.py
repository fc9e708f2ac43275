"""The engine beside llama-cpp-python behind a lock, llama.cpp's own server, and a bare decode loop.

    python benchmarks/engine.py MODEL.gguf [--tokens 64] [--rounds 3] [--threads N] [--server PATH]

Every contestant runs in a process of its own; they are measured in turns, so that other work on the
machine meets all alike. What counts are the ratios within a run. All requests of a round have a
system prompt in common, also with earlier rounds, and a question of their own. llama.cpp's server
takes part if `make llama-server` has built it, or if it is on the path.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine_peers import AT_ONCE, find_server
from engine_worker import SERVER, TALKS

from llmroute.engine.memory import machine

_WORKER = Path(__file__).with_name("engine_worker.py")


class Contestant:
    """The other end of a contestant's process."""

    def __init__(self, name: str, given: argparse.Namespace) -> None:
        command = [sys.executable, str(_WORKER), name, given.model, given.server or ""]
        self._name = name
        self._process = subprocess.Popen(
            [*command, str(given.tokens), str(given.threads)],
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
        raise RuntimeError(f"The process of {self._name} ended.")

    def end(self) -> None:
        """Let the process go."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def compare(contestants: dict[str, Contestant], rounds: int, levels: Iterable[int]) -> None:
    """Rounds of several requests at once. One that does not count comes first, so that all have
    read the common beginning as often as they want to."""
    names = [name for name in ("engine", "lock", SERVER) if name in contestants]
    for name in names:
        contestants[name]("round", max(AT_ONCE), 0)
    told = ("tokens/s", "engine / this", "first token, s", "slowest request, s", "CPU ms a token")
    print(row("at once", "", *told), row(*["---"] * 7), sep="\n")
    for at_once in levels:
        results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for number in range(rounds):
            for name in names:
                results[name].append(contestants[name]("round", at_once, 100 * at_once + number))
        for name in names:
            print(row(at_once, name, *figures(results[name], results["engine"])), flush=True)


def figures(results: list[dict[str, float]], engine: list[dict[str, float]]) -> list[str]:
    """The medians of a contestant's rounds, and of the ratios to the engine's in the same round."""
    pairs = zip(engine, results, strict=True)
    ratio = statistics.median(ours["rate"] / theirs["rate"] for ours, theirs in pairs)
    middle = {key: statistics.median(result[key] for result in results) for key in results[0]}
    rate, cpu = f"{middle['rate']:.1f}", f"{middle['cpu']:.1f}"
    return [rate, f"{ratio:.2f}", f"{middle['first']:.2f}", f"{middle['slowest']:.1f}", cpu]


def row(*cells: object) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def compare_turns(contestants: dict[str, Contestant], rounds: int) -> None:
    """Turn 2 of conversations in turns."""
    names = [name for name in contestants if name != "bare loop"]
    times = {name: [contestants[name]("turns", 0, n) for n in range(rounds)] for name in names}
    for name in names:
        print(f"turn 2 of {TALKS} conversations, first token: {name:20} {min(times[name]):6.3f} s")


def compare_pace(contestants: dict[str, Contestant], rounds: int) -> None:
    """One sequence beside the limit."""
    names = [name for name in ("engine", "bare loop", "lock", SERVER) if name in contestants]
    rates = [[contestants[name]("pace") for name in names] for _ in range(rounds)]
    best = [max(rate) for rate in zip(*rates, strict=True)]
    told = ", ".join(f"{name} {rate:.1f}" for name, rate in zip(names, best, strict=True))
    print(
        f"one sequence, tokens/s of the fastest rounds: {told}; engine / bare loop "
        f"{best[0] / best[1]:.3f}, median of the pairs "
        f"{statistics.median(rate[0] / rate[1] for rate in rates):.3f}",
        flush=True,
    )


def compare_grammars(contestants: dict[str, Contestant], rounds: int) -> None:
    """What it costs to be held to a grammar, one sequence at a time."""
    names = [name for name in ("engine", "lock", SERVER) if name in contestants]
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            asked = contestants[name]
            pairs[name].append((asked("people"), asked("free people")))
    for name in names:
        held, free = (max(rates) for rates in zip(*pairs[name], strict=True))
        share = statistics.median(held / free for held, free in pairs[name])
        print(
            f"structured output  {name:20}{held:7.1f} tokens/s, {free:.1f} without a grammar, "
            f"median of the pairs {share:.2f}",
            flush=True,
        )


def tell_python(engine: Contestant) -> None:
    """What Python takes of the engine's steps."""
    print(f"Python's share of the engine's steps: {engine('python'):.1%}")
    costs = engine("costs")
    early, late = (statistics.median(cost) for cost in zip(*costs, strict=True))
    ratios = sorted(late / early for early, late in costs)
    print(
        f"Python a token: {early:.0f} us after 250 tokens, {late:.0f} us after 4,000; ratio in "
        f"{len(ratios)} answers: median {statistics.median(ratios):.2f}, {ratios[0]:.2f} to "
        f"{ratios[-1]:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, nargs="+", default=AT_ONCE, help="at most 16")
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--server", default=find_server(), help="path of llama-server")
    given = parser.parse_args()
    names = ["engine", "engine without cache", "lock", "bare loop"]
    if given.server:
        names.append(SERVER)
    print(f"{SERVER}: {given.server or 'not there; `make llama-server` builds it'}")
    contestants = {name: Contestant(name, given) for name in names}
    compare_pace(contestants, 4 * given.rounds)
    compare(contestants, given.rounds, given.at_once)
    compare_grammars(contestants, given.rounds)
    compare_turns(contestants, max(1, given.rounds // 2))
    for name in names:
        print(f"peak memory: {name:20} {contestants[name]('memory'):6.0f} MB")
    tell_python(contestants["engine"])
    for contestant in contestants.values():
        contestant.end()


if __name__ == "__main__":
    main()
