"""Models that remember a text in a state: with such layers only, and with attention beside them."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from calls_here import Result, Runner, call, patient, run
from pngs import BLUE, RED, asking, part, png

from llmroute import completion, embedding, load_session, save_session
from llmroute.engine import native
from llmroute.engine.answers.sampling import Sampling
from llmroute.engine.batching.scheduler import Scheduler
from llmroute.engine.gguf.check import read_header
from llmroute.engine.interrupt import Interrupt
from llmroute.engine.job import EngineJob, Item
from llmroute.engine.memory.recurrent_states import cached_states, state_bytes
from llmroute.engine.model import model as models
from llmroute.engine.options.load import LoadOptions
from llmroute.local_models import unload
from llmroute.providers.base import LocalToken
from llmroute.testing.tiny_mmproj import IMAGE_TOKENS, write_mmproj
from llmroute.testing.tiny_recurrent import write_hybrid, write_recurrent
from llmroute.transport.local import open_local

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

_LOAD: dict[str, Any] = {"n_ctx": 1024, "n_threads": 1}
_RNG = random.Random(11)
_FIRST_BYTE = 4
"""The token of the byte 0; the others follow."""


def text_of_length(count: int) -> list[int]:
    return [_RNG.randrange(40, 90) for _ in range(count)]


_SYSTEM = text_of_length(100)


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No test sees what another left in the cache."""
    unload()


