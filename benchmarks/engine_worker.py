"""The process of one contestant of `engine.py`: `python engine_worker.py NAME MODEL ...`.

Takes a command a line and answers each with a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine_peers import Ask, Server, ask_bare, ask_engine, ask_lock, ask_without_cache, text_of

from llmroute.engine.answers.chain import SamplerChain
from llmroute.engine.batching.scheduler import Scheduler
from llmroute.engine.model.model import Model
from llmroute.testing.tiny_gguf import write_scripted

SERVER = "llama.cpp's server"
TALKS = 4
_SYSTEM = "The following is a list of short stories, each told in a few plain sentences. " * 11
_HISTORY = "And then they went on to the next village, where nobody knew their names. " * 50
_PEOPLE = "Ninety people, their age and what they like, as JSON: "
_PEOPLE_GRAMMAR = r"""
root ::= "[" person ("," person){89} "]"
person ::= "{\"name\":" name ",\"age\":" [1-9] [0-9]? ",\"likes\":[" word ("," word){0,3} "]}"
name ::= "\"" [A-Z] [a-z]{1,15} "\""
word ::= "\"" [a-z]{1,15} "\""
"""
_PACE_TOKENS = 48
_COST_ANSWERS = 9


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


def one_round(ask: Ask, pid: int, at_once: int, tokens: int, number: int) -> dict[str, Any]:
    """Send requests together; when their first and last tokens came, and what that took of the
    processor in the process that computes."""
    used = cpu(pid)
    barrier = threading.Barrier(at_once + 1)

    def send(own: int) -> tuple[float, float, int]:
        barrier.wait()
        prompt = f"{_SYSTEM}\nStory {number}.{own}: Once upon a time"
        times = [
            item if isinstance(item, float) else time.perf_counter() for item in ask(prompt, tokens)
        ]
        return times[0] - start, times[-1] - start, len(times)

    with ThreadPoolExecutor(at_once) as threads:
        sent = [threads.submit(send, own) for own in range(at_once)]
        start = time.perf_counter()
        barrier.wait()
        times = [future.result() for future in sent]
    seconds = time.perf_counter() - start
    made = sum(count for _, _, count in times)  # an answer may end by itself
    return {
        "rate": made / seconds,
        "first": statistics.median(first for first, _, _ in times),
        "slowest": max(last for _, last, _ in times),
        "cpu": (cpu(pid) - used) * 1000 / made,
    }


def pace(ask: Ask, prompt: str = "Once", grammar: str | None = None) -> float:
    """Tokens per second after the first one."""
    times = [time.perf_counter() for _ in ask(prompt, _PACE_TOKENS, grammar)]
    return (len(times) - 1) / (times[-1] - times[0])


def second_turns(ask: Ask, number: int) -> float:
    """Median time to the first token of turn 2 of conversations that take turns."""
    talks = [f"Talk {number}.{own}. {_HISTORY}" for own in range(TALKS)]
    answered = [talk + "".join(map(text_of, ask(talk, 20))) for talk in talks]
    times = []
    for talk in answered:
        start = time.perf_counter()
        next(iter(ask(f"{talk} What next?", 4)), None)  # a model may have nothing to say
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def python_costs(clock: Clock) -> list[tuple[float, float]]:
    """Microseconds of Python a token in several answers, after 250 tokens and after 4,000.

    The windows take some tens of milliseconds, so whatever else runs meanwhile is in one of them
    or in none. Only the ratio over several answers says something.
    """
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        model = str(write_scripted(Path(folder) / "endless.gguf", "on and on ", loop=True))
        ask = ask_engine(model, 1)
        for _ in range(_COST_ANSWERS):
            clock.steps.clear()
            for _ in ask("Once", 4100):
                pass
            own = [(total - inside) * 1e6 for total, inside in clock.steps]
            costs.append((statistics.median(own[100:400]), statistics.median(own[3800:4100])))
    return costs


def cpu(pid: int) -> float:
    """Seconds of processor time a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> float:
    """The most memory a process has had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def make(given: argparse.Namespace) -> Ask:
    """The contestant of this process, with its model loaded."""
    if given.name == SERVER:
        return Server(given.server, given.model, given.threads)
    asks: dict[str, Callable[[str, int], Ask]] = {
        "engine": ask_engine,
        "engine without cache": ask_without_cache,
        "lock": ask_lock,
        "bare loop": ask_bare,
    }
    return asks[given.name](given.model, given.threads)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("name", "model", "server"):
        parser.add_argument(name)
    parser.add_argument("tokens", type=int)
    parser.add_argument("threads", type=int)
    given = parser.parse_args()
    clock = Clock() if given.name == "engine" else None
    ask = make(given)
    list(ask("Once", 2))
    pid = ask.pid if isinstance(ask, Server) else os.getpid()
    commands: dict[str, Callable[[int, int], Any]] = {
        "round": lambda at_once, number: one_round(ask, pid, at_once, given.tokens, number),
        "pace": lambda *_: pace(ask),
        "free people": lambda *_: pace(ask, _PEOPLE),
        "people": lambda *_: pace(ask, _PEOPLE, _PEOPLE_GRAMMAR),
        "turns": lambda _, number: second_turns(ask, number),
        "memory": lambda *_: peak_memory(pid),
        "python": lambda *_: clock and clock.python(),
        "costs": lambda *_: clock and python_costs(clock),
    }
    for line in sys.stdin:
        command, *numbers = json.loads(line)
        print("=", json.dumps(commands[command](*numbers)), flush=True)


if __name__ == "__main__":
    main()
