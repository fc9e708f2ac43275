"""`embedding()` and `aembedding()`: texts become vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Never, Unpack

from ..errors import LLMRouteError
from ..prepare import CallOptions, prepare
from ..tracebacks import shorten
from ..transport import drive
from ..transport.drive import Job
from ..types.embedding import EMBEDDING, EmbeddingParams, EmbeddingRequest, EmbeddingResponse
from .inputs import checked_inputs
from .signature import shows


class EmbeddingArgs(EmbeddingParams, CallOptions, total=False):
    """The keyword arguments of `embedding()`."""


@shows(EmbeddingArgs)
def embedding(
    model: str,
    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
    **given: Unpack[EmbeddingArgs],
) -> EmbeddingResponse:
    """Turns texts (or token ids) into vectors, in the order given.

    The vectors are `.data[0].embedding` and so on. `dimensions` asks for shorter ones, where the
    model has them. Options and errors as in `completion()`.
    """
    try:
        job = embedding_job(model, input, given)
        return drive.complete(job)
    except LLMRouteError as error:
        shorten(error)
        raise


@shows(EmbeddingArgs)
async def aembedding(
    model: str,
    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
    **given: Unpack[EmbeddingArgs],
) -> EmbeddingResponse:
    """The async twin of `embedding()`."""
    try:
        job = embedding_job(model, input, given)
        return await drive.acomplete(job)
    except LLMRouteError as error:
        shorten(error)
        raise


def embedding_job(
    model: str, inputs: object, given: Mapping[str, object]
) -> Job[EmbeddingResponse, Never]:
    """The job of an embedding call. Raises `BadRequestError` or a subclass for anything wrong."""
    checked = checked_inputs(inputs, "input", model)
    prepared = prepare(EMBEDDING, model, given)
    return prepared.job(EMBEDDING, EmbeddingRequest(input=checked, **prepared.common))
