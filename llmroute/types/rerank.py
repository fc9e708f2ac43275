"""Documents in the order of their worth for a query, in the shape of Cohere, Jina and LiteLLM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Never

from pydantic import with_config
from typing_extensions import TypedDict

from .base import Model
from .call_info import Answer
from .embedding import EmbeddingUsage
from .operation import Operation
from .request import STRICT, Request


class RerankDocument(Model):
    """A document as it was given."""

    text: str


class RerankResult(Model):
    """What one document is worth."""

    index: int
    """Which of the documents."""
    relevance_score: float
    """The model's own score, higher for more relevant; its range is the model's too."""
    document: RerankDocument | None = None
    """With `return_documents=True`."""


class RerankResponse(Answer):
    """The answer to `rerank()`; the most relevant first."""

    results: list[RerankResult]
    model: str
    usage: EmbeddingUsage | None = None


@with_config(STRICT)
class RerankParams(TypedDict, total=False):
    """The parameters of a call that ranks documents."""

    top_n: int | None
    """How many of the best to give back; `None` gives all."""
    return_documents: bool | None
    """Whether to give back their texts too."""


RERANK: Operation[RerankResponse, Never] = Operation(
    name="rerank",
    params=RerankParams,
    content=("query", "documents"),
    path="/rerank",
    answer=RerankResponse,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankRequest(Request):
    """Documents to be ranked by what they are worth for a query."""

    row: ClassVar[Operation[RerankResponse, Never]] = RERANK

    query: str
    documents: Sequence[str]
    """Never empty."""
