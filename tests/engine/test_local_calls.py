"""Whole answers of a model in this process: the errors are those of a whole answer."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from calls_here import Scripted

from llmroute import (
    APITimeoutError,
    ModelUnloadedError,
    StreamInterruptedError,
    acompletion,
    completion,
    loaded_models,
    text_completion,
    unload,
)
from llmroute.types.request import TimeLimits

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]


@pytest.fixture
def endless(scripted: Scripted) -> str:
    return f"llamacpp/{scripted('on and on ', loop=True, n_ctx=100_000)}"


def _active() -> int:
    return sum(model.active for model in loaded_models())


def test_a_model_unloaded_while_it_answers_is_not_loaded_again(endless: str) -> None:
    unload()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(completion, endless, "Go", num_retries=2)
        while not _active():
            pass
        unload(endless)
        with pytest.raises(ModelUnloadedError) as caught:
            answer.result(timeout=60)
    assert len(caught.value.attempts) == 1
    assert loaded_models() == []


def test_a_whole_answer_that_takes_too_long_is_a_timeout(endless: str) -> None:
    limit = TimeLimits(total=0.3)
    with pytest.raises(APITimeoutError):
        completion(endless, "Go", timeout=limit)
    with pytest.raises(APITimeoutError):
        asyncio.run(acompletion(endless, "Go", timeout=limit))


def test_a_stream_that_takes_too_long_brings_what_had_come(endless: str) -> None:
    with completion(endless, "Go", stream=True) as warm:
        next(warm)  # loaded, so that the limit below passes in the middle of the answer
    with pytest.raises(StreamInterruptedError) as caught:
        completion(endless, "Go", stream=True, timeout=2.0).get_final_completion()
    assert caught.value.partial is not None
    assert caught.value.partial.text.startswith("on and on")


def test_every_chunk_of_a_choice_carries_a_finish_reason(scripted: Scripted) -> None:
    model = f"llamacpp/{scripted('one two')}"
    for stream in (
        completion(model, "Go", stream=True),
        text_completion(model, "Go", stream=True),
    ):
        reasons = [chunk.to_dict()["choices"][0]["finish_reason"] for chunk in stream]
        assert set(reasons[:-1]) == {None}
        assert reasons[-1] == "stop"
