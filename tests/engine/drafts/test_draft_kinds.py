"""Both kinds of drafts through the calls users make: what they change, and what is refused."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from calls_here import Runner, Scripted, call, patient, run, token_ids
from pngs import RED, asking, part, png

import llmroute
from llmroute import register_local_model
from llmroute.engine.gguf.check import read_header
from llmroute.engine.memory.limit import needed_bytes
from llmroute.engine.options.load import LoadOptions
from llmroute.errors import BadRequestError, ModelFileError, NotFoundError
from llmroute.local_models import unload
from llmroute.testing.tiny_gguf import write_random, write_scripted
from llmroute.testing.tiny_mmproj import write_mmproj
from llmroute.testing.tiny_recurrent import write_hybrid, write_recurrent
from llmroute.transport.local import open_local

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

REAL_MODEL = os.environ.get("LLMROUTE_TEST_MODEL", "")
LOOKUP = {"draft_model": "prompt_lookup"}


_SONG = "on and on, over hill and dale "


@pytest.fixture
def looping(scripted: Scripted) -> Path:
    return scripted(_SONG, loop=True)


@pytest.fixture
def slow(scripted: Scripted) -> Path:
    """Says the same, with more to compute."""
    return scripted(_SONG, loop=True, layers=24)


def with_model(path: Path) -> dict[str, Any]:
    return {"draft_model": str(path)}


def test_both_kinds_draft(runner: Runner, slow: Path, looping: Path) -> None:
    plain = runner(call(slow, max_tokens=100))
    for load in (LOOKUP, with_model(looping)):
        unload()  # with what was measured
        drafted = runner(call(slow, max_tokens=100, load=load))
        assert drafted.text == plain.text
        assert drafted.usage is not None
        assert drafted.usage.completion_tokens == 100
        assert drafted.usage.accepted_tokens > 0
        assert drafted.usage.rejected_tokens == 0


def test_the_usage_tells_of_drafts(slow: Path) -> None:
    def usage(**load: Any) -> Any:
        load |= {"n_threads": 1}
        llmroute.unload()
        return llmroute.text_completion(
            f"llamacpp/{slow}", "Once", max_tokens=100, temperature=0, model_kwargs=load
        ).usage

    assert usage().completion_tokens_details is None
    details = usage(**LOOKUP).completion_tokens_details
    assert details.accepted_prediction_tokens > 0
    assert details.rejected_prediction_tokens == 0


def test_a_draft_model_that_says_something_else_changes_nothing(scripted: Scripted) -> None:
    # Both have the same tokens; the other one goes through them in another order.
    pieces = ["ab", "cd", "ef", "gh"]
    model = scripted("abcdefgh", pieces=pieces, loop=True)
    other = scripted("ghabefcd", pieces=["gh", "ab", "ef", "cd"], loop=True)
    with pytest.raises(ModelFileError, match="token 260 is 'ab' and 'gh'"):
        run(call(model, max_tokens=5, load=with_model(other)))


def test_a_random_draft_model_changes_nothing(tmp_path: Path, tiny_random: Path) -> None:
    other = write_random(tmp_path / "other.gguf", seed=3)
    for params in ({}, {"temperature": 0.8, "seed": 4, "n": 3}, {"stop": ["e"]}):
        plain = run(call(tiny_random, max_tokens=80, **params))
        drafted = run(call(tiny_random, max_tokens=80, load=with_model(other), **params))
        assert drafted.texts == plain.texts


@pytest.mark.parametrize("window", [None, 16])
def test_many_at_once_with_a_draft_model(tmp_path: Path, window: int | None) -> None:
    """Prompts alike and different, a cache that is too small, and readers who leave."""
    model = write_random(tmp_path / "model.gguf")
    load = with_model(write_random(tmp_path / "draft.gguf", window=window)) | {"n_ctx": 600}
    rng = random.Random(7)
    trunk = [rng.randrange(40, 90) for _ in range(80)]
    cases = [
        [*trunk[: rng.choice([0, 40, 80])], *(rng.randrange(40, 90) for _ in range(k))]
        for k in (1, 10, 90)
        for _ in range(3)
    ]
    alone = [run(call(model, case, max_tokens=60, load={"n_ctx": 600})).text for case in cases]

    def work(seed: int) -> None:
        own = random.Random(seed)
        for _ in range(6):
            if own.random() < 0.2:
                stream = open_local(call(model, "go on", max_tokens=500, load=load), patient())
                next(stream)
                stream.close()
                continue
            number = own.randrange(len(cases))
            assert run(call(model, cases[number], max_tokens=60, load=load)).text == alone[number]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


def test_a_draft_model_with_a_short_memory_stops_in_time(tmp_path: Path) -> None:
    model = write_scripted(tmp_path / "model.gguf", "on and off ", loop=True, layers=24)
    short = write_scripted(tmp_path / "short.gguf", "on and off ", loop=True, n_ctx=256)
    plain = run(call(model, max_tokens=900))
    drafted = run(call(model, max_tokens=900, load=with_model(short)))
    assert drafted.text == plain.text
    assert drafted.usage is not None
    assert 0 < drafted.usage.accepted_tokens < 256


def test_a_long_prompt_is_read_into_the_draft_model_in_parts(slow: Path, looping: Path) -> None:
    load = with_model(looping) | {"n_batch": 32}
    prompt = [60 + number % 9 for number in range(500)]
    drafted = run(call(slow, prompt, max_tokens=150, load=load))
    assert drafted.text == run(call(slow, prompt, max_tokens=150)).text
    assert drafted.usage is not None
    assert drafted.usage.accepted_tokens > 0


def test_a_stop_string_across_drafted_tokens(looping: Path) -> None:
    stop = ["hill and dale on and on, over hill and dale on and on"]
    plain = run(call(looping, "on and on, ", max_tokens=200, stop=stop))
    for load in (LOOKUP, with_model(looping)):
        drafted = run(call(looping, "on and on, ", max_tokens=200, stop=stop, load=load))
        assert (drafted.text, drafted.finish_reasons) == (plain.text, ["stop"])


def test_what_drafts_computed_is_not_taken_for_what_was_said(tiny_random: Path) -> None:
    """The next turn reads on from what was confirmed."""
    story = [50, 51, 52, 53] * 10
    for load in (LOOKUP, with_model(tiny_random)):
        unload()
        first = run(call(tiny_random, story, max_tokens=50, load=load))
        second = [*story, *token_ids(tiny_random, first.text), 60]
        again = run(call(tiny_random, second, max_tokens=30, load=load))
        anew = run(call(tiny_random, second, max_tokens=30, load={"prefix_cache": False}))
        assert again.text == anew.text


# What is refused


def test_what_is_no_draft_model(tiny_random: Path, tmp_path: Path) -> None:
    class LlamaPromptLookupDecoding:
        num_pred_tokens = 10

    for load, kind, said in [
        ({"draft_model": str(tmp_path / "missing.gguf")}, NotFoundError, "missing"),
        ({"draft_model": LlamaPromptLookupDecoding()}, BadRequestError, "n_draft=10"),
        ({"draft_model": 5}, BadRequestError, "prompt_lookup"),
        ({"n_draft": 4}, BadRequestError, "draft_model"),
        (LOOKUP | {"n_draft": 0}, BadRequestError, "n_draft"),
        (LOOKUP | {"n_draft": 65}, BadRequestError, "n_draft"),
        (LOOKUP | {"embeddings": True}, BadRequestError, "embedding"),
    ]:
        with pytest.raises(kind, match=said):
            run(call(tiny_random, load=load))
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny_random.read_bytes()[:300])
    with pytest.raises(ModelFileError):
        run(call(tiny_random, load=with_model(broken)))


def test_a_draft_model_is_named_as_models_are(
    looping: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMROUTE_MODELS_DIR", str(looping.parent))
    register_local_model("draft", looping)
    for name in ("draft", looping.name, looping.stem):
        assert run(call(looping, max_tokens=3, load={"draft_model": name})).usage is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokenizer.ggml.add_bos_token": True}, "they add None and 0"),
        ({"tokenizer.ggml.add_eos_token": True}, "they add None and 3"),
        ({"tokenizer.ggml.model": "bert"}, "tokenizers are of types 2 and 3"),
    ],
)
def test_another_vocabulary(
    tiny_random: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    other = write_random(tmp_path / "other.gguf", metadata=change)
    with pytest.raises(ModelFileError, match=said) as caught:
        run(call(tiny_random, load=with_model(other)))
    assert str(other) in caught.value.message
    assert caught.value.param == "draft_model"


def test_a_vocabulary_of_another_size(scripted: Scripted) -> None:
    many = scripted("".join(f"<{n}>" for n in range(200)), pieces=[f"<{n}>" for n in range(200)])
    few = scripted("<0><1>", pieces=["<0>", "<1>"])
    with pytest.raises(ModelFileError, match="they have 460 and 262 tokens"):
        run(call(many, load=with_model(few)))


def test_a_draft_model_counts_as_memory(tiny_random: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"n_ctx": 256}
    size = needed_bytes(read_header(tiny_random), LoadOptions(n_ctx=256), 256)
    monkeypatch.setenv("LLMROUTE_LLAMACPP_MEMORY", str(size * 3 // 2))
    unload()
    assert run(call(tiny_random, max_tokens=1, load=small)).text
    with pytest.raises(BadRequestError, match="MEMORY"):
        run(call(tiny_random, max_tokens=1, load=small | with_model(tiny_random)))


@pytest.mark.parametrize("write", [write_recurrent, write_hybrid])
def test_recurrent_models_neither_draft_nor_are_drafted_for(
    write: Callable[..., Path], tmp_path: Path, tiny_random: Path
) -> None:
    recurrent = write(tmp_path / "recurrent.gguf")
    plain = run(call(recurrent, max_tokens=5)).text
    for load in (LOOKUP, with_model(tiny_random)):
        with pytest.raises(BadRequestError, match="draft_model cannot be used with a recurrent"):
            run(call(recurrent, max_tokens=5, load=load))
    with pytest.raises(ModelFileError, match="recurrent or hybrid"):
        run(call(tiny_random, max_tokens=5, load=with_model(recurrent)))
    assert run(call(recurrent, max_tokens=5)).text == plain


def test_an_image_in_the_prompt(tmp_path: Path, tiny_random: Path) -> None:
    encoder = {"mmproj": str(write_mmproj(tmp_path / "mmproj.gguf"))}
    question = asking("abcabcabc", part(png(RED)), "abcabcabc")

    def answer(**load: Any) -> Any:
        load |= encoder | {"n_threads": 1}
        wanted = {"max_tokens": 60, "temperature": 0, "model_kwargs": load}
        return llmroute.completion(f"llamacpp/{tiny_random}", question, **wanted)

    plain = answer()
    for load in (LOOKUP, with_model(tiny_random)):
        assert answer(**load).text == plain.text
        assert answer(**load).text == plain.text  # from the cache


@pytest.mark.slow
@pytest.mark.skipif(not REAL_MODEL, reason="LLMROUTE_TEST_MODEL is not set")
def test_a_real_model_repeats_a_text_in_fewer_steps() -> None:
    """Beyond its sliding window, too."""
    news = (
        "The harbour of Lindau was quiet that morning. Three fishermen mended their nets beside "
        "the old lighthouse, and a child counted the gulls on the roof of the customs house. At "
        "nine o'clock the ferry from Bregenz came in with twelve passengers, two bicycles and a "
        "crate of apples."
    )
    for before in ("", "And so it went on, day after day. " * 60):
        prompt = f"{before}{news}\n\nThe same again:\n{news[:45]}"
        result = run(call(REAL_MODEL, prompt, max_tokens=40, load=LOOKUP | {"n_ctx": 2048}))
        assert news.startswith(news[:45] + result.text.rstrip())
        assert result.usage is not None
        assert result.usage.accepted_tokens > 0
