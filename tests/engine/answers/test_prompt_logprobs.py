"""The log probabilities of a prompt's own tokens: `echo` with `logprobs`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from calls_here import Runner, call, run, token_ids

from llmroute import text_completion
from llmroute.engine.batching.scheduler import within_rows
from llmroute.engine.model import model as engine_model
from llmroute.errors import ContextWindowExceededError, UnsupportedParamsError
from llmroute.local_models import unload
from llmroute.testing.tiny_gguf import write_random

llama_cpp = pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

PROMPT = "the inner thing, in there: the inner thing"
_CLOSE = 0.01  # of numbers computed in other company, with a cache of 16 bits
BOS = "<|begin_of_text|>"


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No test finds what another left in the cache."""
    unload()


def true_logprobs(model: Path, tokens: Sequence[int]) -> np.ndarray[Any, Any]:
    """What llama-cpp-python says: a row of log probabilities after each of the tokens."""
    llama = llama_cpp.Llama(
        str(model), n_ctx=2048, n_threads=1, logits_all=True, verbose=False, flash_attn=False
    )
    llama.eval(tokens)
    logits = np.array(llama.scores[: len(tokens)], np.float64)
    llama.close()
    highest = logits.max(axis=1, keepdims=True)
    return logits - highest - np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))


def test_each_token_of_a_prompt_has_the_probability_the_model_gives_it(
    runner: Runner, tiny_random: Path
) -> None:
    tokens = token_ids(tiny_random, PROMPT)
    assert len(tokens) < len(PROMPT)  # some are longer than a letter
    result = runner(call(tiny_random, PROMPT, echo=True, logprobs=3, max_tokens=5))
    truth = true_logprobs(tiny_random, tokens)
    found = result.logprobs[0]
    assert len(found) == len(tokens) + 5
    assert (found[0].logprob, found[0].top) == (None, ())
    for place in range(1, len(tokens)):
        row = truth[place - 1]
        assert found[place].logprob == pytest.approx(row[tokens[place]], abs=_CLOSE)
        told = [logprob for _, _, logprob in found[place].top]
        assert told == pytest.approx(np.sort(row)[::-1][:3], abs=_CLOSE)
    assert b"".join(token.raw for token in found[: len(tokens)]).decode() == PROMPT
    plain = run(call(tiny_random, PROMPT, logprobs=3, max_tokens=5))
    assert result.text == PROMPT + plain.text
    assert [token.raw for token in found[len(tokens) :]] == [t.raw for t in plain.logprobs[0]]


@pytest.mark.parametrize("max_tokens", [0, 1, 4])
@pytest.mark.parametrize("prompt", ["T", PROMPT], ids=["one token", "many"])
def test_with_any_number_of_tokens_after_it(
    runner: Runner, tiny_random: Path, prompt: str, max_tokens: int
) -> None:
    result = runner(call(tiny_random, prompt, echo=True, logprobs=0, max_tokens=max_tokens))
    count = len(token_ids(tiny_random, prompt))
    assert len(result.logprobs[0]) == count + max_tokens
    assert [found.logprob is None for found in result.logprobs[0]].count(True) == 1
    assert result.finish_reasons == ["length"]
    assert result.text.startswith(prompt)
    assert result.usage is not None
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (count, max_tokens)


def _numbers(model: Path, prompt: Any, **params: Any) -> list[float | None]:
    result = run(call(model, prompt, echo=True, logprobs=0, max_tokens=0, **params))
    return [found.logprob for found in result.logprobs[0]]


