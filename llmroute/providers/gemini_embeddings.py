"""Embeddings of Gemini: batchEmbedContents.

The API is described at https://ai.google.dev/api/embeddings.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import APIResponseValidationError, BadRequestError
from ..types.embedding import Embedding, EmbeddingRequest, EmbeddingResponse
from ..types.request import JSON
from .vectors import BadVectorsError, in_order

PARAMS = frozenset({"dimensions", "encoding_format"})
EXTRA_PARAMS = frozenset({"task_type", "title"})
"""What the text is for (`RETRIEVAL_QUERY`, ...), and the title of a document."""
_RENAMED = {"dimensions": "outputDimensionality", "task_type": "taskType", "title": "title"}


def body(request: EmbeddingRequest, model: str, params: Mapping[str, JSON]) -> dict[str, JSON]:
    """One request for each text, in their order."""
    settings = {_RENAMED[name]: value for name, value in params.items() if name in _RENAMED}
    return {
        "requests": [
            {"model": model, "content": {"parts": [{"text": text}]}, **settings}
            for text in _texts(request)
        ]
    }


def response(payload: Mapping[str, Any], request: EmbeddingRequest) -> EmbeddingResponse:
    """The vectors. Raises `APIResponseValidationError` if they are not those asked for."""
    found = payload.get("embeddings")
    values = [item.get("values") if isinstance(item, Mapping) else None for item in found or ()]
    as_text = request.params.get("encoding_format") == "base64"
    try:
        vectors = [
            Embedding(index=i, embedding=_packed(v) if as_text else v)
            for i, v in enumerate(values)
            if isinstance(v, list)
        ]
        data = in_order(vectors, request)
    except BadVectorsError as exc:
        raise APIResponseValidationError(
            f"The answer of Gemini {exc}.", model=request.model, body=payload
        ) from None
    answer: dict[str, JSON] = {"data": data, "model": request.model}
    counts = payload.get("usageMetadata")
    tokens = counts.get("promptTokenCount") if isinstance(counts, Mapping) else None
    if isinstance(tokens, int):
        answer["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return EmbeddingResponse.model_validate(answer)


def _texts(request: EmbeddingRequest) -> Sequence[str]:
    texts = [request.input] if isinstance(request.input, str) else request.input
    if any(not isinstance(text, str) for text in texts):
        raise BadRequestError(
            "Gemini makes embeddings of texts, not of token ids: pass input= as a text or a list "
            "of texts.",
            model=request.model,
            param="input",
        )
    return [text for text in texts if isinstance(text, str)]


def _packed(numbers: Sequence[float]) -> str:
    """Base64 of little-endian 32-bit floats, as OpenAI sends them."""
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
