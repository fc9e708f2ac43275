"""The vectors of a model in this process into an answer."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence

from ..types.embedding import Embedding, EmbeddingResponse, EmbeddingUsage
from ..types.request import Request
from ..types.rerank import RerankDocument, RerankRequest, RerankResponse, RerankResult
from .base import InProcessEvent, LocalUsage, LocalVector


def embeddings(events: Sequence[InProcessEvent], request: Request) -> EmbeddingResponse:
    """The answer to an embedding call, in the order of the inputs."""
    in_base64 = request.params.get("encoding_format") == "base64"
    vectors = sorted(
        (event for event in events if isinstance(event, LocalVector)), key=lambda v: v.index
    )
    (usage,) = (event for event in events if isinstance(event, LocalUsage))
    return EmbeddingResponse(
        data=[
            Embedding(
                index=vector.index,
                embedding=_in_base64(vector) if in_base64 else numbers(vector),
            )
            for vector in vectors
        ],
        model=request.model,
        usage=EmbeddingUsage(prompt_tokens=usage.prompt_tokens, total_tokens=usage.prompt_tokens),
    )


def ranking(events: Sequence[InProcessEvent], request: RerankRequest) -> RerankResponse:
    """The answer to a call that ranks, the most relevant document first."""
    scores = {event.index: numbers(event)[0] for event in events if isinstance(event, LocalVector)}
    (usage,) = (event for event in events if isinstance(event, LocalUsage))
    best = sorted(scores, key=lambda index: (-scores[index], index))[: request.params.get("top_n")]
    shown = bool(request.params.get("return_documents"))
    return RerankResponse(
        results=[
            RerankResult(
                index=index,
                relevance_score=scores[index],
                document=RerankDocument(text=request.documents[index]) if shown else None,
            )
            for index in best
        ],
        model=request.model,
        usage=EmbeddingUsage(prompt_tokens=usage.prompt_tokens, total_tokens=usage.prompt_tokens),
    )


def numbers(vector: LocalVector) -> list[float]:
    """The numbers of a vector."""
    return list(struct.unpack(f"<{len(vector.data) // 4}f", vector.data))


def _in_base64(vector: LocalVector) -> str:
    return base64.b64encode(vector.data).decode()
