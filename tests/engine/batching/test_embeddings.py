"""Vectors from a model in this process."""

from __future__ import annotations

import asyncio
import base64
import math
import os
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from calls_here import token_ids

from llmroute import aembedding, completion, embedding
from llmroute.errors import (
    APITimeoutError,
    BadRequestError,
    ContextWindowExceededError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from llmroute.local_models import loaded_models, warm_up
from llmroute.types.embedding import EmbeddingResponse

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

TEXTS = ["one", "two", "a longer text than the others", "日本語", "one"]
REAL_MODEL = os.environ.get("LLMROUTE_TEST_MODEL", "")

Embed = Callable[..., EmbeddingResponse]


def _async_embedding(*args: Any, **kwargs: Any) -> EmbeddingResponse:
    return asyncio.run(aembedding(*args, **kwargs))


@pytest.fixture(params=[embedding, _async_embedding], ids=["sync", "async"])
def embed(request: pytest.FixtureRequest) -> Embed:
    chosen: Embed = request.param
    return chosen


@pytest.fixture(scope="module")
def model(tiny_random: Path) -> str:
    return f"llamacpp/{tiny_random}"


def vectors(answer: EmbeddingResponse) -> list[list[float]]:
    assert [item.index for item in answer.data] == list(range(len(answer.data)))
    assert all(isinstance(item.embedding, list) for item in answer.data)
    return [list(map(float, item.embedding)) for item in answer.data]


def same(one: list[float], other: list[float], within: float = 1e-5) -> bool:
    return len(one) == len(other) and all(
        abs(a - b) <= within for a, b in zip(one, other, strict=True)
    )


def test_texts_get_vectors_of_length_1_that_tell_them_apart(embed: Embed, model: str) -> None:
    answer = embed(model, TEXTS)
    found = vectors(answer)
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-5) for vector in found)
    assert same(found[0], found[4])
    assert not any(same(found[0], other, 1e-3) for other in found[1:4])
    assert answer.model == model
    assert answer.call_info is not None
    assert answer.call_info.provider == "llamacpp"


def test_a_batch_gives_what_single_calls_give(model: str) -> None:
    for vector, text in zip(vectors(embedding(model, TEXTS)), TEXTS, strict=True):
        assert same(vector, vectors(embedding(model, text))[0])


def test_more_texts_than_fit_into_one_step(model: str) -> None:
    texts = [f"text {'x' * (number % 50)} {number}" for number in range(150)]
    found = vectors(embedding(model, texts, model_kwargs={"n_ctx": 512}))
    assert len(found) == 150
    assert same(found[149], vectors(embedding(model, texts[149]))[0])


def test_usage_counts_the_tokens(embed: Embed, model: str) -> None:
    usage = embed(model, ["abc", "de"]).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.total_tokens) == (5, 5)


def test_base64_holds_the_same_numbers(embed: Embed, model: str) -> None:
    plain = vectors(embed(model, "one", encoding_format="float"))[0]
    packed = embed(model, "one", encoding_format="base64").data[0].embedding
    assert isinstance(packed, str)
    assert list(struct.unpack(f"<{len(plain)}f", base64.b64decode(packed))) == plain


@pytest.mark.parametrize("nested", [False, True], ids=["one", "several"])
def test_token_ids_stand_for_their_text(
    embed: Embed, model: str, tiny_random: Path, nested: bool
) -> None:
    ids = token_ids(tiny_random, "the text")
    given: Any = [ids, ids] if nested else ids
    found = vectors(embed(model, given))
    assert len(found) == 1 + nested
    assert same(found[0], vectors(embed(model, "the text"))[0])


def test_a_control_token_named_in_a_text_is_text(model: str) -> None:
    usage = embedding(model, "<|im_end|>").usage
    assert usage is not None
    assert usage.prompt_tokens == len("<|im_end|>")


def test_pooling_is_the_callers_choice(model: str) -> None:
    found = {
        pooling: vectors(embedding(model, "some text", model_kwargs={"pooling": pooling}))[0]
        for pooling in (None, "mean", "cls", "last")
    }
    assert found[None] == found["mean"]
    assert not same(found["mean"], found["last"], 1e-3)
    assert not same(found["cls"], found["last"], 1e-3)
    first = vectors(embedding(model, "s", model_kwargs={"pooling": "last"}))[0]
    assert same(found["cls"], first)


def test_pooling_is_what_the_file_says(tmp_path: Path) -> None:
    from llmroute.testing.tiny_gguf import write_random

    path = write_random(tmp_path / "last.gguf", metadata={"llama.pooling_type": 3})
    found = [
        vectors(embedding(f"llamacpp/{path}", "some text", model_kwargs=load))[0]
        for load in ({}, {"pooling": "last"}, {"pooling": "mean"})
    ]
    assert found[0] == found[1] != found[2]


