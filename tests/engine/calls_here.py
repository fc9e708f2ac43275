"""Shorthands for calls on the engine, the same for sync and async."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmroute.engine.vocabulary.standalone import VocabularyOnly
from llmroute.providers.base import LocalCall, LocalEvent, LocalLogprob, LocalToken, LocalUsage
from llmroute.transport.limits import Limits
from llmroute.transport.local import open_local, open_local_async
from llmroute.types.request import TimeLimits

PATIENT = TimeLimits(first_token=60.0, idle=60.0)


def patient() -> Limits:
    """Limits that begin now and that no test reaches."""
    return Limits.begin(PATIENT)


@dataclass
class Result:
    """What came of a call."""

    texts: list[str] = field(default_factory=list)
    finish_reasons: list[str | None] = field(default_factory=list)
    logprobs: list[list[LocalLogprob]] = field(default_factory=list)
    usage: LocalUsage | None = None
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        assert len(self.texts) == 1
        return self.texts[0]

    @classmethod
    def of(cls, events: list[LocalEvent]) -> Result:
        tokens = [event for event in events if isinstance(event, LocalToken)]
        (usage,) = (event for event in events if isinstance(event, LocalUsage))
        assert events[-1] is usage
        result = cls(usage=usage, pieces=[token.text for token in tokens])
        for index in range(max(token.index for token in tokens) + 1):
            own = [token for token in tokens if token.index == index]
            assert all(token.finish_reason is None for token in own[:-1])
            result.texts.append("".join(token.text for token in own))
            result.finish_reasons.append(own[-1].finish_reason)
            result.logprobs.append([found for token in own for found in token.logprobs])
        return result


def call(
    model: Path | str, prompt: Any = "Once", *, load: dict[str, Any] | None = None, **params: Any
) -> LocalCall:
    is_chat = isinstance(prompt, list) and prompt and isinstance(prompt[0], dict)
    operation = "chat" if is_chat else "text"
    params = {"temperature": 0} | params
    # Two threads that wait for each other crawl where other tests take the second core.
    return LocalCall(str(model), operation, prompt, params, {"n_threads": 1} | (load or {}))


def run(wanted: LocalCall, timeout: TimeLimits = PATIENT) -> Result:
    with open_local(wanted, Limits.begin(timeout)) as stream:
        return Result.of(list(stream))


async def arun(wanted: LocalCall, timeout: TimeLimits = PATIENT) -> Result:
    async with await open_local_async(wanted, Limits.begin(timeout)) as stream:
        return Result.of([event async for event in stream])


def run_in_loop(wanted: LocalCall, timeout: TimeLimits = PATIENT) -> Result:
    return asyncio.run(arun(wanted, timeout))


Runner = Callable[..., Result]

Scripted = Callable[..., Path]
"""The fixture of that name."""


def token_ids(model: Path, text: str) -> list[int]:
    """The tokens of a text, as llama.cpp reads it."""
    vocabulary = VocabularyOnly(model)
    try:
        return vocabulary.vocabulary.tokenize(text, add_special=False, parse_special=False)
    finally:
        vocabulary.free()


def told(story: str, *arguments: Any) -> str:
    """What a program prints in a process of its own, which must end by itself and write nothing to
    stderr."""
    # From Python 3.12 on, whoever forks with threads is warned; that it goes well is the story.
    command = [sys.executable, "-X", "faulthandler", "-W", "ignore:This process:DeprecationWarning"]
    command += ["-W", "ignore:A model is loaded once more"]
    done = subprocess.run(
        [*command, "-c", textwrap.dedent(story), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()
