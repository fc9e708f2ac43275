"""Beginnings that need not be computed again, in models whose layers see a sliding window only.

llama.cpp soon overwrites what lies before the window, so every test first fills the cache.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from calls_here import call, run

from llmroute.local_models import unload
from llmroute.testing.tiny_gguf import write_random

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

_WINDOW = 32
_LOAD = {"n_batch": 32, "n_ctx": 2048, "n_threads": 1}
_RNG = random.Random(5)


def text_of_length(count: int) -> list[int]:
    return [_RNG.randrange(40, 90) for _ in range(count)]


_SYSTEM = text_of_length(100)


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No test sees what another left in the cache."""
    unload()


@pytest.fixture(scope="module")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with one layer of either kind."""
    return write_random(tmp_path_factory.mktemp("models") / "windowed.gguf", window=_WINDOW)


def ask(model: Path, prompt: list[int], **load: Any) -> tuple[str, int]:
    """The answer, and how much of the prompt was not computed."""
    result = run(call(model, prompt, load=_LOAD | load, max_tokens=12))
    assert result.usage is not None
    return result.text, result.usage.cached_tokens


def anew(model: Path, prompt: list[int]) -> str:
    """The answer with everything computed."""
    return ask(model, prompt, prefix_cache=False)[0]


def test_the_model_sees_its_whole_prompt(windowed: Path) -> None:
    prompt = text_of_length(200)
    others = [[*prompt[:place], 39, *prompt[place + 1 :]] for place in (0, 100, 190)]
    assert len({anew(windowed, text) for text in [prompt, *others]}) == 4


def test_a_common_beginning_stays_while_the_cache_is_written_around(windowed: Path) -> None:
    talks = [[*_SYSTEM, *text_of_length(150)] for _ in range(12)]
    found = [ask(windowed, talk) for talk in talks]
    # The second one shows that others may begin like this.
    assert [cached for _, cached in found[2:]] == [100] * 10
    assert [text for text, _ in found] == [anew(windowed, talk) for talk in talks]


def test_a_beginning_found_too_late_is_there_the_next_time(windowed: Path) -> None:
    ask(windowed, [*_SYSTEM, *text_of_length(300)])
    for _ in range(3):
        ask(windowed, text_of_length(300))
    late, later = ([*_SYSTEM, *text_of_length(90)] for _ in range(2))
    assert ask(windowed, late) == (anew(windowed, late), 0)
    for _ in range(3):
        ask(windowed, text_of_length(300))
    assert ask(windowed, later) == (anew(windowed, later), 100)


def test_a_turn_that_leaves_out_what_was_thought_goes_on_from_the_prompt(windowed: Path) -> None:
    """The answer that is kept goes on otherwise than the next turn's prompt."""
    talks = [text_of_length(300) for _ in range(3)]
    for turn in range(3):
        for talk in talks:
            text, cached = ask(windowed, talk)
            # Up to eight tokens less than the turn before had, which might be written otherwise.
            assert cached >= (300 + 20 * (turn - 1) - 8 if turn else 0)
            assert text == anew(windowed, talk)
            talk += text_of_length(20)


def test_the_same_prompt_again(windowed: Path) -> None:
    prompt = text_of_length(300)
    first, _ = ask(windowed, prompt)
    for _ in range(3):
        ask(windowed, text_of_length(200))
    text, cached = ask(windowed, prompt)
    assert text == first
    assert cached >= 292


def test_a_long_beginning_in_common_takes_no_room_from_the_answers(
    windowed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Cells that several sequences have are not written over, though all are past them."""
    common = text_of_length(600)  # more than the layers with a window hold together
    prompts = [[*common, *text_of_length(20)] for _ in range(4)]
    result = run(call(windowed, prompts, load=_LOAD, max_tokens=12))
    assert result.texts == [anew(windowed, prompt) for prompt in prompts]
    assert result.usage is not None
    assert result.usage.cached_tokens >= 3 * 590
    assert "failed to find a memory slot" not in caplog.text


@pytest.mark.parametrize("load", [{"n_parallel": 1, "n_batch": n} for n in (1, 2, 3, 4)], ids=str)
def test_few_sequences(windowed: Path, load: dict[str, int]) -> None:
    """With n_batch tokens a step llama.cpp takes no more sequences than that."""
    talks = [text_of_length(90) for _ in range(2)]
    for _ in range(3):
        for talk in talks:
            assert ask(windowed, talk, **load)[0] == anew(windowed, talk)
            talk += text_of_length(9)


def test_prompts_side_by_side_are_understood_as_without_cache(windowed: Path) -> None:
    trunks = [text_of_length(150) for _ in range(3)]
    rng = random.Random(3)
    cases = [
        [*rng.choice(trunks)[: rng.choice([0, 33, 90, 150])], *rng.choices(range(40, 90), k=k)]
        for k in (1, 2, 10, 60)
        for _ in range(5)
    ]

    def first(prompt: list[int], **load: Any) -> tuple[str, float]:
        found = run(call(windowed, prompt, load=_LOAD | load, max_tokens=6, logprobs=0)).logprobs[0]
        return found[0].token, found[0].logprob

    alone = [first(case, prefix_cache=False) for case in cases]

    def work(seed: int) -> None:
        own = random.Random(seed)
        for _ in range(12):
            number = own.randrange(len(cases))
            token, logprob = first(cases[number], n_ctx=768, n_parallel=4)
            assert token == alone[number][0]
            assert logprob == pytest.approx(alone[number][1], abs=0.01)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
