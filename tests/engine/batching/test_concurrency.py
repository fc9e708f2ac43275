"""Many requests at once on one model: right answers, fairness, limits, and letting go."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from calls_here import Scripted, arun, call, patient, run

from llmroute.errors import (
    APITimeoutError,
    BadRequestError,
    ModelUnloadedError,
    RateLimitError,
    ServiceUnavailableError,
)
from llmroute.local_models import loaded_models, unload, warm_up
from llmroute.providers.base import LocalCall, LocalToken
from llmroute.transport.limits import Limits
from llmroute.transport.local import AsyncLocalStream, open_local, open_local_async
from llmroute.types.request import TimeLimits

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

WORDS = ("a", "bc", "def", "gh", "i", "jk")
PROMPTS = [
    f"{word} " * (1 + 7 * number) for number, word in enumerate(["a", "bc", "def", "gh", "i", "jk"])
]


def endless(model: Path, **load: object) -> LocalCall:
    return call(model, "go on", load=load, max_tokens=1_000_000)


def settle(model: Path) -> None:
    """Wait until nothing is left of earlier calls; they would go on for minutes."""
    until = time.monotonic() + 10
    while any(loaded.active or loaded.waiting for loaded in loaded_models()):
        assert time.monotonic() < until
        run(call(model, max_tokens=1))


@pytest.mark.parametrize("load", [{}, {"n_parallel": 2}, {"n_batch": 16, "n_parallel": 3}], ids=str)
def test_neighbours_do_not_change_an_answer(tiny_random: Path, load: dict[str, object]) -> None:
    calls = [call(tiny_random, prompt, max_tokens=20, load=load) for prompt in PROMPTS] * 3
    alone = [run(wanted).text for wanted in calls[: len(PROMPTS)]]
    with ThreadPoolExecutor(len(calls)) as threads:
        assert [result.text for result in threads.map(run, calls)] == alone * 3


def test_a_cache_too_small_for_all_delays_but_does_not_fail(tiny_random: Path) -> None:
    # 512 cells; each answer takes 100 + 300 of them, so they cannot all grow up side by side.
    load = {"n_ctx": 512, "n_parallel": 4}
    calls = [call(tiny_random, [40 + n] * 100, max_tokens=300, load=load) for n in range(4)]
    alone = [run(wanted).text for wanted in calls]
    with ThreadPoolExecutor(4) as threads:
        assert [result.text for result in threads.map(run, calls)] == alone


def test_threads_and_event_loop_together(tiny_random: Path, scripted: Scripted) -> None:
    model = scripted("Two at once. ")

    async def both() -> list[str]:
        mine = [arun(call(tiny_random, p, max_tokens=12)) for p in PROMPTS]
        others = [asyncio.to_thread(run, call(model)) for _ in range(4)]
        results = await asyncio.gather(*mine, *others)
        return [result.text for result in results]

    texts = asyncio.run(both())
    assert texts[-4:] == ["Two at once. "] * 4
    assert texts[:-4] == [run(call(tiny_random, p, max_tokens=12)).text for p in PROMPTS]


def test_a_long_prompt_does_not_hold_up_the_others(tiny_random: Path) -> None:
    load = {"n_batch": 32, "n_parallel": 2}
    with open_local(endless(tiny_random, **load), patient()) as talker:
        next(talker)
        long = open_local(call(tiny_random, [50] * 1000, max_tokens=1, load=load), patient())
        for _ in range(10):
            assert isinstance(next(talker), LocalToken)
        assert [type(event) for event in long][:1] == [LocalToken]


def test_a_full_queue_is_an_error_at_once(tiny_random: Path) -> None:
    load = {"n_parallel": 1, "max_queue": 2}
    with open_local(endless(tiny_random, **load), patient()) as first:
        next(first)
        waiting = [open_local(endless(tiny_random, **load), patient()) for _ in range(2)]
        with pytest.raises(RateLimitError) as caught:
            open_local(endless(tiny_random, **load), patient())
        assert caught.value.model == f"llamacpp/{tiny_random}"
        for stream in waiting:
            stream.close()
    assert run(call(tiny_random, max_tokens=1, load=load)).finish_reasons == ["length"]


@pytest.mark.parametrize("unwanted", ["closed", "abandoned"])
def test_what_nobody_reads_is_dropped(tiny_random: Path, unwanted: str) -> None:
    stream = open_local(endless(tiny_random), patient())
    next(stream)
    if unwanted == "closed":
        stream.close()
        assert list(stream) == []
        stream.close()
    else:
        del stream
        gc.collect()
    settle(tiny_random)


def test_a_cancelled_prompt_breaks_off(tiny_random: Path) -> None:
    load = {"n_ctx": 32768, "n_batch": 8192}
    run(call(tiny_random, max_tokens=1, load=load))
    stream = open_local(call(tiny_random, [60] * 32000, load=load), patient())
    stream.close()
    assert run(call(tiny_random, max_tokens=1, load=load)).finish_reasons == ["length"]


def test_a_cancelled_task_is_dropped_and_the_next_call_works(tiny_random: Path) -> None:
    async def story() -> str:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(arun(endless(tiny_random)), 0.05)
        return (await arun(call(tiny_random, max_tokens=6))).text

    before = run(call(tiny_random, max_tokens=6)).text
    assert asyncio.run(story()) == before
    settle(tiny_random)


def test_a_loop_that_closes_takes_its_calls_along(tiny_random: Path) -> None:
    async def leave() -> None:
        stream = await open_local_async(endless(tiny_random), patient())
        await anext(stream)
        kept.append(stream)

    kept: list[object] = []
    asyncio.run(leave())
    settle(tiny_random)


@pytest.mark.parametrize(
    ("timeout", "said"),
    [
        (TimeLimits(first_token=0.0), "timeout: first_token"),
        (TimeLimits(idle=0.0), "timeout: idle"),
    ],
    ids=["first", "idle"],
)
def test_time_limits(tiny_random: Path, timeout: TimeLimits, said: str) -> None:
    warm_up(str(tiny_random), n_threads=1)
    for runner in (run, lambda *args: asyncio.run(arun(*args))):
        with pytest.raises(APITimeoutError, match=said):
            runner(endless(tiny_random), timeout)
    settle(tiny_random)


def test_the_deadline_of_the_whole_call(tiny_random: Path) -> None:
    soon = TimeLimits(total=0.05)
    with pytest.raises(APITimeoutError, match="total") as raised:
        list(open_local(endless(tiny_random), Limits.begin(soon)))
    assert raised.value.is_total

    async def read() -> None:
        async for _ in await open_local_async(endless(tiny_random), Limits.begin(soon)):
            pass

    with pytest.raises(APITimeoutError, match="total") as raised:
        asyncio.run(read())
    assert raised.value.is_total
    settle(tiny_random)


def test_the_event_loop_goes_on_ticking_while_a_model_loads_and_runs(tiny_random: Path) -> None:
    async def story() -> int:
        unload(str(tiny_random))
        task = asyncio.create_task(arun(call(tiny_random, max_tokens=50)))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0)
            ticks += 1
        await task
        return ticks

    assert asyncio.run(story()) > 50


def test_unloading_ends_what_runs_with_an_error(tiny_random: Path) -> None:
    running = open_local(endless(tiny_random, n_parallel=1), patient())
    next(running)
    waiting = open_local(endless(tiny_random, n_parallel=1), patient())
    assert unload(str(tiny_random)) >= 1
    for stream in (running, waiting):
        with pytest.raises(ServiceUnavailableError, match="unloaded"):
            for _ in stream:
                pass
    assert loaded_models() == [] or all(m.path != str(tiny_random) for m in loaded_models())
    assert run(call(tiny_random, max_tokens=1)).finish_reasons == ["length"]


def test_one_model_is_loaded_once_however_many_ask(tiny_random: Path, tmp_path: Path) -> None:
    unload()
    link = tmp_path / "link.gguf"
    link.symlink_to(tiny_random)
    calls = [call(model, max_tokens=3) for model in (tiny_random, link) * 4]
    with ThreadPoolExecutor(8) as threads:
        texts = {result.text for result in threads.map(run, calls)}
    assert len(texts) == 1
    (loaded,) = loaded_models()
    assert (loaded.path, loaded.n_ctx) == (str(tiny_random.resolve()), 2048)


def test_other_options_are_another_loaded_model(tiny_random: Path) -> None:
    unload()
    warm_up(f"llamacpp/{tiny_random}", n_ctx=512)
    warm_up(str(tiny_random), n_ctx=512)
    warm_up(str(tiny_random), n_ctx=1024)
    assert sorted(m.n_ctx or 0 for m in loaded_models()) == [512, 1024]
    assert unload(str(tiny_random)) == 2


def test_a_file_that_changed_is_another_model(scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(scripted("first script").read_bytes())
    assert run(call(path)).text == "first script"
    new = tmp_path / "new.gguf"
    new.write_bytes(scripted("second, longer script").read_bytes())
    new.replace(path)
    assert run(call(path)).text == "second, longer script"


def test_loading_in_several_threads(scripted: Scripted) -> None:
    unload()
    models = [scripted(f"I am number {number}.") for number in range(4)]
    barrier = threading.Barrier(len(models))

    def load(model: Path) -> str:
        barrier.wait()
        return run(call(model)).text

    with ThreadPoolExecutor(len(models)) as threads:
        texts = list(threads.map(load, models))
    assert texts == [f"I am number {number}." for number in range(4)]


def test_a_mix_of_everything_ends_in_right_answers(tiny_random: Path) -> None:
    """Choices that share prompts, a cache too small, a batch too small, and readers who leave."""
    load = {"n_ctx": 600, "n_parallel": 5, "n_batch": 64}
    rng = random.Random(1)
    cases = [
        ([rng.randrange(40, 90) for _ in range(rng.choice([1, 3, 20, 100, 250]))], limit)
        for limit in (1, 5, 30, 120)
        for _ in range(5)
    ]
    alone = [run(call(tiny_random, p, max_tokens=m, load=load)).text for p, m in cases]

    def work(seed: int) -> None:
        own = random.Random(seed)
        for _ in range(15):
            if own.random() < 0.2:
                stream = open_local(endless(tiny_random, **load), patient())
                for _ in range(own.randrange(3)):
                    next(stream)
                continue  # and leave the stream to the garbage collector
            number, n = own.randrange(len(cases)), own.choice([1, 1, 2, 4])
            prompt, limit = cases[number]
            result = run(call(tiny_random, prompt, max_tokens=limit, n=n, load=load))
            assert result.texts == [alone[number]] * n

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(work, range(12)))
    settle(tiny_random)


def test_close_from_another_thread_ends_a_waiting_reader(tiny_random: Path) -> None:
    stream = open_local(endless(tiny_random), patient())
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(lambda: len(list(stream)))
        time.sleep(0.05)
        begun = time.monotonic()
        stream.close()
        assert read.result() > 0
    assert time.monotonic() - begun < 10
    settle(tiny_random)


def test_aclose_from_another_task_ends_a_waiting_reader(tiny_random: Path) -> None:
    async def story() -> None:
        # The prompt takes a while, so that the reader waits.
        stream = await open_local_async(endless(tiny_random), patient())
        await anext(stream)
        reader = asyncio.create_task(_count(stream))
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        await stream.aclose()
        assert await reader > 0
        assert time.monotonic() - begun < 10

    asyncio.run(story())
    settle(tiny_random)


async def _count(stream: AsyncLocalStream) -> int:
    return len([event async for event in stream])


_ENDLESS = (
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    "{{ messages[0].content }}"
)


def test_a_template_without_end_holds_up_nobody(scripted: Scripted) -> None:
    """Neither other callers of the model, nor `unload`, nor its own caller for long."""
    model = scripted("I am here.")
    warm_up(str(model), n_threads=1)
    chat = [{"role": "user", "content": "Hi"}]
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(run, call(model, chat, chat_template=_ENDLESS))
        time.sleep(0.2)
        assert run(call(model, chat)).text == "I am here."
        assert not stopped.done()
        with pytest.raises(BadRequestError, match="longer than"):
            stopped.result()
        stopped = pool.submit(run, call(model, chat, chat_template=_ENDLESS))
        time.sleep(0.2)
        begun = time.monotonic()
        unload()
        assert time.monotonic() - begun < 2
        with pytest.raises(ModelUnloadedError):
            stopped.result()
