"""Prompts that begin like earlier ones: what is not computed again, and that nobody sees it."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from calls_here import Runner, call, patient, run, token_ids
from hypothesis import given, strategies as st

from llmroute import completion
from llmroute.engine.drafts.common_prefix import common_length
from llmroute.engine.vocabulary.standalone import VocabularyOnly
from llmroute.local_models import unload, warm_up
from llmroute.providers.base import LocalToken
from llmroute.transport.local import open_local

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

REAL_MODEL = os.environ.get("LLMROUTE_TEST_MODEL", "")
_STORY = [40 + number % 40 for number in range(100)]


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No test sees what another left in the cache."""
    unload()


def cached(model: Path, prompt: Any, **options: Any) -> int:
    usage = run(call(model, prompt, **{"max_tokens": 4} | options)).usage
    assert usage is not None
    return usage.cached_tokens


def without_cache(model: Path, prompt: Any, **params: Any) -> str:
    load = {"prefix_cache": False} | params.pop("load", {})
    result = run(call(model, prompt, load=load, **params))
    assert result.usage is not None
    assert result.usage.cached_tokens == 0
    return result.text


def tokens_by_bytes(model: Path) -> dict[bytes, int]:
    loaded = VocabularyOnly(model)
    try:
        return {loaded.vocabulary.bytes_of(t): t for t in range(loaded.vocabulary.size)}
    finally:
        loaded.free()


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)), st.integers(0, 20))
def test_the_common_beginning_of_two_lists(one: list[int], other: list[int], most: int) -> None:
    expected = 0
    while expected < min(len(one), len(other), most) and one[expected] == other[expected]:
        expected += 1
    assert common_length(one, other, most) == expected


def test_the_same_prompt_again_computes_its_last_token_only(
    runner: Runner, tiny_random: Path
) -> None:
    texts = []
    for expected in (0, 99, 99):
        result = runner(call(tiny_random, _STORY, max_tokens=20))
        assert result.usage is not None
        assert (result.usage.prompt_tokens, result.usage.cached_tokens) == (100, expected)
        texts.append(result.text)
    assert texts == [without_cache(tiny_random, _STORY, max_tokens=20)] * 3


@pytest.mark.parametrize("load", [{}, {"n_parallel": 1}], ids=str)
def test_conversations_side_by_side_keep_their_turns(
    tiny_random: Path, load: dict[str, Any]
) -> None:
    talks = [[50 + number] * 30 for number in range(4)]
    for turn in range(3):
        for number, talk in enumerate(talks):
            result = run(call(tiny_random, talk, load=load, max_tokens=8))
            assert result.usage is not None
            assert result.usage.cached_tokens == (20 + 10 * turn if turn else 0)
            assert result.text == without_cache(tiny_random, talk, max_tokens=8)
            talk += [60 + number + turn] * 10


def test_a_single_sequence_is_cut_back_to_what_fits(tiny_random: Path) -> None:
    load = {"n_parallel": 1, "n_batch": 1}
    for tail, expected in ((90, 0), (91, 100), (92, 100)):
        prompt = [*_STORY, tail]
        result = run(call(tiny_random, prompt, load=load, max_tokens=8))
        assert result.usage is not None
        assert result.usage.cached_tokens == expected
        assert result.text == without_cache(tiny_random, prompt, max_tokens=8)


def test_the_answer_of_the_turn_before_is_kept_too(tiny_random: Path) -> None:
    first = run(call(tiny_random, _STORY, max_tokens=20, logprobs=0))
    answer = [tokens_by_bytes(tiny_random)[found.raw] for found in first.logprobs[0]]
    # The answer's last token was chosen, and nothing was computed after it.
    assert cached(tiny_random, [*_STORY, *answer, 90, 91]) == 119


def test_chat_reports_what_it_did_not_compute(tiny_random: Path) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a patient helper. " * 5},
        {"role": "user", "content": "Hi"},
    ]
    options: dict[str, Any] = {"max_tokens": 5, "temperature": 0}
    first = completion(f"llamacpp/{tiny_random}", messages, **options)
    messages[1] = {"role": "user", "content": "Good morning"}
    second = completion(f"llamacpp/{tiny_random}", messages, **options)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert second.usage.prompt_tokens_details.cached_tokens > 100


def test_prompts_that_come_together_are_read_once(tiny_random: Path) -> None:
    load = {"n_parallel": 8, "n_batch": 16}
    warm_up(str(tiny_random), n_threads=1, **load)
    calls = [call(tiny_random, [*_STORY, 90 + n], load=load, max_tokens=8) for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(run, calls))
    counts = sorted(result.usage.cached_tokens for result in results if result.usage)
    assert counts == [0] + [100] * 7
    alone = [without_cache(tiny_random, wanted.prompt, max_tokens=8) for wanted in calls]
    assert [result.text for result in results] == alone


