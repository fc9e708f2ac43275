"""Documents ranked by a model in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llmroute import arerank, embedding, rerank
from llmroute.errors import (
    BadRequestError,
    ContextWindowExceededError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from llmroute.testing.tiny_gguf import write_ranker
from llmroute.types.rerank import RerankResponse

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

DOCUMENTS = ["a cat", "the dog", "interest rates rose", "日本語", "a cat"]

Rank = Callable[..., RerankResponse]


def _in_loop(*args: Any, **kwargs: Any) -> RerankResponse:
    return asyncio.run(arerank(*args, **kwargs))


@pytest.fixture(params=[rerank, _in_loop], ids=["sync", "async"])
def rank(request: pytest.FixtureRequest) -> Rank:
    chosen: Rank = request.param
    return chosen


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"llamacpp/{write_ranker(tmp_path_factory.mktemp('rank') / 'ranker.gguf')}"


def scores(answer: RerankResponse) -> dict[int, float]:
    return {result.index: result.relevance_score for result in answer.results}


def test_the_best_come_first(rank: Rank, model: str) -> None:
    answer = rank(model, "pets", DOCUMENTS)
    found = [result.relevance_score for result in answer.results]
    assert found == sorted(found, reverse=True)
    assert sorted(scores(answer)) == list(range(5))
    assert scores(answer)[0] == pytest.approx(scores(answer)[4], abs=1e-5)
    assert len({round(score, 4) for score in found}) == 4
    assert all(result.document is None for result in answer.results)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == sum(4 + len(text.encode()) + 2 for text in DOCUMENTS)


def test_a_score_depends_on_query_and_document_alone(model: str) -> None:
    together = scores(rerank(model, "pets", DOCUMENTS))
    for index, document in enumerate(DOCUMENTS):
        (alone,) = rerank(model, "pets", [document]).results
        assert alone.relevance_score == pytest.approx(together[index], abs=1e-5)
    assert scores(rerank(model, "money", DOCUMENTS)) != together


def test_only_the_best_with_their_texts(rank: Rank, model: str) -> None:
    every = rank(model, "pets", DOCUMENTS).results
    best = rank(model, "pets", DOCUMENTS, top_n=2, return_documents=True).results
    assert [result.index for result in best] == [result.index for result in every[:2]]
    for result in best:
        assert result.document is not None
        assert result.document.text == DOCUMENTS[result.index]


def test_the_files_own_template_is_used(tmp_path: Path, model: str) -> None:
    path = write_ranker(tmp_path / "own.gguf", template="<|im_start|>{document}?{query}")
    answer = rerank(f"llamacpp/{path}", "{document}", ["<|im_start|>"])
    assert answer.usage is not None
    # One token for the template's name of a control token; the texts' own are only text.
    assert answer.usage.prompt_tokens == 1 + len("<|im_start|>") + 1 + len("{document}")


def test_many_calls_at_once(model: str) -> None:
    alone = scores(rerank(model, "pets", DOCUMENTS))
    with ThreadPoolExecutor(8) as threads:
        for answer in threads.map(lambda _: rerank(model, "pets", DOCUMENTS), range(24)):
            assert scores(answer) == pytest.approx(alone, abs=1e-5)


def test_other_models_and_providers_do_not_rank(rank: Rank, model: str, tiny_random: Path) -> None:
    with pytest.raises(UnsupportedOperationError, match="does not rank"):
        rank(f"llamacpp/{tiny_random}", "pets", DOCUMENTS)
    with pytest.raises(UnsupportedOperationError, match="no rerank operation"):
        rank("openai/gpt-4o", "pets", DOCUMENTS, api_key="k")
    with pytest.raises(UnsupportedOperationError, match="api_base"):
        rank(model, "pets", DOCUMENTS, api_base="http://localhost:1")
    with pytest.raises(UnsupportedOperationError, match="use rerank"):
        embedding(model, "pets")


@pytest.mark.parametrize(
    ("query", "documents", "options", "kind"),
    [
        ("", ["a"], {}, BadRequestError),
        (3, ["a"], {}, BadRequestError),
        ("a", [], {}, BadRequestError),
        ("a", "text", {}, BadRequestError),
        ("a", ["a", ""], {}, BadRequestError),
        ("a", [3], {}, BadRequestError),
        ("a", ["a"], {"top_n": 0}, BadRequestError),
        ("a", ["a"], {"top_n": "2"}, BadRequestError),
        ("a", ["a"], {"top_k": 2}, UnsupportedParamsError),
        ("a", ["short", "x" * 600], {}, ContextWindowExceededError),
    ],
    ids=str,
)
def test_bad_calls(
    rank: Rank, model: str, query: Any, documents: Any, options: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        rank(model, query, documents, **options)
