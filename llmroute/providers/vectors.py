"""The vectors of an answer, checked against the inputs they were asked for."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

from ..types.embedding import Embedding, EmbeddingRequest


class BadVectorsError(Exception):
    """The vectors are not those that were asked for; the text says how."""


def in_order(vectors: Sequence[Embedding], request: EmbeddingRequest) -> list[Embedding]:
    """The vectors in the order of the inputs, each as it was asked for.

    Some servers count from 1, and some give every vector the number 0, which then says nothing.
    Raises `BadVectorsError` if there are not as many as inputs, if they do not say which input each
    belongs to, or if one is empty or cannot be decoded.
    """
    inputs = _count(request.input)
    if len(vectors) != inputs:
        raise BadVectorsError(f"has {len(vectors)} of {inputs} vectors")
    ordered = sorted(vectors, key=lambda vector: vector.index)  # equal ones keep their position
    numbers = [vector.index for vector in ordered]
    from_one = list(range(1, inputs + 1))
    if numbers not in (list(range(inputs)), from_one, [0] * inputs):
        raise BadVectorsError("does not say which vector belongs to which input")
    for position, vector in enumerate(ordered):
        vector.index = position
    encoding = request.extra_body.get("encoding_format", request.params.get("encoding_format"))
    for vector in ordered:
        if encoding != "base64" and isinstance(vector.embedding, str):
            vector.embedding = _decoded(vector.embedding)
        if not vector.embedding:
            raise BadVectorsError("has an empty vector")
    return ordered


def number_vectors(data: object) -> None:
    """Numbers the vectors of a decoded answer by their position, if none of them has a number."""
    vectors = [v for v in data if isinstance(v, dict)] if isinstance(data, list) else []
    if all(vector.get("index") is None for vector in vectors):
        for position, vector in enumerate(vectors):
            vector["index"] = position


def _count(inputs: str | Sequence[Any]) -> int:
    """How many inputs there are: a text and a list of token ids are one."""
    if isinstance(inputs, str) or (inputs and isinstance(inputs[0], int)):
        return 1
    return len(inputs)


def _decoded(text: str) -> list[float]:
    """The numbers in base64 of little-endian 32-bit floats, which some servers send unasked."""
    try:
        raw = base64.b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    except (ValueError, struct.error):
        raise BadVectorsError("has a text where numbers were asked for") from None
