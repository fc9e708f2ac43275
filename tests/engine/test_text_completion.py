"""What only text completion has: the best of several answers."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from calls_here import Result, Runner, Scripted, call, run, token_ids

from llmroute import text_completion
from llmroute.engine.model import VocabularyOnly
from llmroute.errors import (
    BadRequestError,
    UnsupportedParamsError,
)

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

_END = 3  # <|im_end|> of the tiny models
_SAMPLED = {"temperature": 1.5, "top_k": 0, "seed": 11, "max_tokens": 12}
_SOON = {"logit_bias": {str(_END): 7.0}}
"""Answers end after a few tokens, some at once."""


def ids_by_bytes(model: Path) -> dict[bytes, int]:
    vocabulary = VocabularyOnly(model)
    try:
        size = vocabulary.vocabulary.size
        return {vocabulary.vocabulary.bytes_of(token): token for token in range(size)}
    finally:
        vocabulary.free()


def mean_logprobs(model: Path, prompt: str, result: Result) -> list[float]:
    """How likely each answer is per token, its end included: asked as if it were a prompt."""
    ids, before = ids_by_bytes(model), token_ids(model, prompt)
    means = []
    for tokens, reason in zip(result.logprobs, result.finish_reasons, strict=True):
        answer = [ids[token.raw] for token in tokens] + [_END] * (reason == "stop")
        asked = run(call(model, before + answer, echo=True, logprobs=0, max_tokens=0))
        values = [token.logprob for token in asked.logprobs[0][len(before) :]]
        means.append(fmean(value for value in values if value is not None))
    return means


@pytest.mark.parametrize("ends", [{}, _SOON], ids=["full length", "ended by the model"])
def test_the_best_of_several_answers(
    runner: Runner, tiny_random: Path, ends: dict[str, Any]
) -> None:
    params = _SAMPLED | ends
    every = run(call(tiny_random, n=8, logprobs=0, **params))
    means = mean_logprobs(tiny_random, "Once", every)
    order = sorted(range(8), key=lambda answer: -means[answer])
    assert order != list(range(8))
    assert every.usage is not None
    for n in (1, 3, 8):
        result = runner(call(tiny_random, n=n, best_of=8, **params))
        if n < 8:
            assert result.texts == [every.texts[answer] for answer in order[:n]]
            assert result.finish_reasons == [every.finish_reasons[a] for a in order[:n]]
        else:  # nothing to choose, so they stay as they are
            assert result.texts == every.texts
        assert result.usage is not None
        assert result.usage.completion_tokens == every.usage.completion_tokens
        assert result.usage.prompt_tokens == every.usage.prompt_tokens
    if ends:
        assert set(every.finish_reasons) == {"stop"}
        assert "" in every.texts


def test_each_prompt_has_its_own_best(tiny_random: Path) -> None:
    prompts = ["first", "second one"]
    params: dict[str, Any] = _SAMPLED | {"echo": True}
    every = run(call(tiny_random, prompts, n=4, logprobs=0, **params))
    result = run(call(tiny_random, prompts, n=2, best_of=4, logprobs=0, **params))
    for number, prompt in enumerate(prompts):
        own = slice(number * 4, number * 4 + 4)
        read = len(token_ids(tiny_random, prompt))
        means = [fmean(t.logprob or 0 for t in told[read:]) for told in every.logprobs[own]]
        order = sorted(range(4), key=lambda answer: -means[answer])[:2]
        found = slice(number * 2, number * 2 + 2)
        assert result.texts[found] == [every.texts[own][answer] for answer in order]
        assert all(text.startswith(prompt) for text in result.texts[found])


def test_best_of_in_openai_s_shape(scripted: Scripted) -> None:
    model = f"llamacpp/{scripted('one two', pieces=['one', ' two'])}"
    answer = text_completion(model, "a", best_of=3)
    assert [(c.index, c.text, c.finish_reason) for c in answer.choices] == [(0, "one two", "stop")]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 9
    assert answer.choices[0].logprobs is None
    zero = text_completion(model, "a", best_of=3, n=2, max_tokens=0, echo=True)
    assert [choice.text for choice in zero.choices] == ["a", "a"]
    assert text_completion(model, "a", best_of=2, n=2, stream=True).get_final_completion().usage


def test_who_waits_for_the_best_sees_that_it_goes_on(tiny_random: Path) -> None:
    # Or a time limit for the first piece would be one for all answers.
    result = run(call(tiny_random, ["a", "b"], best_of=3, n=2, max_tokens=20, ignore_eos=True))
    assert result.pieces.index("") == 0
    assert result.pieces.count("") >= 60
    assert len(result.texts) == 4


def test_what_best_of_cannot_be(runner: Runner, tiny_random: Path) -> None:
    for params in ({"best_of": 1, "n": 2}, {"best_of": 0}, {"best_of": 999}, {"best_of": 1.5}):
        with pytest.raises(BadRequestError, match="best_of") as caught:
            runner(call(tiny_random, **params))
        assert caught.value.param == "best_of"
    messages = [{"role": "user", "content": "Hi"}]
    with pytest.raises(UnsupportedParamsError, match="text completions only"):
        runner(call(tiny_random, messages, best_of=2))
    assert len(runner(call(tiny_random, messages, best_of=2, n=2, max_tokens=1)).texts) == 2
    with pytest.raises(BadRequestError, match="cannot stream") as caught:
        text_completion(f"llamacpp/{tiny_random}", "a", best_of=2, stream=True)
    assert caught.value.param == "best_of"
