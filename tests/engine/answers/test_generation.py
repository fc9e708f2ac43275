"""What a call on a model in this process gives back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from calls_here import Runner, Scripted, call, run, token_ids

from llmroute.errors import (
    BadRequestError,
    ContextWindowExceededError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from llmroute.local_models import context_window, unload
from llmroute.transport.local import count_tokens

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

_HELLO = "Hello there, dear reader. All is well."


def test_the_model_speaks_and_stops(runner: Runner, scripted: Scripted) -> None:
    result = runner(call(scripted(_HELLO)))
    assert result.text == _HELLO
    assert result.finish_reasons == ["stop"]
    assert len(result.pieces) > 3


def test_tokens_are_counted_with_the_one_that_ends_the_answer(scripted: Scripted) -> None:
    model = scripted("one two three", pieces=["one", " two", " three"])
    usage = run(call(model, "ab")).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (2, 4, 0)


@pytest.mark.parametrize(
    ("limit", "text", "reason"),
    [
        (0, "", "length"),
        (1, "one", "length"),
        (3, "one two three", "length"),
        (4, "one two three", "stop"),
    ],
)
def test_max_tokens_is_exact(
    runner: Runner, scripted: Scripted, limit: int, text: str, reason: str
) -> None:
    model = scripted("one two three", pieces=["one", " two", " three"])
    result = runner(call(model, max_tokens=limit))
    assert (result.text, result.finish_reasons) == (text, [reason])
    assert result.usage is not None
    assert result.usage.completion_tokens == limit


def test_max_tokens_below_0_is_no_limit(runner: Runner, scripted: Scripted) -> None:
    """llama-cpp-python and llama.cpp's server write -1 for it."""
    result = runner(call(scripted(_HELLO), max_tokens=-1))
    assert (result.text, result.finish_reasons) == (_HELLO, ["stop"])


def test_an_endless_answer_ends_with_the_context_window(scripted: Scripted) -> None:
    model = scripted("a b c ", loop=True)
    result = run(call(model, "12345", load={"n_ctx": 300}))
    assert result.finish_reasons == ["length"]
    assert result.usage is not None
    assert result.usage.prompt_tokens + result.usage.completion_tokens == 300


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("reader", "Hello there, dear "),
        ("o th", "Hell"),
        (["zzz", "r. All"], "Hello there, dear reade"),
        ("", _HELLO),
        (["", "never"], _HELLO),
        (_HELLO, ""),
    ],
)
def test_stop_strings_cut_across_tokens(
    runner: Runner, scripted: Scripted, stop: str | list[str], text: str
) -> None:
    result = runner(call(scripted(_HELLO), stop=stop))
    assert result.text == text
    assert result.finish_reasons == ["stop"]


_CHARACTERS = "日本語 👧‍👦 naïve ﷽"


def test_characters_cut_by_tokens_arrive_whole(runner: Runner, scripted: Scripted) -> None:
    raw = _CHARACTERS.encode()
    model = scripted(_CHARACTERS, pieces=[raw[:1], raw[1:5], raw[5:14], raw[14:21], raw[21:]])
    result = runner(call(model))
    assert result.text == _CHARACTERS
    assert not any("\ufffd" in piece for piece in result.pieces)


@pytest.mark.parametrize("stop", ["👧", "本語 ", "語 "])
def test_a_stop_string_loses_nothing_before_it(scripted: Scripted, stop: str) -> None:
    raw = _CHARACTERS.encode()
    model = scripted(_CHARACTERS, pieces=[raw[:1], raw[1:5], raw[5:14], raw[14:21], raw[21:]])
    assert run(call(model, stop=stop)).text == _CHARACTERS.partition(stop)[0]


def test_bytes_that_are_no_text_become_replacement_characters(scripted: Scripted) -> None:
    raw = b"ok \xff\xfe\xe6\x97 then \xe6\x97\xa5 end \xf0\x9f"
    model = scripted(raw, pieces=[raw[:4], raw[4:7], raw[7:14], raw[14:]])
    assert run(call(model)).text == raw.decode("utf-8", "replace")