def test_nothing_is_taken_from_the_cache(tiny_random: Path) -> None:
    first = run(call(tiny_random, PROMPT, max_tokens=4))
    result = run(call(tiny_random, PROMPT, echo=True, logprobs=0, max_tokens=4))
    assert result.usage is not None
    assert result.usage.cached_tokens == 0
    assert result.text == PROMPT + first.text
    again = run(call(tiny_random, PROMPT, max_tokens=4))  # but it leaves something there
    assert again.usage is not None
    assert again.usage.cached_tokens == len(token_ids(tiny_random, PROMPT)) - 1


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_the_scores_of_few_tokens_are_held_at_a_time(
    tiny_random: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    prompts = [PROMPT * 3, "another", "T", "yet another one"]
    load = {"prefix_cache": False}
    whole = [_numbers(tiny_random, prompt, load=load) for prompt in prompts]
    unload()
    # As with a vocabulary so large that the scores of no more tokens fit.
    vocabulary = 4 * (4 + 256 + 5)
    monkeypatch.setattr(engine_model, "_SCORE_BYTES", rows * vocabulary)
    result = run(call(tiny_random, prompts, echo=True, logprobs=0, max_tokens=0, load=load))
    for found, expected in zip(result.logprobs, whole, strict=True):
        assert found[0].logprob is None
        values = [token.logprob for token in found[1:]]
        assert values == pytest.approx(expected[1:], abs=_CLOSE)


def test_answers_to_one_prompt_have_it_scored_once(runner: Runner, tiny_random: Path) -> None:
    params = {"echo": True, "logprobs": 1, "max_tokens": 3, "n": 5, "load": {"n_parallel": 2}}
    result = runner(call(tiny_random, [PROMPT, PROMPT[4:]], **params))
    for index, prompt in enumerate([PROMPT] * 5 + [PROMPT[4:]] * 5):
        expected = _numbers(tiny_random, prompt)
        found = [token.logprob for token in result.logprobs[index][: len(expected)]]
        assert found[0] is None
        assert found[1:] == pytest.approx(expected[1:], abs=_CLOSE)
        assert result.texts[index].startswith(prompt)
    assert result.usage is not None
    assert result.usage.completion_tokens == 30


def test_a_prompt_that_must_be_read_again_has_each_token_scored_once(
    tiny_random: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Four answers outgrow the cache while a long prompt is read token by token: it gives its cells
    # back and begins anew.
    monkeypatch.setattr(engine_model, "_SCORE_BYTES", 1)
    prompts = [f"in there {number}" for number in range(4)] + [PROMPT * 11]
    load = {"n_ctx": 1024, "n_parallel": 5}
    result = run(call(tiny_random, prompts, echo=True, logprobs=0, max_tokens=300, load=load))
    unload()
    for prompt, text, told in zip(prompts, result.texts, result.logprobs, strict=True):
        expected = _numbers(tiny_random, prompt)
        found = [token.logprob for token in told]
        assert len(found) == len(expected) + 300
        assert found[1 : len(expected)] == pytest.approx(expected[1:], abs=_CLOSE)
        assert text.startswith(prompt)


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("é日 in", ["é", "", "日", "", "", " ", "in"]),
        ("a<|im_end|>b", ["a", "<|im_end|>", "b"]),
        ([65, 66], None),
    ],
    ids=["characters of several tokens", "control token", "ids"],
)
def test_offsets_are_places_in_the_echoed_text(
    tiny_random: Path, prompt: Any, pieces: list[str] | None
) -> None:
    model = f"llamacpp/{tiny_random}"
    params: dict[str, Any] = {"echo": True, "logprobs": 2, "max_tokens": 6, "temperature": 0}
    answer = text_completion(model, prompt, **params)
    choice = answer.choices[0]
    told = choice.logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.token_logprobs is not None
    assert told.top_logprobs is not None
    assert told.text_offset is not None
    lengths = {len(told.tokens), len(told.token_logprobs), len(told.top_logprobs)}
    assert lengths == {len(told.text_offset)}
    assert (told.token_logprobs[0], told.top_logprobs[0], told.text_offset[0]) == (None, None, 0)
    assert all(value is not None for value in told.token_logprobs[1:])
    ends = [*told.text_offset[1:], len(choice.text)]
    shown = [choice.text[a:b] for a, b in zip(told.text_offset, ends, strict=True)]
    assert "".join(shown) == choice.text
    plain = text_completion(model, prompt, max_tokens=6, temperature=0).text
    assert choice.text.endswith(plain)
    if pieces is not None:
        texts = [text for text in pieces if text]
        assert [text for text in shown[: len(pieces)] if text] == texts
        assert told.text_offset[len(pieces)] == len("".join(pieces))
    chunks = list(text_completion(model, prompt, stream=True, **params))
    assert "".join(chunk.text for chunk in chunks) == choice.text
    streamed = [chunk.choices[0].logprobs for chunk in chunks if chunk.choices[0].logprobs]
    for name in ("tokens", "token_logprobs", "text_offset", "top_logprobs"):
        assert [item for piece in streamed for item in piece[name]] == told[name]


def test_a_prompt_that_ends_within_a_character(tiny_random: Path) -> None:
    ids = token_ids(tiny_random, "日")[:2]
    params: dict[str, Any] = {"echo": True, "logprobs": 0, "max_tokens": 4, "temperature": 0}
    choice = text_completion(f"llamacpp/{tiny_random}", ids, **params).choices[0]
    assert choice.text.startswith("\ufffd")
    assert choice.logprobs is not None
    assert choice.logprobs.text_offset is not None
    assert choice.logprobs.text_offset[:3] == [0, 0, 1]


def test_the_first_token_that_a_vocabulary_puts_before_a_text(tmp_path: Path) -> None:
    model = write_random(tmp_path / "bos.gguf", add_bos=True)
    result = run(call(model, "Once", echo=True, logprobs=1, max_tokens=0))
    assert [found.token for found in result.logprobs[0]] == ["", "O", "n", "c", "e"]
    assert [found.logprob is None for found in result.logprobs[0]] == [True] + [False] * 4
    written = run(call(model, f"{BOS}Once", echo=True, logprobs=1, max_tokens=0))
    assert [found.token for found in written.logprobs[0]] == [BOS, "", "O", "n", "c", "e"]
    assert result.text + "|" + written.text == f"Once|{BOS}Once"


def test_what_makes_no_sense_is_refused(runner: Runner, tiny_random: Path) -> None:
    with pytest.raises(UnsupportedParamsError, match="beside suffix"):
        runner(call(tiny_random, echo=True, logprobs=1, suffix="x"))
    messages = [{"role": "user", "content": "Hi"}]
    with pytest.raises(UnsupportedParamsError, match="of a chat"):
        runner(call(tiny_random, messages, echo=True, logprobs=True))
    with pytest.raises(ContextWindowExceededError):
        runner(call(tiny_random, [9] * 300, echo=True, logprobs=1, load={"n_ctx": 300}))


def test_the_room_for_scores_is_shared_by_the_prompts_of_a_step() -> None:
    scored, other = (
        SimpleNamespace(prompt=SimpleNamespace(logprobs_pending=pending))
        for pending in (True, False)
    )
    shares: Any = [(scored, 5), (other, 9), (scored, 5), (scored, 5)]
    assert within_rows(shares, 8) == [(scored, 5), (other, 9), (scored, 3)]