def test_a_file_that_says_it_ranks_but_cannot_is_refused(tmp_path: Path) -> None:
    from llmroute.testing.tiny_gguf import write_random

    path = write_random(tmp_path / "rank.gguf", metadata={"llama.pooling_type": 4})
    with pytest.raises(BadRequestError, match="ranks texts but has no tensors"):
        embedding(f"llamacpp/{path}", "some text")


def test_a_text_longer_than_the_context_is_refused_never_cut(embed: Embed, model: str) -> None:
    load = {"n_ctx": 256}
    assert len(embed(model, "x" * 256, model_kwargs=load).data) == 1
    with pytest.raises(ContextWindowExceededError, match="Input 1 has 257 tokens") as caught:
        embed(model, ["short", "x" * 257], model_kwargs=load)
    assert caught.value.model == model


@pytest.mark.parametrize(
    ("kind", "given", "kwargs"),
    [
        (UnsupportedParamsError, "a", {"dimensions": 8}),
        (BadRequestError, "a", {"model_kwargs": {"pooling": "none"}}),
        (BadRequestError, "a", {"model_kwargs": {"pooling": "max"}}),
        (BadRequestError, "a", {"model_kwargs": {"n_ctx": 4096}}),
        (BadRequestError, "a", {"encoding_format": "hex"}),
        (BadRequestError, "", {}),
        (BadRequestError, ["a", ""], {}),
        (BadRequestError, ["a", 3], {}),
        (BadRequestError, [[1, 2], [10**6]], {}),
        (BadRequestError, [[]], {}),
        (BadRequestError, "\ud800", {}),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused(
    embed: Embed, model: str, kind: type[Exception], given: Any, kwargs: dict[str, Any]
) -> None:
    with pytest.raises(kind):
        embed(model, given, **kwargs)
    assert len(embed(model, "still there").data) == 1


def test_pooling_and_vectors_have_no_place_in_a_chat(model: str) -> None:
    with pytest.raises(BadRequestError, match="pooling"):
        completion(model, "hi", model_kwargs={"pooling": "mean"})
    with pytest.raises(UnsupportedOperationError, match="only makes vectors"):
        completion(model, "hi", model_kwargs={"embeddings": True})


def test_chat_and_vectors_are_loaded_side_by_side(model: str) -> None:
    warm_up(model, embeddings=True)
    warm_up(model)
    assert {loaded.options.embeddings for loaded in loaded_models()} == {True, False}
    assert completion(model, "hi", max_tokens=3).choices[0].message.content
    assert embedding(model, "hi").data


def test_many_calls_at_once_get_their_own_vectors(model: str) -> None:
    calls = [[f"text {number}-{part}" for part in range(number % 5 + 1)] for number in range(40)]
    alone = [vectors(embedding(model, texts)) for texts in calls]
    with ThreadPoolExecutor(16) as threads:
        together = list(threads.map(lambda texts: vectors(embedding(model, texts)), calls))
    for one, other in zip(alone, together, strict=True):
        assert all(map(same, one, other))

    async def gathered() -> list[EmbeddingResponse]:
        return list(await asyncio.gather(*(aembedding(model, texts) for texts in calls)))

    for one, answer in zip(alone, asyncio.run(gathered()), strict=True):
        assert all(map(same, one, vectors(answer)))


def test_a_cancelled_call_leaves_the_others_alone(model: str) -> None:
    many = ["word " * 40] * 1000

    async def story() -> EmbeddingResponse:
        task = asyncio.create_task(aembedding(model, many))
        await aembedding(model, "one")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await aembedding(model, "one")

    assert same(vectors(asyncio.run(story()))[0], vectors(embedding(model, "one"))[0])
    with pytest.raises(APITimeoutError):
        embedding(model, many, timeout=0.02, num_retries=0)
    assert embedding(model, "one").data
    assert not any(loaded.waiting for loaded in loaded_models())


def test_a_short_call_does_not_wait_for_a_long_one(model: str) -> None:
    done: list[str] = []

    def long() -> None:
        embedding(model, ["word " * 40] * 500)
        done.append("long")

    thread = threading.Thread(target=long)
    thread.start()
    embedding(model, "short")
    done.append("short")
    thread.join()
    assert done == ["short", "long"]


@pytest.mark.slow
@pytest.mark.skipif(not REAL_MODEL, reason="LLMROUTE_TEST_MODEL is not set")
def test_the_real_model_tells_near_from_far() -> None:
    texts = [
        "The cat sat on the mat.",
        "A cat was sitting on a rug.",
        "Interest rates rose by 2 %.",
    ]
    real = f"llamacpp/{REAL_MODEL}"
    cat, rug, rates = vectors(embedding(real, texts))
    single = vectors(embedding(real, texts[0]))[0]
    near = sum(a * b for a, b in zip(cat, rug, strict=True))
    far = sum(a * b for a, b in zip(cat, rates, strict=True))
    assert near > far
    assert same(cat, single, 1e-2)  # quantised weights: other kernels for other batch sizes