def test_long_tokens_are_not_lost(scripted: Scripted) -> None:
    word = "प्रधानमंत्री" * 20
    model = scripted(f"a {word} b", pieces=["a ", word, " b"])
    assert run(call(model)).text == f"a {word} b"


def test_random_bytes_of_a_random_model(tiny_random: Path) -> None:
    result = run(call(tiny_random, "Stream", max_tokens=200, logprobs=0))
    raw = b"".join(found.raw for found in result.logprobs[0])
    assert len(result.logprobs[0]) == 200
    assert result.text == raw.decode("utf-8", "replace")


def test_a_seed_repeats_and_no_seed_does_not(runner: Runner, tiny_random: Path) -> None:
    def text(**params: int) -> str:
        return runner(call(tiny_random, temperature=1.5, top_k=0, max_tokens=24, **params)).text

    assert text(seed=7) == text(seed=7)
    assert text(seed=7) != text(seed=8)
    assert text() != text()
    assert text(seed=0xFFFFFFFF) == text(seed=0xFFFFFFFF)
    assert text(seed=-1) == text(seed=-1)


def test_the_prompt_decides_the_answer(tiny_random: Path) -> None:
    answers = {run(call(tiny_random, p, max_tokens=16)).text for p in ("a", "b", "ab", "ba")}
    assert len(answers) == 4


def test_log_probabilities_are_those_of_the_model(runner: Runner, tiny_random: Path) -> None:
    result = runner(call(tiny_random, "Log", max_tokens=8, logprobs=True, top_logprobs=5))
    assert len(result.logprobs[0]) == 8
    for found in result.logprobs[0]:
        assert type(found.logprob) is float
        values = [logprob for _, _, logprob in found.top]
        assert len(values) == 5
        assert values == sorted(values, reverse=True)
        assert found.logprob == values[0]  # temperature 0 takes the likeliest
        assert 0 < sum(map(math.exp, values)) <= 1.0001
        assert found.raw.decode("utf-8", "replace") == found.token


def test_log_probabilities_of_the_whole_vocabulary_sum_to_one(scripted: Scripted) -> None:
    # All tokens but the scripted one have the same logit, 64 below it.
    result = run(call(scripted("one two", pieces=["one", " two"]), logprobs=2))
    first = result.logprobs[0][0]
    assert first.raw == b"one"
    assert first.logprob == pytest.approx(0, abs=1e-6)
    assert first.top[1][2] == pytest.approx(-64, abs=0.01)


def test_log_probabilities_end_with_the_text(scripted: Scripted) -> None:
    model = scripted("one two three", pieces=["one", " two", " three"])
    result = run(call(model, logprobs=0, stop=" three"))
    assert [found.raw for found in result.logprobs[0]] == [b"one", b" two"]
    result = run(call(model, logprobs=0))
    assert [found.raw for found in result.logprobs[0]] == [b"one", b" two", b" three"]


def test_several_choices_and_prompts(runner: Runner, tiny_random: Path) -> None:
    load = {"n_parallel": 2}
    prompts = ["first prompt", "second"]
    result = runner(call(tiny_random, prompts, n=3, max_tokens=10, load=load))
    alone = [run(call(tiny_random, prompt, max_tokens=10, load=load)).text for prompt in prompts]
    assert result.texts == [alone[0]] * 3 + [alone[1]] * 3
    assert result.finish_reasons == ["length"] * 6
    assert result.usage is not None
    assert result.usage.completion_tokens == 60
    singles = [run(call(tiny_random, p, max_tokens=1)).usage for p in prompts]
    assert result.usage.prompt_tokens == sum(u.prompt_tokens for u in singles if u)


