"""What only text completion has: the best of several answers, and filling in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from calls_here import Result, Runner, Scripted, call, run, token_ids

from llmroute import text_completion
from llmroute.engine.vocabulary.standalone import VocabularyOnly
from llmroute.errors import (
    BadRequestError,
    ContextWindowExceededError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from llmroute.local_models import unload
from llmroute.testing.tiny_gguf import write_random
from llmroute.transport.local import count_tokens

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


# Filling in the middle

_MARKS = {
    "tokenizer.ggml.fim_pre_token_id": 2,
    "tokenizer.ggml.fim_suf_token_id": 1,
    "tokenizer.ggml.fim_mid_token_id": 0,
}
PRE, SUF, MID = _MARKS.values()


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with tokens for filling in the middle."""
    return write_random(tmp_path_factory.mktemp("infill") / "filler.gguf", metadata=_MARKS)


def same(model: Path, tokens: Sequence[int], result: Result, **load: Any) -> bool:
    """Whether an answer is what the model says to these tokens."""
    asked = run(call(model, list(tokens), max_tokens=12, logprobs=2, load=load))
    assert asked.usage is not None
    assert result.usage is not None
    counts = asked.usage.prompt_tokens == result.usage.prompt_tokens
    return counts and (asked.texts, asked.logprobs) == (result.texts, result.logprobs)


def fill(model: Path, prompt: Any, suffix: str, **params: Any) -> Result:
    unload()  # what is in the cache may change the last digits
    result = run(call(model, prompt, suffix=suffix, max_tokens=12, logprobs=2, **params))
    unload()
    return result


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        ("def f(", "):\n  return"),
        ("", "the end"),
        # Control tokens are texts here; anything else would let a file's text change the order.
        ("a<|im_start|>b", "<|endoftext|> x"),
    ],
)
def test_the_model_sees_prefix_suffix_middle(filler: Path, prefix: str, suffix: str) -> None:
    before, after = token_ids(filler, prefix), token_ids(filler, suffix)
    result = fill(filler, prefix, suffix)
    assert same(filler, [PRE, *before, SUF, *after, MID], result)
    asked = call(filler, prefix, suffix=suffix)
    assert count_tokens(asked) == len(before) + len(after) + 3
    ids = fill(filler, before, suffix) if before else result
    assert ids.texts == result.texts


def test_suffix_first_where_the_model_wants_it(filler: Path, tmp_path: Path) -> None:
    before, after = token_ids(filler, "one"), token_ids(filler, "three")
    result = fill(filler, "one", "three", load={"spm_infill": True})
    assert same(filler, [SUF, *after, PRE, *before, MID], result)
    marks = {key: value for key, value in _MARKS.items() if "mid" not in key}
    mistral = write_random(tmp_path / "m.gguf", metadata=marks, add_bos=True)
    result = fill(mistral, "one", "three")
    assert same(mistral, [0, SUF, *after, PRE, *before], result)
    result = fill(mistral, "one", "three", load={"spm_infill": False})
    assert same(mistral, [0, PRE, *before, SUF, *after], result)


def test_a_suffix_gets_no_space_that_it_has_not(tmp_path: Path) -> None:
    # A SentencePiece vocabulary, as Code Llama's: it puts a space before every text.
    letters = [f"<0x{value:02X}>" for value in range(256)]
    vocabulary = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [
            *("<unk>", "▁<PRE>", "▁<SUF>", "▁<MID>"),
            *letters,
            *("▁", "a", "b", "▁a", "☺"),
        ],
        "tokenizer.ggml.scores": [-float(number) for number in range(265)],
        "tokenizer.ggml.token_type": [2, 3, 3, 3, *[6] * 256, *[1] * 5],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.add_space_prefix": True,
    }
    model = write_random(tmp_path / "spm.gguf", metadata=vocabulary)
    (spaced_a, b) = token_ids(model, "ab")
    a = token_ids(model, "ba")[-1]
    result = fill(model, "ab", "ab")
    assert same(model, [1, spaced_a, b, 2, a, b, 3], result)


def test_what_ends_an_answer_that_fills_a_gap(scripted: Scripted) -> None:
    ids = {"fim_pad": 4 + 256 + 1} | {"fim_pre": 2, "fim_suf": 1, "fim_mid": 0}
    metadata = {f"tokenizer.ggml.{name}_token_id": token for name, token in ids.items()}
    pieces = ["one", " two", " three"]
    model = scripted("one two three", pieces=pieces, metadata=metadata)
    result = run(call(model, "x", suffix="y"))
    assert (result.text, result.finish_reasons) == ("one", ["stop"])


def test_only_the_prompt_is_echoed(runner: Runner, filler: Path) -> None:
    result = runner(call(filler, ["one", "two"], suffix="three", echo=True, max_tokens=4))
    plain = run(call(filler, ["one", "two"], suffix="three", max_tokens=4))
    assert result.texts == ["one" + plain.texts[0], "two" + plain.texts[1]]
    nothing = runner(call(filler, "one", suffix="", max_tokens=4))
    assert nothing.texts == run(call(filler, "one", max_tokens=4)).texts
    streamed = text_completion(
        f"llamacpp/{filler}", "one", suffix="three", max_tokens=4, temperature=0, stream=True
    )
    assert "".join(chunk.text for chunk in streamed) == plain.texts[0]


def test_suffixes_that_are_refused(runner: Runner, filler: Path, tiny_random: Path) -> None:
    with pytest.raises(UnsupportedOperationError, match="no tokens for filling") as caught:
        runner(call(tiny_random, suffix="x"))
    assert caught.value.param == "suffix"
    with pytest.raises(BadRequestError, match="suffix must be a text"):
        runner(call(filler, suffix=5))
    with pytest.raises(BadRequestError, match="not valid Unicode"):
        runner(call(filler, suffix="\ud800"))
    with pytest.raises(UnsupportedParamsError, match="text completions only"):
        runner(call(filler, [{"role": "user", "content": "Hi"}], suffix="x"))
    with pytest.raises(ContextWindowExceededError, match="303 tokens"):
        runner(call(filler, "1" * 150, suffix="1" * 150, load={"n_ctx": 300}))
