"""Documents in the order of their worth for a query, in the shape of Cohere, Jina and LiteLLM."""

from __future__ import annotations

from .base import Model
from .call_info import Answer
from .embedding import EmbeddingUsage


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
