"""How much CPU a call costs the client, beside raw httpx, the OpenAI SDK and LiteLLM.

    python benchmarks/client.py [--rounds 3] [--peer-python PATH] [--only sync,chunk] [--memory]

Starts its own server on one core and every measurement in a process of its own on another core.
All figures are CPU time of the client's process, as a ratio to raw httpx in the same round; the
table shows the median of the rounds. A peer that is not installed is left out with a word;
`--peer-python` names an interpreter that has LiteLLM, so that it needs no place in this one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCENARIOS = {
    "sync": "one call",
    "async": "one call, async",
    "async16": "16 in flight, async",
    "threads16": "16 threads",
    "large": "1 MB of messages",
    "chunk": "a chunk",
    "achunk": "a chunk, async",
    "burst": "a chunk of many at once",
    "burst-async": "the same, async",
}
GOALS = {"sync": 0.33, "async": 0.2, "async16": 0.08, "threads16": 0.45, "large": 0.35}
GOALS |= {"chunk": 0.6, "achunk": 0.6, "burst": 0.6, "burst-async": 0.6}


class Bench:
    """The server, and the processes that are measured against it."""

    def __init__(self, url: str, core: int, pythons: dict[str, str]) -> None:
        self._url, self._core, self._pythons = url, core, pythons

    def run(self, peer: str, scenario: str) -> Any:
        """One measurement; `None` if it failed, which is said."""
        command = [self._pythons[peer], str(HERE / "worker.py"), peer, scenario, self._url]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "LITELLM_LOG": "ERROR"}
        environment["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        done = subprocess.run(
            [*command, str(self._core)], capture_output=True, text=True, env=environment
        )
        if done.returncode:
            print(f"{peer} {scenario}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        return json.loads(done.stdout.strip().splitlines()[-1])

    def counted(self, peer: str, scenario: str) -> tuple[int, int]:
        """How many connections and requests a measurement made."""
        before = self._stats()
        self.run(peer, scenario)
        after = self._stats()
        return after[0] - before[0] - 1, after[1] - before[1]  # asking takes a connection too

    def _stats(self) -> tuple[int, int]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self._url}/stats") as answer:
            connections, requests = answer.read().split()
        return int(connections), int(requests)


def has(python: str, module: str) -> bool:
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def peers(peer_python: str | None) -> dict[str, str]:
    found = {"httpx": sys.executable, "llmroute": sys.executable}
    for name in ("openai", "litellm"):
        pythons = [p for p in (sys.executable, peer_python) if p and has(p, name)]
        if pythons:
            found[name] = pythons[0]
        else:
            print(f"{name} is not installed and left out.")
    return found


def row(cells: list[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def calls(bench: Bench, names: list[str], only: list[str], rounds: int) -> None:
    row(["CPU of the client / raw httpx", *names[1:], "goal", "raw httpx, µs"])
    row(["---"] * (len(names) + 2))
    for scenario in only:
        results: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                if (value := bench.run(name, scenario)) is not None:
                    results[name].append(value)
        base = results["httpx"]
        ratios = [
            f"{statistics.median(v / b for v, b in zip(results[n], base, strict=True)):.2f}"
            if len(results[n]) == len(base)
            else "failed"
            for n in names[1:]
        ]
        goal = f"≤ {GOALS[scenario]}"
        row([SCENARIOS[scenario], *ratios, goal, f"{statistics.median(base):.0f}"])


def starts(bench: Bench, names: list[str], rounds: int) -> None:
    print()
    row(["", *(f"{name}: ms, MB" for name in names)])
    row(["---"] * (len(names) + 1))
    for scenario, title in (("import", "import"), ("first", "import and first call")):
        cells = []
        for name in names:
            values = [bench.run(name, scenario) for _ in range(rounds + 2)]
            ms = statistics.median(v["ms"] for v in values)
            mb = statistics.median(v["mb"] for v in values)
            cells.append(f"{ms:.1f}, {mb:.1f}")
        row([title, *cells])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", help="an interpreter that has litellm installed")
    parser.add_argument("--only", default=",".join(SCENARIOS), help="scenarios, with commas")
    parser.add_argument("--peers", default="httpx,llmroute,openai,litellm")
    parser.add_argument("--memory", action="store_true", help="20,000 calls, and their memory")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    pythons = peers(options.peer_python)
    names = [name for name in pythons if name in options.peers.split(",")]
    server = subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), str(cores[0])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        bench = Bench(url, cores[-1], pythons)
        only = [scenario for scenario in options.only.split(",") if scenario]
        if only:
            calls(bench, names, only, options.rounds)
            starts(bench, names, options.rounds)
            print()
            for scenario in ("sync", "chunk", "async"):
                made, requests = bench.counted("llmroute", scenario)
                what = SCENARIOS[scenario]
                print(f"llmroute, {what}: {made} connections for {requests} requests")
        if options.memory:
            grown = bench.run("llmroute", "memory")
            print(f"llmroute: {grown['mb']:+.1f} MB over {grown['calls']} calls")
    finally:
        server.communicate()


if __name__ == "__main__":
    main()
