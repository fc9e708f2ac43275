"""The body of an OpenAI-shaped answer into an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from .openai_decoder import answer_error, from_any_json, problem, says_more
from .repair import name_reasoning, repair_completion
from .vectors import BadVectorsError, in_order


def parse_answer(
    body: bytes,
    request: Request,
    provider: str,
    finish_reasons: Mapping[str, str],
    decoder: Callable[[Request], Decoder[Event]],
) -> Answer:
    """The answer in `body`; one that has the canonical shape is validated straight from it.

    `decoder` makes one for a stream that nobody asked for. Raises the error that the body stands
    for, and `APIResponseValidationError` for what is neither an error nor an answer.
    """
    answer = _canonical(body, request)
    if answer is None:
        answer, wrong = _repaired(body, request, finish_reasons, decoder)
        if answer is None:
            raise _not_understood(wrong, body, request, provider)
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


def _canonical(body: bytes, request: Request) -> Answer | None:
    """The answer in a body that has the canonical shape; `None` if it has not."""
    model: type[Answer] = request.row.answer
    try:
        answer = model.model_validate_json(body)
    except ValidationError:
        return None
    odd = isinstance(answer, ChatCompletion | TextCompletion) and says_more(answer)
    return None if odd else answer


def _repaired(
    body: bytes,
    request: Request,
    finish_reasons: Mapping[str, str],
    decoder: Callable[[Request], Decoder[Event]],
) -> tuple[Answer | None, str]:
    """The answer in a body of another shape, or `None` and what is wrong with it."""
    if is_event_stream(body):
        events = SSEDecoder()
        return assembled(decoder(request), chain(events.feed(body), events.flush()), request), ""
    try:
        payload = from_any_json(body)
    except ValueError:
        return None, "is not JSON"
    if error := answer_error(payload):
        raise error  # an error sent with status 200
    model: type[Answer] = request.row.answer
    try:
        return validate_leniently(model, repair_completion(payload, request, finish_reasons)), ""
    except ValidationError as exc:
        return None, f"does not follow the protocol ({problem(exc)})"


def _not_understood(
    what: str, body: bytes, request: Request, provider: str
) -> APIResponseValidationError:
    what = f"The answer of {provider} {what}."
    return not_understood(what, body, provider=provider, model=request.model)