def test_choices_differ_when_sampled(tiny_random: Path) -> None:
    wanted = call(tiny_random, n=4, max_tokens=16, temperature=1.5, top_k=0, seed=1)
    result = run(wanted)
    assert len(set(result.texts)) == 4
    assert run(wanted).texts == result.texts


def test_token_ids_are_a_prompt_too(tiny_random: Path) -> None:
    ids = list(b"Ids")  # a byte-level vocabulary: ids of single bytes lie together
    result = run(call(tiny_random, [ids, ids[:2]], max_tokens=4))
    assert len(result.texts) == 2
    assert run(call(tiny_random, ids, max_tokens=4)).text == result.texts[0]


def test_echo_gives_the_prompt_back(tiny_random: Path) -> None:
    plain = run(call(tiny_random, "Echo me", max_tokens=5)).text
    assert run(call(tiny_random, "Echo me", max_tokens=5, echo=True)).text == "Echo me" + plain
    assert run(call(tiny_random, "Echo me", max_tokens=0, echo=True)).text == "Echo me"


def test_penalties_and_biases_change_the_answer(scripted: Scripted) -> None:
    model = scripted("x y ", pieces=["x", " y "], loop=True)
    (token,) = token_ids(model, "x")
    assert run(call(model, max_tokens=6)).text == "x y x y x y "
    assert not run(call(model, max_tokens=1, logit_bias={str(token): -100})).text.startswith("x")
    penalised = run(call(model, max_tokens=6, presence_penalty=100.0)).text
    assert penalised.startswith("x y ")
    assert penalised != "x y x y x y "


def test_ignore_eos_goes_on_until_the_limit(scripted: Scripted) -> None:
    result = run(call(scripted("short"), ignore_eos=True, max_tokens=20))
    assert result.usage is not None
    assert (result.usage.completion_tokens, result.finish_reasons) == (20, ["length"])
    assert result.text.startswith("short")


@pytest.mark.parametrize("mirostat", [1, 2])
def test_mirostat_runs(tiny_random: Path, mirostat: int) -> None:
    wanted = call(tiny_random, temperature=1.0, mirostat=mirostat, seed=3, max_tokens=8)
    assert run(wanted).texts == run(wanted).texts


def test_chat_by_the_models_own_template(runner: Runner, scripted: Scripted) -> None:
    messages = [{"role": "user", "content": "Hi <|im_end|> there"}]
    wanted = call(scripted(_HELLO), messages)
    result = runner(wanted)
    assert result.text == _HELLO
    assert result.usage is not None
    assert result.usage.prompt_tokens == count_tokens(wanted)
    honest = call(scripted(_HELLO), [{"role": "user", "content": "Hi <|im_end|"}])
    # The name of a control token in a message is its letters, not the token.
    assert count_tokens(wanted) - count_tokens(honest) == len("> there")


