"""Models come and go: memory, idleness, progress, and two at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from calls_here import Scripted, call, patient, run

from llmroute.engine.gguf.check import read_header
from llmroute.engine.memory.limit import _parsed, needed_bytes
from llmroute.engine.options.load import LoadOptions
from llmroute.errors import BadRequestError
from llmroute.local_models import loaded_models, unload, warm_up
from llmroute.providers.base import LocalToken
from llmroute.transport.local import open_local

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

_MEMORY, _IDLE = "LLMROUTE_LLAMACPP_MEMORY", "LLMROUTE_LLAMACPP_IDLE_UNLOAD"


@pytest.fixture(autouse=True)
def fresh() -> None:
    unload()


def size_of(model: Path, n_ctx: int = 512) -> int:
    return needed_bytes(read_header(model), LoadOptions(n_ctx=n_ctx), n_ctx)


def names() -> set[str]:
    return {Path(model.path).name for model in loaded_models()}


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("8GiB", 2**33), ("1.5 kb", 1500), ("2 MiB", 2**21), ("3TB", 3 * 10**12)],
)
def test_amounts_of_memory(text: str, size: int) -> None:
    assert _parsed(text) == size


@pytest.mark.parametrize("text", ["-1", "lots", "8 gigs", "1e9", "nan"])
def test_what_is_no_amount(text: str, tiny_random: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_MEMORY, text)
    with pytest.raises(BadRequestError, match=_MEMORY):
        run(call(tiny_random))


def test_the_least_recently_used_model_makes_room(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [scripted(f"I am model {number}.") for number in range(3)]
    monkeypatch.setenv(_MEMORY, str(int(2.5 * size_of(models[0]))))
    for number in (0, 1, 0, 2):
        text = run(call(models[number], load={"n_ctx": 512})).text
        assert text == f"I am model {number}."
    assert names() == {models[0].name, models[2].name}


def test_a_model_in_use_is_waited_for(
    tiny_random: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = scripted("At last.")
    monkeypatch.setenv(_MEMORY, str(size_of(tiny_random) + 1000))
    load = {"n_ctx": 512}
    with ThreadPoolExecutor(1) as thread:
        with open_local(call(tiny_random, load=load, max_tokens=400), patient()) as stream:
            assert isinstance(next(stream), LocalToken)
            other = thread.submit(run, call(model, load=load))
            assert sum(isinstance(event, LocalToken) for event in stream) > 100
        assert other.result().text == "At last."
    assert names() == {model.name}


def test_a_model_that_cannot_fit(tiny_random: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_MEMORY, "100kB")
    for load in ({}, {"n_ctx": 512}):
        with pytest.raises(BadRequestError, match=_MEMORY) as caught:
            run(call(tiny_random, load=load))
        assert caught.value.model == f"llamacpp/{tiny_random}"
    monkeypatch.delenv(_MEMORY)
    assert run(call(tiny_random, max_tokens=1)).finish_reasons == ["length"]


def test_two_models_at_once(tiny_random: Path, scripted: Scripted) -> None:
    model = scripted("Side by side.")
    calls = [call(model), call(tiny_random, max_tokens=30)] * 4
    with ThreadPoolExecutor(8) as threads:
        texts = [result.text for result in threads.map(run, calls)]
    assert texts[::2] == ["Side by side."] * 4
    assert len(set(texts[1::2])) == 1
    assert len(loaded_models()) == 2


def wait_until_unloaded() -> None:
    until = time.monotonic() + 20
    while loaded_models():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_model_nobody_calls_is_unloaded_and_comes_back(
    tiny_random: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = run(call(tiny_random, max_tokens=5, load={"idle_unload": 0.01})).text
    wait_until_unloaded()
    assert run(call(tiny_random, max_tokens=5, load={"idle_unload": 0.01})).text == text
    monkeypatch.setenv(_IDLE, "0.01")
    assert run(call(tiny_random, max_tokens=5)).text == text
    wait_until_unloaded()
    monkeypatch.setenv(_IDLE, "soon")
    with pytest.raises(BadRequestError, match=_IDLE):
        run(call(tiny_random))


def test_calls_that_meet_an_unloading_model(tiny_random: Path) -> None:
    """Whenever the call comes, it is answered."""
    wanted = call(tiny_random, max_tokens=2, load={"idle_unload": 0.002})
    expected = run(wanted).text

    def work(number: int) -> None:
        for step in range(15):
            threading.Event().wait(0.0005 * ((number + step) % 7))
            assert run(wanted).text == expected

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, range(3)))


def test_progress_of_loading(tiny_random: Path) -> None:
    shares: list[float] = []
    threads: set[threading.Thread] = set()

    def progress(share: float) -> None:
        shares.append(share)
        threads.add(threading.current_thread())

    warm_up(str(tiny_random), progress=progress)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert threads == {threading.current_thread()}
    with pytest.raises(ZeroDivisionError):  # what it raises reaches the caller
        warm_up(str(tiny_random), progress=lambda _: 1 / 0)
