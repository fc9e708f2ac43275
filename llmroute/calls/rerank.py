"""`rerank()` and `arerank()`: documents in the order of their worth for a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Never, Unpack

from ..errors import BadRequestError, LLMRouteError
from ..prepare import CallOptions, prepare
from ..tracebacks import shorten
from ..transport import drive
from ..transport.drive import Job
from ..types.rerank import RERANK, RerankParams, RerankRequest, RerankResponse
from .signature import shows


class RerankArgs(RerankParams, CallOptions, total=False):
    """The keyword arguments of `rerank()`."""


@shows(RerankArgs)
def rerank(
    model: str, query: str, documents: Sequence[str], **given: Unpack[RerankArgs]
) -> RerankResponse:
    """Ranks documents by what they are worth for a query, the best first.

    For models in this process that are made to rank. `top_n` gives back only the best,
    `return_documents=True` their texts too. Errors as in `completion()`;
    `UnsupportedOperationError` for a model or provider that does not rank.
    """
    try:
        job = rerank_job(model, query, documents, given)
        return drive.complete(job)
    except LLMRouteError as error:
        shorten(error)
        raise


@shows(RerankArgs)
async def arerank(
    model: str, query: str, documents: Sequence[str], **given: Unpack[RerankArgs]
) -> RerankResponse:
    """The async twin of `rerank()`."""
    try:
        job = rerank_job(model, query, documents, given)
        return await drive.acomplete(job)
    except LLMRouteError as error:
        shorten(error)
        raise


def rerank_job(
    model: str, query: object, documents: object, given: Mapping[str, object]
) -> Job[RerankResponse, Never]:
    """The job of a call that ranks documents. Raises as `chat_job` does."""
    if not isinstance(query, str) or not query:
        raise BadRequestError("query must be a text.", model=model, param="query")
    texts = documents if isinstance(documents, list | tuple) else ()
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise BadRequestError(
            "documents must be a list of at least one text.", model=model, param="documents"
        )
    top_n = given.get("top_n")
    if isinstance(top_n, int) and top_n < 1:
        raise BadRequestError(f"top_n={top_n} must be at least 1.", model=model, param="top_n")
    prepared = prepare(RERANK, model, given)
    request = RerankRequest(query=query, documents=list(texts), **prepared.common)
    return prepared.job(RERANK, request)
