"""Embeddings on Bedrock, each family of models in its own form: Titan, Nova and Cohere.

Written from https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
and the pages of Nova and Cohere beside it (2026-11-28), and from recorded traffic.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from ..errors import APIResponseValidationError, BadRequestError
from ..types.embedding import Embedding, EmbeddingRequest, EmbeddingResponse
from ..types.request import JSON
from .failures import stream_error
from .vectors import BadVectorsError, in_order

_COHERE = {
    "dimensions": "output_dimension",
    "input_type": "input_type",
    "truncate": "truncate",
}
_NOVA = {
    "dimensions": "embeddingDimension",
    "embedding_purpose": "embeddingPurpose",
    "truncate": "truncationMode",
}
_TITAN = {"dimensions": "dimensions", "normalize": "normalize"}
OWN_PARAMS = frozenset({*_COHERE, *_NOVA, *_TITAN} - {"dimensions"})
"""Parameters that only some of these models take."""


def accepted(model: str) -> frozenset[str]:
    """The names of the parameters that the model takes."""
    return frozenset({*_names(model), "encoding_format"})


def body(request: EmbeddingRequest, model: str, params: Mapping[str, JSON]) -> dict[str, JSON]:
    """The body of a call of `invoke`. Raises `BadRequestError` for inputs the model cannot take."""
    texts, names = _texts(request), _names(model)
    given = {names.get(name, name): v for name, v in params.items() if name != "encoding_format"}
    if names is _COHERE:
        # It insists on knowing what the texts are for.
        return {"texts": texts, "input_type": "search_document", **given}
    if len(texts) != 1:
        raise BadRequestError(
            f"{request.model} makes the embedding of one text a call, not of {len(texts)}: call it "
            "for each.",
            model=request.model,
            param="input",
        )
    if names is _TITAN:
        return {"inputText": texts[0], **given}
    text = {"value": texts[0], "truncationMode": given.pop("truncationMode", "NONE")}
    task = {"embeddingPurpose": "GENERIC_INDEX", "text": text, **given}
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": task}


def response(payload: JSON, request: EmbeddingRequest) -> EmbeddingResponse:
    """The vectors. Raises `APIResponseValidationError` if they are not those asked for."""
    vectors = _vectors(payload)
    if vectors is None:
        if (error := stream_error(payload)) is not None:
            raise error
        vectors = []
    try:
        found = [Embedding(index=index, embedding=v) for index, v in enumerate(vectors)]
        data = in_order(found, request)
    except (BadVectorsError, ValidationError) as exc:
        what = exc if isinstance(exc, BadVectorsError) else "has a vector that is none"
        raise APIResponseValidationError(
            f"The answer of Bedrock {what}.", model=request.model, body=payload
        ) from None
    if request.params.get("encoding_format") == "base64":
        for vector in data:
            vector.embedding = _packed(vector.embedding)
    answer: dict[str, JSON] = {"data": data, "model": request.model}
    match payload:
        case {"inputTextTokenCount": int(tokens)}:
            answer["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return EmbeddingResponse.model_validate(answer)


def _vectors(payload: JSON) -> list[JSON] | None:
    match payload:
        case {"embedding": list(vector)}:
            return [vector]
        case {"embeddings": {"float": list(vectors)}}:
            return vectors
        case {"embeddings": [{"embedding": _}, *_] as entries}:
            return [entry.get("embedding") for entry in entries if isinstance(entry, Mapping)]
        case {"embeddings": list(vectors)}:
            return vectors
    return None


def _texts(request: EmbeddingRequest) -> list[JSON]:
    texts = [request.input] if isinstance(request.input, str) else list(request.input)
    if any(not isinstance(text, str) for text in texts):
        raise BadRequestError(
            "Bedrock makes embeddings of texts, not of token ids: pass input= as a text or a list "
            "of texts.",
            model=request.model,
            param="input",
        )
    return list(texts)


def _names(model: str) -> Mapping[str, str]:
    """Our names of parameters to the model's. An ARN that names no model counts as Titan's."""
    if "cohere." in model:
        return _COHERE
    return _NOVA if "amazon.nova" in model else _TITAN


def _packed(numbers: Sequence[float] | str) -> str:
    """Base64 of little-endian 32-bit floats, as OpenAI sends them."""
    if isinstance(numbers, str):
        return numbers
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
