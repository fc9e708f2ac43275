"""Answers a call with what the caller gave as `mock_response=`, without calling anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ..chunks import as_chunk
from ..deployments import Deployment
from ..errors import BadRequestError
from ..types.call_info import Answer
from ..types.chat_chunk import ChatCompletionChunk
from ..types.embedding import Embedding, EmbeddingRequest, EmbeddingResponse
from ..types.request import Request
from ..types.text import TextCompletion
from .base import Chunk, Decoder, InProcessEvent, MockCall, Provider


class Mock(Provider):
    """The provider behind `mock_response=`."""

    name = "mock"
    runs_here = True
    operations = ("chat", "text", "embedding", "rerank")

    def build(self, request: Request, deployment: Deployment) -> MockCall:
        """The answer, or the error to raise.

        A text (for an embedding: one vector, for every input), the whole answer as an object or a
        dict, or an exception.
        """
        answer = "This is a mock response." if deployment.mock is None else deployment.mock
        if isinstance(answer, Exception):
            raise answer
        if isinstance(request, EmbeddingRequest) and isinstance(answer, list):
            return MockCall((_vectors(answer, request, deployment),))
        if isinstance(answer, str) and not isinstance(request, EmbeddingRequest):
            return MockCall(_chunks(answer, request, deployment))
        return MockCall((as_chunk(_whole(answer, request)),))

    def event_decoder(self, request: Request) -> Decoder[InProcessEvent]:
        """The chunks are there already."""
        return AsChunks()

    def collect(self, events: Sequence[InProcessEvent], request: Request) -> Answer:
        """The whole answer."""
        if request.row.chunk is not None:
            return super().collect(events, request)
        (answer,) = events
        return answer  # type: ignore[return-value]  # an operation without chunks has an answer


class AsChunks(Decoder[InProcessEvent]):
    """The decoder for events that are chunks already."""

    is_whole = True

    def feed(self, event: InProcessEvent) -> tuple[Chunk, ...]:
        """`event` itself."""
        assert isinstance(event, ChatCompletionChunk | TextCompletion)
        return (event,)


def _whole(answer: object, request: Request) -> Answer:
    kind: type[Answer] = request.row.answer
    if isinstance(answer, kind):
        return answer
    if isinstance(answer, Mapping):
        try:
            return kind.model_validate(answer)
        except ValidationError as exc:
            problem = exc.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise _refused(request, f"{where}: {problem['msg']}") from None
    raise _refused(request, f"not {type(answer).__name__}")


def _refused(request: Request, why: str) -> BadRequestError:
    text = "a vector" if request.operation == "embedding" else "a text"
    kind = request.row.answer.__name__
    return BadRequestError(
        f"mock_response= takes {text}, a whole {kind} or an exception ({why}).",
        model=request.model,
        param="mock_response",
    )


def _vectors(
    vector: list[float], request: EmbeddingRequest, deployment: Deployment
) -> EmbeddingResponse:
    inputs = 1 if isinstance(request.input, str) else len(request.input)
    data = [Embedding(index=index, embedding=vector) for index in range(inputs)]
    return EmbeddingResponse(data=data, model=deployment.model)


def _chunks(text: str, request: Request, deployment: Deployment) -> list[Chunk]:
    """The text word by word, then the end; for each of the choices asked for."""
    words = re.findall(r"\S*\s*", text)[:-1]
    chat = request.operation == "chat"
    common: dict[str, Any] = {
        "id": f"{request.row.id_prefix}{request.call_id}",
        "created": request.created,
        "model": deployment.model,
    }
    if chat:
        pieces = [{"delta": {"role": "assistant", "content": ""}}]
        pieces += [{"delta": {"content": word}} for word in words]
        end: dict[str, Any] = {"delta": {}}
    else:
        pieces = [{"text": word} for word in words]
        end = {"text": ""}
    kind = ChatCompletionChunk if chat else TextCompletion
    return [
        kind.model_validate({**common, "choices": [{"index": index, **piece}]})
        for index in range(request.params.get("n") or 1)
        for piece in (*pieces, {**end, "finish_reason": "stop"})
    ]


provider = Mock()
