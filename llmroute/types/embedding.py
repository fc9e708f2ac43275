"""Embeddings, in OpenAI's shape."""

from __future__ import annotations

from typing import Literal

from .base import Model
from .call_info import Answer


class Embedding(Model):
    """The vector of one input."""

    index: int
    embedding: list[float] | str
    """Numbers, or base64 of little-endian 32-bit floats with `encoding_format="base64"`."""
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(Model):
    """Tokens of the inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingResponse(Answer):
    """The answer to `embedding()`; `data` is in the order of the inputs."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage | None = None
