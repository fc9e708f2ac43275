"""Embeddings, in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Never

from pydantic import with_config
from typing_extensions import TypedDict

from .base import Model
from .call_info import Answer
from .operation import Operation
from .request import STRICT, Request


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


@with_config(STRICT)
class EmbeddingParams(TypedDict, total=False):
    """OpenAI's parameters of an embedding call."""

    dimensions: int | None
    encoding_format: Literal["float", "base64"] | None
    user: str | None


EMBEDDING: Operation[EmbeddingResponse, Never] = Operation(
    name="embedding",
    params=EmbeddingParams,
    content=("input",),
    path="/embeddings",
    answer=EmbeddingResponse,
    max_bytes=1024 * 1024 * 1024,  # lists of numbers: real ones have some 100 MB
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest(Request):
    """Texts to be turned into vectors."""

    row: ClassVar[Operation[EmbeddingResponse, Never]] = EMBEDDING

    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]
