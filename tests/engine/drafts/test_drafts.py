"""Tokens guessed ahead: answers stay as they are, whoever guesses and however wrongly."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from calls_here import Result, Scripted, call

from llmroute.engine import native
from llmroute.engine.answers.sampling import Sampling
from llmroute.engine.batching.scheduler import Scheduler
from llmroute.engine.drafts.drafts import Drafter, Drafts
from llmroute.engine.drafts.lengths import StepTimes
from llmroute.engine.gguf.check import read_header
from llmroute.engine.interrupt import Interrupt
from llmroute.engine.job import Choice, EngineJob, Item
from llmroute.engine.model import model as models
from llmroute.engine.options.load import LoadOptions
from llmroute.providers.base import LocalCall, LocalLogprob, LocalToken
from llmroute.testing.tiny_gguf import write_random

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

LOOKUP = {"draft_model": "prompt_lookup"}
_TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
_ASK = [{"role": "user", "content": "Hi"}]


# Any guesses at all


class Guesser:
    """Knows the answers from before, and guesses a mix of right and wrong."""

    def __init__(self, seed: int) -> None:
        self.times = StepTimes()  # of guessing: none
        self.known: dict[tuple[int, ...], list[list[int]]] = {}
        self.right = self.wrong = 0
        self._rng = random.Random(seed)

    def chance(self, choice: Choice) -> float:
        return 1.0

    def draft(self, lengths: Mapping[Choice, int]) -> Mapping[Choice, list[int]]:
        return {choice: self._guess(choice, length) for choice, length in lengths.items()}

    def _guess(self, choice: Choice, length: int) -> list[int]:
        done = len(choice.tokens)
        answers = self.known.get(tuple(choice.prompt.tokens), [[]])
        fitting = [whole for whole in answers if whole[:done] == choice.tokens]
        guess = list(fitting[0][done : done + self._rng.randrange(length + 1)]) if fitting else []
        wrong = [self._rng.randrange(260) for _ in range(self._rng.choice([0, 1, 3, length]))]
        return [*guess, *wrong][:length]

    def checked(self, choice: Choice, right: int, wrong: int) -> None:
        self.right += right
        self.wrong += wrong

    def free(self) -> None: ...


class Free(StepTimes):
    """Steps that all take the same, so as much as possible is drafted in each."""

    def of(self, tokens: int) -> float:
        return 1.0

    def is_sure(self, tokens: int) -> bool:
        return True


class Here:
    """A scheduler run by the test itself, a step at a time."""

    def __init__(self, path: Path, **load: Any) -> None:
        options = LoadOptions.parse({"n_threads": 1, "n_ctx": 1024} | load)
        self._flag = native.Flag()  # llama.cpp reads it as long as the model is there
        self.model = models.load(
            read_header(path), options, options.n_ctx or 0, self._flag, lambda _: True
        )
        self.steps = 0

    def answers(
        self, calls: Sequence[LocalCall], drafter: Drafter | None = None, *, keep: bool = False
    ) -> tuple[list[list[Item]], list[Choice]]:
        drafts = Drafts(drafter, 16, self.model.vocabulary.is_end, Free())
        scheduler = Scheduler(self.model, Interrupt(), drafts)
        told: list[list[Item]] = [[] for _ in calls]
        choices = []
        for wanted, items in zip(calls, told, strict=True):
            job = EngineJob(wanted, Sampling.parse(wanted.params), items.append)
            if rendering := scheduler.rendering(job):
                rendering()
            made = scheduler.prepare(job)
            choices += made
            scheduler.add(made)
        self.steps = 0
        while scheduler.busy:
            scheduler.step()
            self.steps += 1
        self.model.forget_all()
        return told, choices


@pytest.fixture
def here(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: list[Here] = []

    def make(path: Path, **load: Any) -> Here:
        made.append(Here(path, **load))
        return made[-1]

    yield make
    for one in made:
        one.model.free()


def result_of(items: list[Item]) -> Result:
    assert items[-1] is None
    return Result.of([item for item in items[:-1] if not isinstance(item, Exception)])  # type: ignore[misc]


def told_by(results: list[list[Item]]) -> list[Any]:
    return [
        repr(items[-1])
        if isinstance(items[-1], Exception)
        else (result_of(items).texts, result_of(items).finish_reasons, calls_in(items))
        for items in results
    ]


def calls_in(items: list[Item]) -> list[Any]:
    return [item.tool_calls for item in items if isinstance(item, LocalToken) and item.tool_calls]


def compare(
    here: Here, calls: Sequence[LocalCall], seed: int = 0
) -> tuple[list[Result], list[Result], Guesser]:
    plain, choices = here.answers(calls)
    guesser = Guesser(seed)
    for choice in choices:
        guesser.known.setdefault(tuple(choice.prompt.tokens), []).append(choice.tokens)
    steps = here.steps
    drafted, _ = here.answers(calls, guesser)
    assert told_by(drafted) == told_by(plain)
    assert here.steps <= steps
    whole = [items for items in zip(plain, drafted, strict=True) if items[0][-1] is None]
    return [result_of(one) for one, _ in whole], [result_of(one) for _, one in whole], guesser


SAMPLING: dict[str, dict[str, Any]] = {
    "greedy": {},
    "seeded": {"temperature": 0.9, "seed": 5},
    "hot, three": {"temperature": 1.5, "seed": 1, "n": 3, "top_k": 0, "top_p": 1.0, "min_p": 0.0},
    "penalties": {"repeat_penalty": 1.3, "frequency_penalty": 0.5, "presence_penalty": 0.2},
    "mirostat": {"mirostat": 2, "temperature": 0.8, "seed": 2},
    "mirostat 1": {"mirostat": 1, "temperature": 0.8, "seed": 2},
    "one token": {"max_tokens": 1},
    "two tokens": {"max_tokens": 2},
    "stop": {"stop": ["e", "Ã", "xyz"], "max_tokens": 200},
    "grammar": {"grammar": 'root ::= ("a" | "bc" | "\\n")+', "max_tokens": 40},
    "schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"type": "object", "required": ["a"]}},
        },
        "max_tokens": 80,
    },
    "dead end": {"grammar": 'root ::= "abc" "def"', "logit_bias": {"70": -100}, "max_tokens": 40},
}


@pytest.mark.parametrize("params", SAMPLING.values(), ids=SAMPLING)
@pytest.mark.parametrize("kind", ["random", "unicode", "loop"])
def test_answers_are_the_same_whatever_is_guessed(
    kind: str, params: dict[str, Any], tiny_random: Path, scripted: Scripted, here: Any
) -> None:
    text = "Grüße 👩‍👧, 日本語 und “mehr”. "
    pieces = [text.encode()[at : at + 3] for at in range(0, len(text.encode()), 3)]
    if len(set(pieces)) != len(pieces):
        pieces = [text.encode()[at : at + 5] for at in range(0, len(text.encode()), 5)]
    model = {
        "random": tiny_random,
        "unicode": scripted(text, pieces=pieces),
        "loop": scripted("on and off, up and down. ", loop=True),
    }[kind]
    prompts = ["Once upon", [40, 41, 42] * 7, "x"]
    if "response_format" in params:
        prompts = [_ASK]
    calls = [call(model, prompt, **{"max_tokens": 60} | params) for prompt in prompts]
    for seed in range(2):
        compare(here(model), calls, seed)


def test_the_guesser_is_right_and_wrong(tiny_random: Path, here: Any) -> None:
    calls = [call(tiny_random, [40 + n, 50], max_tokens=100) for n in range(3)]
    plain, drafted, guesser = compare(here(tiny_random), calls)
    assert guesser.right > 20
    assert guesser.wrong > 20
    usages = [result.usage for result in drafted]
    assert sum(usage.accepted_tokens for usage in usages if usage) == guesser.right
    assert sum(usage.rejected_tokens for usage in usages if usage) == guesser.wrong
    assert [u and u.completion_tokens for u in usages] == [100] * 3
    assert [r.usage and r.usage.accepted_tokens for r in plain] == [0] * 3


def test_log_probabilities_are_the_same(tiny_random: Path, here: Any) -> None:
    calls = [call(tiny_random, [40 + n], max_tokens=60, logprobs=3) for n in range(2)]
    plain, drafted, _ = compare(here(tiny_random), calls)

    def flat(found: LocalLogprob) -> list[tuple[str, float]]:
        return [(found.token, found.logprob), *((text, p) for text, _, p in found.top)]

    for one, other in zip(plain, drafted, strict=True):
        pairs = zip(one.logprobs[0], other.logprobs[0], strict=True)
        for before, after in pairs:
            for (text, first), (again, second) in zip(flat(before), flat(after), strict=True):
                assert text == again
                assert first == pytest.approx(second, abs=5e-3)


@pytest.mark.parametrize(
    "load",
    [
        {"n_ctx": 256, "n_parallel": 4},
        {"n_batch": 16, "n_parallel": 3},
        {"n_batch": 64, "n_ubatch": 8, "n_parallel": 4},
        {"n_parallel": 8, "prefix_cache": False},
        {"n_batch": 4, "n_parallel": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("window", [None, 24])
def test_small_caches_small_batches_and_windows(
    load: dict[str, Any], window: int | None, tmp_path: Path, here: Any
) -> None:
    model = write_random(tmp_path / "model.gguf", window=window)
    rng = random.Random(4)
    calls = [
        call(model, [rng.randrange(40, 90) for _ in range(length)], max_tokens=limit, n=n)
        for length, limit, n in [(1, 90, 1), (60, 90, 2), (90, 40, 1), (3, 120, 1), (100, 60, 1)]
    ]
    for seed in range(2):
        _, _, guesser = compare(here(model, **load), calls, seed)
        assert guesser.right or load.get("n_batch") == 4


def test_calls_of_tools_are_read_out_of_drafts(scripted: Scripted, here: Any) -> None:
    text = 'Let me see. <tool_call>{"name": "now", "arguments": {}}</tool_call>'
    model = scripted(text, pieces=[text[at : at + 6] for at in range(0, len(text), 6)])
    calls = [call(model, _ASK, tools=[_TOOL], max_tokens=60)]
    plain, _, guesser = compare(here(model), calls)
    assert plain[0].finish_reasons == ["tool_calls"]
    assert guesser.right


def test_a_window_is_whole_after_wrong_guesses(tmp_path: Path, here: Any) -> None:
    """Every token after drafts that were cut off is what it would be without them."""
    model = write_random(tmp_path / "model.gguf", window=16)
    calls = [call(model, [45] * 5, max_tokens=700, logprobs=0)]
    plain, drafted, guesser = compare(here(model, n_ubatch=32), calls)
    assert guesser.wrong > 100
    for one, other in zip(plain[0].logprobs[0], drafted[0].logprobs[0], strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=5e-3)