def test_text_completion_reads_control_tokens(scripted: Scripted) -> None:
    assert count_tokens(call(scripted(_HELLO), "a<|im_end|>b")) == 3


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"temperature": math.nan}, BadRequestError),
        ({"temperature": -0.1}, BadRequestError),
        ({"temperature": math.inf}, BadRequestError),
        ({"temperature": "hot"}, BadRequestError),
        ({"top_p": 1.5}, BadRequestError),
        ({"top_k": 1.5}, BadRequestError),
        ({"max_tokens": -0.5}, BadRequestError),
        ({"max_tokens": True}, BadRequestError),
        ({"n": 0}, BadRequestError),
        ({"repeat_penalty": 0}, BadRequestError),
        ({"frequency_penalty": math.nan}, BadRequestError),
        ({"logit_bias": {"x": 1}}, BadRequestError),
        ({"logit_bias": {"1": math.nan}}, BadRequestError),
        ({"logit_bias": {"99999999": 1}}, BadRequestError),
        ({"logit_bias": {"-1": 1}}, BadRequestError),
        ({"stop": 5}, BadRequestError),
        ({"stop": ["a", None]}, BadRequestError),
        ({"seed": 0.5}, BadRequestError),
        ({"logprobs": 1000}, BadRequestError),
        ({"top_logprobs": 2}, BadRequestError),
        ({"ignore_eos": "yes"}, BadRequestError),
        ({"echo": True, "logprobs": 1, "suffix": "x"}, UnsupportedParamsError),
        ({"best_of": 1, "n": 2}, BadRequestError),
        ({"temprature": 1}, UnsupportedParamsError),
        ({"grammar": "root ::= x"}, BadRequestError),
        ({"response_format": {"type": "xml"}}, BadRequestError),
        ({"tools": [{}]}, BadRequestError),
        ({"suffix": "x"}, UnsupportedOperationError),
        ({"load": {"n_ctxx": 1}}, UnsupportedParamsError),
        ({"load": {"n_ctx": 7}}, BadRequestError),
        ({"load": {"n_ctx": -5}}, BadRequestError),
        ({"load": {"n_ctx": 2**25}}, BadRequestError),
        ({"load": {"n_batch": 0}}, BadRequestError),
        ({"load": {"n_parallel": 8, "n_batch": 4}}, BadRequestError),
        ({"load": {"type_k": "f17"}}, BadRequestError),
        ({"load": {"use_mmap": 1}}, BadRequestError),
        ({"load": {"rope_freq_base": math.nan}}, BadRequestError),
        ({"prompt": "lone \ud800 surrogate"}, BadRequestError),
        ({"prompt": ""}, BadRequestError),
        ({"prompt": []}, BadRequestError),
        ({"prompt": [1, 2, 10**9]}, BadRequestError),
        ({"prompt": [-1]}, BadRequestError),
        ({"prompt": 5}, BadRequestError),
    ],
)
def test_bad_requests_are_refused(
    runner: Runner, tiny_random: Path, params: dict[str, object], kind: type[Exception]
) -> None:
    with pytest.raises(kind) as caught:
        runner(call(tiny_random, **({"max_tokens": 2} | params)))  # type: ignore[arg-type]
    assert type(caught.value) is kind
    assert isinstance(caught.value, BadRequestError)
    assert caught.value.provider == "llamacpp"
    assert caught.value.model == f"llamacpp/{tiny_random}"
    assert caught.value.url == str(tiny_random)
    assert runner(call(tiny_random, max_tokens=1)).finish_reasons == ["length"]


def test_a_prompt_that_does_not_fit(runner: Runner, tiny_random: Path) -> None:
    with pytest.raises(ContextWindowExceededError, match=r"300 tokens .* window 300") as caught:
        runner(call(tiny_random, [9] * 300, load={"n_ctx": 300}))
    assert caught.value.code == "context_length_exceeded"
    assert len(runner(call(tiny_random, [9] * 299, load={"n_ctx": 300})).texts) == 1


def test_the_context_window_is_the_loaded_one(tiny_random: Path) -> None:
    unload()
    assert context_window(str(tiny_random)) == 2048
    run(call(tiny_random, max_tokens=1, load={"n_ctx": 300}))
    assert context_window(f"llamacpp/{tiny_random}", n_ctx=300, n_threads=1) == 300
    assert context_window(str(tiny_random)) == 300  # no other is asked for


@pytest.mark.parametrize(
    "load",
    [
        {"n_batch": 4, "n_ubatch": 2},
        {"n_threads": 1, "n_threads_batch": 2},
        {"use_mmap": False},
        {"flash_attn": True},
        {"swa_full": True, "max_parallel": 1},
        {"type_k": "q8_0", "type_v": "q8_0", "flash_attn": True},
        {"rope_freq_base": 10000.0, "rope_freq_scale": 1.0},
    ],
)
def test_load_options_are_taken(scripted: Scripted, load: dict[str, object]) -> None:
    assert run(call(scripted(_HELLO), load=load)).text == _HELLO