@pytest.fixture(scope="module", params=[write_recurrent, write_hybrid], ids=["mamba", "jamba"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written: Path = request.param(tmp_path_factory.mktemp("models") / "model.gguf")
    return written


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hybrid(tmp_path_factory.mktemp("models") / "hybrid.gguf")


def ask(model: Path, prompt: Any, max_tokens: int = 12, **load: Any) -> tuple[str, int]:
    """The answer, and how much of the prompt was not computed."""
    result = run(call(model, prompt, load=_LOAD | load, max_tokens=max_tokens))
    assert result.usage is not None
    return result.text, result.usage.cached_tokens


def anew(model: Path, prompt: Any, max_tokens: int = 12) -> str:
    """The answer with everything computed, and nothing beside it."""
    return ask(model, prompt, max_tokens, prefix_cache=False)[0]


def together(model: Path, prompts: list[list[int]], tokens: int = 12, **load: Any) -> list[str]:
    with ThreadPoolExecutor(len(prompts)) as pool:
        return [text for text, _ in pool.map(lambda p: ask(model, p, tokens, **load), prompts)]


def test_an_answer_depends_on_the_whole_prompt(model: Path) -> None:
    prompt = text_of_length(60)
    others = [[*prompt[:place], 39, *prompt[place + 1 :]] for place in (0, 30, 58)]
    assert len({anew(model, text, 20) for text in [prompt, *others]}) == 4


@pytest.mark.parametrize("count", [1, 2, 37])
def test_max_tokens_are_exact(runner: Runner, model: Path, count: int) -> None:
    result: Result = runner(call(model, text_of_length(20), load=_LOAD, max_tokens=count))
    assert result.usage is not None
    assert result.usage.completion_tokens == count
    assert result.finish_reasons == ["length"]


def test_eight_answers_at_once_are_those_alone(model: Path) -> None:
    prompts = [text_of_length(count) for count in (1, 3, 10, 33, 64, 150, 300, 450)]
    alone = [anew(model, prompt) for prompt in prompts]
    for load in ({"n_parallel": 8}, {"n_parallel": 3}, {"n_parallel": 8, "n_batch": 32}):
        for _ in range(2):
            assert together(model, prompts, **load) == alone


@pytest.mark.parametrize("prefix_cache", [True, False])
def test_several_answers_to_one_prompt(model: Path, prefix_cache: bool) -> None:
    prompt = text_of_length(80)
    load = _LOAD | {"prefix_cache": prefix_cache}
    result = run(call(model, prompt, load=load, max_tokens=12, n=3))
    assert result.texts == [anew(model, prompt)] * 3


def test_the_next_turn_of_a_conversation_goes_on_from_the_last(model: Path) -> None:
    prompt, known = text_of_length(60), 0
    for _ in range(4):
        result = run(call(model, prompt, load=_LOAD, max_tokens=10, logprobs=True))
        assert result.usage is not None
        assert result.usage.cached_tokens == known
        assert result.text == anew(model, prompt, 10)
        prompt = [*prompt, *(_FIRST_BYTE + found.raw[0] for found in result.logprobs[0])]
        known = len(prompt) - 1  # the last token is never computed
        prompt += text_of_length(20)


def test_a_turn_that_is_written_otherwise_goes_on_from_before_the_end(model: Path) -> None:
    prompt = text_of_length(60)
    ask(model, prompt)
    later = [*prompt[:-4], *text_of_length(30)]
    assert ask(model, later) == (anew(model, later), 52)


def test_a_beginning_in_common_is_read_once(model: Path) -> None:
    talks = [[*_SYSTEM, *text_of_length(50)] for _ in range(6)]
    found = [ask(model, talk) for talk in talks]
    # The second one shows that others may begin like this.
    assert [cached for _, cached in found] == [0, 0, 100, 100, 100, 100]
    assert [text for text, _ in found] == [anew(model, talk) for talk in talks]


def test_prompts_at_once_wait_for_the_one_that_reads_their_beginning(model: Path) -> None:
    talks = [[*_SYSTEM, *text_of_length(20)] for _ in range(4)] + [[*_SYSTEM, 50]] * 2
    load = _LOAD | {"n_batch": 16, "n_parallel": 6}
    result = run(call(model, talks, load=load, max_tokens=12))
    assert result.texts == [anew(model, talk) for talk in talks]
    assert result.usage is not None
    assert result.usage.cached_tokens >= 4 * 100


def test_nothing_is_kept_when_that_is_not_wanted(model: Path) -> None:
    prompt = text_of_length(100)
    assert {ask(model, prompt, prefix_cache=False)[1] for _ in range(3)} == {0}


def test_the_same_prompt_again_leaves_one_state(model: Path) -> None:
    other = text_of_length(80)
    expected = ask(model, other)[0]
    prompt = text_of_length(80)
    for _ in range(20):
        ask(model, prompt)
    assert ask(model, other) == (expected, 72)


def test_a_cancelled_stream_leaves_the_others_alone(model: Path) -> None:
    prompts = [text_of_length(count) for count in (5, 90, 300)]
    alone = [anew(model, prompt) for prompt in prompts]
    for number in range(6):
        gone = [*prompts[number % 3][: 2 + number], *text_of_length(500)]
        wanted = call(model, gone, load=_LOAD, max_tokens=400)
        with open_local(wanted, patient()) as stream:
            for _ in range(number):
                next(stream)
            threading.Timer(0.001 * number, stream.close).start()
            assert together(model, prompts) == alone
    assert together(model, prompts) == alone


def test_answers_that_outgrow_the_cache_take_turns(model: Path) -> None:
    prompts = [text_of_length(count) for count in (40, 50, 60, 70)]
    alone = [anew(model, prompt, 150) for prompt in prompts]
    for _ in range(2):
        assert together(model, prompts, 150, n_ctx=256) == alone


@pytest.mark.parametrize("prefix_cache", [True, False])
def test_a_broken_off_decode_spoils_no_state(model: Path, prefix_cache: bool) -> None:
    """llama.cpp moves the states of other sequences meanwhile, and has not done so then."""
    prompts = [text_of_length(count) for count in (150, 160, 170)]
    expected = [anew(model, prompt) for prompt in prompts]
    unload()
    options = LoadOptions(n_batch=16, n_threads=1, n_parallel=8, prefix_cache=prefix_cache)
    flag, rng = native.Flag(), random.Random(1)
    loaded = models.load(read_header(model), options, 1024, flag, lambda _: True)
    try:
        for _ in range(20):
            scheduler = Scheduler(loaded, Interrupt())
            texts = [text_of_length(rng.randrange(1, 40)) for _ in range(3)]
            gone = [_Started(scheduler, model, text) for text in texts]
            _step(scheduler, rng.randrange(20))
            gone.append(_Started(scheduler, model, text_of_length(200)))
            survivors = [_Started(scheduler, model, prompt) for prompt in prompts]
            _step(scheduler, rng.randrange(15))
            gone.append(_Started(scheduler, model, text_of_length(9)))
            flag.set()  # the survivors, longer than the last and younger than the one before, wait
            scheduler.step()
            flag.clear()
            for started in gone:
                started.job.cancelled = True
            _step(scheduler)
            assert [survivor.text for survivor in survivors] == expected
            later = _Started(scheduler, model, prompts[0])
            _step(scheduler)
            assert later.text == expected[0]
            loaded.forget_all()
    finally:
        loaded.free()


def _step(scheduler: Scheduler, most: int = 10_000) -> None:
    for _ in range(most):
        if not scheduler.busy:
            return
        scheduler.step()


class _Started:
    """A call that a test lets run step by step."""

    def __init__(self, scheduler: Scheduler, model: Path, prompt: list[int]) -> None:
        wanted = call(model, prompt, max_tokens=12)
        self._said: list[Item] = []
        self.job = EngineJob(
            wanted, Sampling.parse(wanted.params, wanted.operation), self._said.append
        )
        scheduler.add(scheduler.prepare(self.job))

    @property
    def text(self) -> str:
        return "".join(item.text for item in self._said if isinstance(item, LocalToken))


def test_images_beside_states(hybrid: Path, tmp_path: Path) -> None:
    load = _LOAD | {"mmproj": str(write_mmproj(tmp_path / "mmproj.gguf"))}

    def look(*content: Any, **more: Any) -> tuple[str | None, int]:
        answer = completion(
            f"llamacpp/{hybrid}",
            asking(*content),
            model_kwargs=load | more,
            temperature=0,
            max_tokens=8,
        )
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        told = answer.usage.prompt_tokens_details.cached_tokens or 0
        return answer.choices[0].message.content, told

    texts = {color: look("What?", part(png(color)), prefix_cache=False)[0] for color in (RED, BLUE)}
    assert texts[RED] != texts[BLUE]
    assert look("What?", part(png(RED))) == (texts[RED], 0)
    again, cached = look("What?", part(png(RED)))
    assert again == texts[RED]
    assert cached > IMAGE_TOKENS
    assert look("What?", part(png(BLUE)))[0] == texts[BLUE]


def test_images_that_outgrow_the_cache(hybrid: Path, tmp_path: Path) -> None:
    load = _LOAD | {"mmproj": str(write_mmproj(tmp_path / "mmproj.gguf")), "n_ctx": 256}

    def look(number: int) -> str | None:
        pictures = [part(png((number, at, 0))) for at in range(6)]
        answer = completion(
            f"llamacpp/{hybrid}",
            asking("What?", *pictures),
            model_kwargs=load,
            temperature=0,
            max_tokens=60,
        )
        return answer.choices[0].message.content

    alone = [look(number) for number in range(4)]
    unload()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, range(4))) == alone


