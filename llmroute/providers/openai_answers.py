"""OpenAI-shaped answers, whole and streamed, into our types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from ..chunks import Chunk, Decoder, as_chunk, assembled
from ..errors import APIError, APIResponseValidationError
from ..sse import BARE_LINE, WHOLE_BODY, Event, SSEDecoder, is_event_stream
from ..types.call_info import Answer
from ..types.chat import ChatCompletion, Choice, Message
from ..types.chat_chunk import ChatCompletionChunk, Delta
from ..types.embedding import EmbeddingRequest, EmbeddingResponse
from ..types.lenient import validate_leniently
from ..types.request import Request
from ..types.text import TextChoice, TextCompletion
from .call_indexes import CallIndexes
from .failures import choice_error, event_error, not_understood, stream_error
from .repair import brings_content, dicts, name_reasoning, repair_chunk, repair_completion
from .vectors import BadVectorsError, in_order
from .words import words

_WITH_WORDS = ("message", BARE_LINE, "error")
"""Names of events that must be chunks or errors; others may be there to keep a connection alive."""
_KEEP_ALIVES = frozenset({"heartbeat", "keep-alive", "keep_alive", "keepalive", "ping"})


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
    if isinstance(answer, ChatCompletion | TextCompletion) and len(answer.choices) > 1:
        _number_choices(answer)
    if isinstance(answer, ChatCompletion):
        for choice in answer.choices:
            if choice.message.__pydantic_extra__:
                _read_extra(choice.message)
    if isinstance(answer, EmbeddingResponse) and isinstance(request, EmbeddingRequest):
        try:
            answer.data = in_order(answer.data, request)
        except BadVectorsError as exc:
            raise _not_understood(str(exc), b"", request, provider) from None
    return answer


def _number_choices(answer: ChatCompletion | TextCompletion) -> None:
    """Numbers choices by position where some have the same number, as servers that never count."""
    choices: Sequence[Choice | TextChoice] = answer.choices
    if len({choice.index for choice in choices}) < len(choices):
        for position, choice in enumerate(choices):
            choice.index = position


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


class OpenAIDecoder(Decoder[Event]):
    """Decodes one stream; see `Decoder`.

    A chunk that already has the canonical shape is validated straight from its bytes; only one
    that has not is decoded, repaired and validated again.
    """

    def __init__(
        self,
        request: Request,
        finish_reasons: Mapping[str, str],
        parse: Callable[[bytes, Request], Answer],
        needs_reasons: bool = True,
    ) -> None:
        """`parse` takes an answer that is no stream."""
        self.needs_reasons = needs_reasons
        self._request = request
        self._finish_reasons = finish_reasons
        self._parse = parse
        self._model: type[ChatCompletionChunk] | type[TextCompletion] = (
            ChatCompletionChunk if request.row.name == "chat" else TextCompletion
        )
        self._calls: dict[int, CallIndexes] = {}
        self._in_deltas = False
        """Whether deltas have brought content, which a `message` at the end only repeats."""

    def feed(self, event: Event) -> tuple[Chunk, ...]:
        """The chunk in `event`, if it has one. Raises `APIError` for an error, and for what is
        neither a chunk nor something that keeps a connection alive."""
        if self.done:
            return ()
        name, data = event
        chunk: ChatCompletionChunk | TextCompletion | None = None
        if name == "message":
            try:
                chunk = self._model.model_validate_json(data)
            except ValidationError:
                chunk = None  # repaired below, where its error is not the context of others
        if chunk is None or says_more(chunk):
            chunk = self._repaired(event)
            if chunk is None:
                return ()
        elif not self._in_deltas and isinstance(chunk, ChatCompletionChunk):
            self._in_deltas = any(brings_content(vars(c.delta)) for c in chunk.choices)
        if isinstance(chunk, ChatCompletionChunk):
            for choice in chunk.choices:
                delta = choice.delta
                if delta.__pydantic_extra__:
                    _read_extra(delta)
                if delta.tool_calls:
                    indexes = self._calls.get(choice.index) or self._begin_calls(choice.index)
                    for call in delta.tool_calls:
                        indexes.place(call)
        return (chunk,)

    def _begin_calls(self, choice: int) -> CallIndexes:
        indexes = self._calls[choice] = CallIndexes(f"call_{self._request.call_id}_{choice}")
        return indexes

    def _repaired(self, event: Event) -> ChatCompletionChunk | TextCompletion | None:
        """The chunk in an event that has not the canonical shape; `None` if it has none."""
        if event.name == WHOLE_BODY:
            answer = self._parse(event.data, self._request)
            assert isinstance(answer, ChatCompletion | TextCompletion)  # no others are streamed
            self.done = self.is_whole = True
            return as_chunk(answer)
        data = event.data.strip()
        name = event.name.lower()
        if data.strip(b'"').upper() == b"[DONE]":
            self.done = True
            return None
        if not data and name != "error":
            return None
        may_be_anything = name not in _WITH_WORDS
        try:
            payload = from_any_json(data)
        except ValueError:
            if may_be_anything:
                return None
            if name == "error":
                raise event_error(data) from None
            raise self._broken("is not JSON", data) from None
        tells = payload.keys() & {"choices", "error", "usage"} if isinstance(payload, dict) else ()
        if not tells and (may_be_anything or _keeps_alive(payload)):
            return None
        if error := answer_error(payload):
            raise error
        if name == "error":
            raise event_error(data)
        if not isinstance(payload, dict) or not tells:
            if not payload or isinstance(payload, dict):
                return None  # a ping: it has no words, else it would be an error
            raise self._broken("is not a chunk", data)
        deltas = [choice.get("delta") for choice in dicts(payload.get("choices"))]
        self._in_deltas = self._in_deltas or any(map(brings_content, dicts(deltas)))
        repair_chunk(payload, self._request, self._finish_reasons, self._in_deltas)
        try:
            return validate_leniently(self._model, payload)
        except ValidationError as exc:
            error = self._broken(f"is not a chunk ({problem(exc)})", data)
        raise error

    def _broken(self, what: str, data: bytes) -> APIResponseValidationError:
        what = f"An event of the stream {what}."
        return not_understood(what, data, model=self._request.model)


def problem(exc: ValidationError) -> str:
    """The first thing that does not follow the protocol, and where."""
    first = exc.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def says_more(answer: ChatCompletion | ChatCompletionChunk | TextCompletion) -> bool:
    """Whether an answer or chunk of the canonical shape has an error or a usage in the fields that
    some providers add."""
    extra = answer.__pydantic_extra__
    if extra and ("error" in extra or "x_groq" in extra):
        return True
    for choice in answer.choices:
        extra = choice.__pydantic_extra__
        if extra and ("error" in extra or "usage" in extra):
            return True
    return False


def _read_extra(said: Message | Delta) -> None:
    """Takes what some providers add to a message or delta. Raises the error that is in it, if it
    has words: anything else under that name is a side field."""
    payload = {"error": (said.__pydantic_extra__ or {}).get("error")}
    if words(payload) and (error := stream_error(payload)):
        raise error
    name_reasoning(said)


def _keeps_alive(payload: object) -> bool:
    """Whether an event without a name says by its type that it only keeps a connection alive."""
    return isinstance(payload, dict) and str(payload.get("type")).lower() in _KEEP_ALIVES


def answer_error(payload: object) -> APIError | None:
    """The error in a decoded answer or chunk, or in one of its choices; `None`: there is none."""
    if error := stream_error(payload):
        return error
    choices = dicts(payload.get("choices")) if isinstance(payload, dict) else ()
    for choice in choices:
        if error := choice_error(choice):
            error.body = payload
            return error
    return None


def from_any_json(data: bytes) -> Any:
    """Decoded JSON. Halves of characters, which some servers send where they cut a text, become
    U+FFFD; a byte order mark and line ends within a text are taken. Raises `ValueError` for
    anything else that is no JSON."""
    try:
        return from_json(data)
    except ValueError:
        import json  # only for what pydantic's parser refuses

    try:
        decoded = json.loads(data.decode("utf-8-sig", "replace"), strict=False)
        text = json.dumps(decoded, ensure_ascii=False)
        return from_json(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
