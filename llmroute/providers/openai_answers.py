"""The body of an OpenAI-shaped answer into an answer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from pydantic import ValidationError

from ..chunks import Decoder, assembled
from ..errors import APIResponseValidationError
from ..sse import Event, SSEDecoder, is_event_stream
from ..types.call_info import Answer
from ..types.chat import ChatCompletion
from ..types.embedding import EmbeddingRequest, EmbeddingResponse
from ..types.lenient import validate_leniently
from ..types.request import Request
from ..types.text import TextCompletion
from .failures import not_understood
from .openai_decoder import answer_error, from_any_json, says_more
from .repair import name_reasoning, repair_completion
from .vectors import BadVectorsError, in_order


def parse_answer(
    body: bytes,
    request: Request,
    provider: str,
    finish_reasons: Mapping[str, str],
    decoder: Decoder[Event],
) -> Answer:
    """The answer in `body`; one that has the canonical shape is validated straight from it.

    `decoder` is for a stream that nobody asked for. Raises the error that the body stands for, and
    `APIResponseValidationError` for what is neither an error nor an answer.
    """
    model: type[Answer] = request.row.answer
    try:
        answer = model.model_validate_json(body)
        odd = isinstance(answer, ChatCompletion | TextCompletion) and says_more(answer)
        if odd:
            answer = _parse_leniently(body, request, finish_reasons, decoder)
    except ValidationError:
        try:
            answer = _parse_leniently(body, request, finish_reasons, decoder)
        except ValueError as exc:
            raise _not_understood(_problem(exc), body, request, provider) from None
    if isinstance(answer, ChatCompletion | TextCompletion) and not answer.choices:
        raise _not_understood("has no choices", body, request, provider)
    if isinstance(answer, ChatCompletion):
        for choice in answer.choices:
            if choice.message.__pydantic_extra__:
                name_reasoning(choice.message)
    if isinstance(answer, EmbeddingResponse) and isinstance(request, EmbeddingRequest):
        try:
            answer.data = in_order(answer.data, request)
        except BadVectorsError as exc:
            raise _not_understood(str(exc), b"", request, provider) from None
    return answer


def _parse_leniently(
    body: bytes, request: Request, finish_reasons: Mapping[str, str], decoder: Decoder[Event]
) -> Answer:
    """Raises `ValueError` for what is not an answer."""
    if is_event_stream(body):
        events = SSEDecoder()
        return assembled(decoder, chain(events.feed(body), events.flush()), request)
    payload = from_any_json(body)
    if error := answer_error(payload):
        raise error  # an error sent with status 200
    model: type[Answer] = request.row.answer
    return validate_leniently(model, repair_completion(payload, request, finish_reasons))


def _problem(exc: ValueError) -> str:
    if not isinstance(exc, ValidationError):
        return "is not JSON"
    problem = exc.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, problem["loc"]))
    return f"does not follow the protocol ({where}: {problem['msg']})"


def _not_understood(
    what: str, body: bytes, request: Request, provider: str
) -> APIResponseValidationError:
    what = f"The answer of {provider} {what}."
    return not_understood(what, body, provider=provider, model=request.model)
