"""Thousands of mixed requests on tiny models: each must end in its right answer or its own error.

    python benchmarks/soak.py [--requests 2000] [--threads 16] [--model plain]

Texts, chats, streams, streams left early, tools, schemas, several choices, bad inputs and time
limits, from threads and from an event loop at once, with a cache too small for all; on a plain
model, one with drafts, a recurrent or a hybrid one. Ends with an error if an answer differs from
the one the same request got alone, if an error is of another class than it should be, or if memory
grows.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmroute import acompletion, atext_completion, completion, text_completion
from llmroute.errors import APITimeoutError, BadRequestError, LLMRouteError
from llmroute.testing.tiny_gguf import write_random, write_scripted
from llmroute.testing.tiny_recurrent import write_hybrid, write_recurrent

_MODELS: dict[str, tuple[Callable[..., Path], dict[str, Any]]] = {
    "plain": (write_random, {}),
    "drafts": (write_random, {"draft_model": "prompt_lookup"}),
    "recurrent": (write_recurrent, {}),
    "hybrid": (write_hybrid, {}),
}
"""How each is made, and loaded."""
_LOAD = {"n_ctx": 1536, "n_parallel": 6, "n_batch": 128, "n_threads": 1}
_GROWTH = 24 * 2**20
"""Bytes the process may grow between the second and the last fifth of the requests."""
_SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}, "kind": {"enum": ["a", "b"]}},
    "required": ["ok", "kind"],
    "additionalProperties": False,
}
_TOOL = {"type": "function", "function": {"name": "look", "parameters": _SCHEMA}}


@dataclass
class Kind:
    """A request, and how it is to end."""

    name: str
    params: dict[str, Any]
    error: type[LLMRouteError] | None = None
    early: bool = False
    """Whether its stream is left after the second chunk."""
    expected: Any = None

    @property
    def is_chat(self) -> bool:
        return "messages" in self.params


def kinds(model: str, other: str, load: dict[str, Any]) -> list[Kind]:
    """All that is asked, many times."""
    common = {"model": f"llamacpp/{model}", "model_kwargs": _LOAD | load, "temperature": 0}
    rng = random.Random(7)

    def text(words: int) -> str:
        return " ".join(rng.choice(["sun", "moon", "tree", "été", "本"]) for _ in range(words))

    def chat(words: int, **more: Any) -> dict[str, Any]:
        messages = [
            {"role": "system", "content": "Be brief. " * 12},
            {"role": "user", "content": text(words)},
        ]
        return common | {"messages": messages, "max_tokens": 24} | more

    def plain(words: int, **more: Any) -> dict[str, Any]:
        return common | {"prompt": text(words), "max_tokens": 24} | more

    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": _SCHEMA}}
    forced = {"tools": [_TOOL], "tool_choice": "required", "max_tokens": 120}
    return [
        *(Kind(f"text {words}", plain(words)) for words in (1, 5, 20, 60)),
        *(Kind(f"chat {words}", chat(words)) for words in (1, 5, 20, 40)),
        Kind("seeded", plain(4, temperature=1.5, seed=11)),
        Kind("several", plain(9, n=3)),
        Kind("best of", plain(9, best_of=3, n=2)),
        Kind("scored", plain(9, echo=True, logprobs=1, max_tokens=4)),
        Kind("stop", plain(3, stop=["e", "a"])),
        Kind("stream", chat(6, stream=True)),
        Kind("left early", plain(6, max_tokens=1200, stream=True), early=True),
        Kind("schema", chat(6, response_format=form, max_tokens=80)),
        Kind("tool", chat(6, **forced)),
        Kind("another model", plain(2, model=f"llamacpp/{other}")),
        Kind("not a number", plain(2, temperature=float("nan")), BadRequestError),
        Kind("too long", plain(3000), BadRequestError),
        Kind("bad grammar", plain(2, grammar="root ::= missing"), BadRequestError),
        Kind("bad schema", chat(2, response_format={"type": "json_schema"}), BadRequestError),
        Kind("time limit", plain(2, max_tokens=1400, timeout=0.001), APITimeoutError),
    ]


def told(chunks: list[Any]) -> Any:
    """What is the same each time a request is made."""
    found: dict[int, list[Any]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            part = getattr(choice, "delta", None) or getattr(choice, "message", None)
            text = part.content if part is not None else choice.text
            calls = [
                (call.function.name, call.function.arguments)
                for call in (part is not None and part.tool_calls) or ()
            ]
            own = found.setdefault(choice.index, ["", [], None])
            own[0] += text or ""
            own[1] += calls
            own[2] = choice.finish_reason or own[2]
    return found


def ask(kind: Kind) -> Any:
    """Make a request on this thread."""
    answer: Any = (completion if kind.is_chat else text_completion)(**kind.params)
    if not kind.params.get("stream"):
        return told([answer])
    chunks = []
    with answer as stream:
        for chunk in stream:
            chunks.append(chunk)
            if kind.early and len(chunks) == 2:
                return None
    return told(chunks)


async def aask(kind: Kind) -> Any:
    """Make a request in this event loop."""
    answer: Any = await (acompletion if kind.is_chat else atext_completion)(**kind.params)
    if not kind.params.get("stream"):
        return told([answer])
    chunks = []
    async with answer as stream:
        async for chunk in stream:
            chunks.append(chunk)
            if kind.early and len(chunks) == 2:
                return None
    return told(chunks)


class Tally:
    """How the requests ended, and how large the process was meanwhile."""

    def __init__(self) -> None:
        self.ended: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.sizes: list[int] = []

    def add(self, kind: Kind, outcome: Any) -> None:
        self.ended[kind.name] += 1
        self.sizes.append(_resident())
        if not (isinstance(outcome, kind.error) if kind.error else outcome == kind.expected):
            self.wrong.append(f"{kind.name}: {outcome!r}, not {kind.error or kind.expected!r}")

    def growth(self) -> int:
        """Between the largest of the second fifth and the largest of the last."""
        part = max(1, len(self.sizes) // 5)
        return max(self.sizes[-part:]) - max(self.sizes[part : 2 * part])


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def outcome(make: Callable[[], Any]) -> Any:
    """What a request gives, or the error it ends with."""
    try:
        return make()
    except LLMRouteError as error:
        return error


async def outcome_async(kind: Kind) -> Any:
    """As `outcome`."""
    try:
        return await aask(kind)
    except LLMRouteError as error:
        return error


def soak(mix: list[Kind], requests: int, threads: int) -> Tally:
    """Make the requests, one part in a loop and the rest in threads."""
    tally, rng = Tally(), random.Random(1)
    chosen = [rng.choice(mix) for _ in range(requests)]
    in_loop = chosen[: requests // 5]

    async def run_loop() -> None:
        gate = asyncio.Semaphore(threads // 2 or 1)

        async def one(kind: Kind) -> None:
            async with gate:
                tally.add(kind, await outcome_async(kind))

        await asyncio.gather(*map(one, in_loop))

    with ThreadPoolExecutor(threads + 1) as pool:
        loop = pool.submit(asyncio.run, run_loop())
        for done in [
            pool.submit(lambda kind=kind: tally.add(kind, outcome(lambda: ask(kind))))
            for kind in chosen[len(in_loop) :]
        ]:
            done.result()
        loop.result()
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--model", choices=_MODELS, default="plain")
    given = parser.parse_args()
    write, load = _MODELS[given.model]
    with tempfile.TemporaryDirectory() as folder:
        model = write(Path(folder) / "model.gguf")
        other = write_scripted(Path(folder) / "other.gguf", "Here I am.")
        mix = kinds(str(model), str(other), load)
        for kind in mix:
            if kind.error is None and not kind.early:
                kind.expected = ask(kind)
        start = time.monotonic()
        tally = soak(mix, given.requests, given.threads)
        seconds = time.monotonic() - start
    for name, count in sorted(tally.ended.items()):
        print(f"{count:5} {name}")
    print(f"{given.requests} requests in {seconds:.1f} s, {len(tally.wrong)} wrong")
    print(f"memory: {max(tally.sizes) / 2**20:.0f} MB, grew by {tally.growth() / 2**20:.1f} MB")
    if tally.wrong or tally.growth() > _GROWTH:
        raise SystemExit("\n".join(["The soak failed.", *tally.wrong[:10]]))


if __name__ == "__main__":
    main()