def test_a_session_is_saved_and_restored(model: Path, tmp_path: Path) -> None:
    prompt, path = text_of_length(100), tmp_path / "saved.session"
    expected = ask(model, prompt)[0]
    assert save_session(str(model), path, **_LOAD) > 100
    unload()
    assert load_session(str(model), path, **_LOAD) > 100
    assert ask(model, prompt) == (expected, 92)


def test_vectors_need_no_state_each(model: Path) -> None:
    texts = [f"{'a' * number} text" for number in range(1, 40)]
    together = embedding(f"llamacpp/{model}", texts, model_kwargs=_LOAD).data
    (one,) = embedding(f"llamacpp/{model}", texts[7:8], model_kwargs=_LOAD).data
    assert one.embedding == pytest.approx(together[7].embedding, abs=1e-5)


def test_states_are_as_large_as_llama_cpp_makes_them(model: Path) -> None:
    header, options = read_header(model), LoadOptions(n_ctx=256, n_threads=1)
    loaded = models.load(header, options, 256, native.Flag(), lambda _: True)
    try:
        assert loaded.sequences == options.at_once + cached_states(header, options)
        loaded.batch.add([50], 0, 0, wanted=True)
        assert loaded.decode() == models.DECODED
        cells = 0 if "mamba" in header.architecture else 2 * 64 * 2
        told = 300  # what goes with it
        assert 0 <= len(loaded.state(0)) - state_bytes(header) - cells <= told
    finally:
        loaded.free()