def test_answers_to_one_prompt_share_it_without_the_cache_too(tiny_random: Path) -> None:
    load = {"prefix_cache": False}
    result = run(call(tiny_random, _STORY, n=3, load=load, max_tokens=8))
    assert result.texts == [without_cache(tiny_random, _STORY, max_tokens=8)] * 3
    assert result.usage is not None
    assert (result.usage.prompt_tokens, result.usage.cached_tokens) == (100, 0)


def test_what_is_kept_makes_room(tiny_random: Path) -> None:
    """A cache full of ended answers delays nobody and fails nobody."""
    load = {"n_ctx": 512}
    for first in range(40, 60):
        run(call(tiny_random, [first] * 200, max_tokens=50, load=load))
    calls = [call(tiny_random, [80 + n] * 60, max_tokens=60, load=load) for n in range(4)]
    with ThreadPoolExecutor(4) as threads:
        texts = [result.text for result in threads.map(run, calls)]
    assert texts == [without_cache(tiny_random, c.prompt, max_tokens=60) for c in calls]
    assert cached(tiny_random, [80] * 60, load=load) == 59


def test_the_least_recently_used_goes_first(tiny_random: Path) -> None:
    load = {"n_parallel": 1}  # five sequences: one to write, and four kept meanwhile
    prompts = [[50 + number] * 20 for number in range(5)]
    for prompt in prompts:
        cached(tiny_random, prompt, load=load)
    assert cached(tiny_random, prompts[0], load=load) == 19
    cached(tiny_random, [70] * 20, load=load)
    assert cached(tiny_random, prompts[0], load=load) == 19
    assert cached(tiny_random, prompts[1], load=load) == 0


def test_a_prompt_that_was_broken_off_is_kept_as_far_as_it_came(tiny_random: Path) -> None:
    load = {"n_ctx": 8192, "n_batch": 64}
    prompt = [60 + number % 7 for number in range(6000)]
    with open_local(call(tiny_random, [*prompt[:500], 90], load=load), patient()) as stream:
        assert isinstance(next(stream), LocalToken)
    stream = open_local(call(tiny_random, prompt, load=load), patient())
    stream.close()
    result = run(call(tiny_random, prompt, load=load, max_tokens=8))
    assert result.usage is not None
    assert result.usage.cached_tokens >= 500
    assert result.text == without_cache(tiny_random, prompt, load=load, max_tokens=8)


def test_mixed_prompts_get_the_answers_they_get_without(tiny_random: Path) -> None:
    load = {"n_ctx": 700, "n_parallel": 4, "n_batch": 48}
    rng = random.Random(3)
    trunks = [[rng.randrange(40, 90) for _ in range(150)] for _ in range(3)]
    cases = [
        [*rng.choice(trunks)[: rng.choice([0, 5, 90, 150])], *rng.choices(range(40, 90), k=k)]
        for k in (1, 2, 10, 60)
        for _ in range(6)
    ]
    alone = [without_cache(tiny_random, case, max_tokens=25, load={"n_ctx": 700}) for case in cases]

    def work(seed: int) -> None:
        own = random.Random(seed)
        for _ in range(12):
            number = own.randrange(len(cases))
            result = run(call(tiny_random, cases[number], load=load, max_tokens=25))
            assert result.text == alone[number]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


@pytest.mark.slow
@pytest.mark.skipif(not REAL_MODEL, reason="LLMROUTE_TEST_MODEL is not set")
def test_layers_with_a_sliding_window_get_what_they_need() -> None:
    """Beginnings shorter than the window, longer, and such as the window has left behind."""
    model = Path(REAL_MODEL)
    tale = "The king had three sons, and each of them went out to find the bird. " * 100
    tokens = token_ids(model, tale)
    load = {"n_ctx": 4096, "n_parallel": 1}
    for length in (1400, 1450, 300, 1000, 1500):
        prompt = [2, *tokens[:length], *token_ids(model, f" Chapter {length}.")]
        kept = run(call(model, prompt, load=load, max_tokens=1, logprobs=0))
        anew = run(
            call(model, prompt, load=load | {"prefix_cache": False}, max_tokens=1, logprobs=0)
        )
        assert kept.logprobs[0][0].logprob == pytest.approx(anew.logprobs[0][0].logprob, abs=0.3)
        assert kept.logprobs[0][0].token == anew.logprobs[0][0].token
