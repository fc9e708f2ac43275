"""`responses()` and `aresponses()`: OpenAI's Responses protocol at every provider that chats.

A provider that speaks it gets the request as it is; for others it goes over a chat call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal, TypeAlias, Unpack, overload

from pydantic import TypeAdapter, ValidationError

from ..errors import (
    BadRequestError,
    LLMRouteError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from ..prepare import CallOptions, prepare
from ..protocols.responses_events import ResponseEvents, whole_response
from ..protocols.responses_input import Item, items_of
from ..protocols.responses_passed import PassedEvents
from ..protocols.responses_request import chat_call
from ..tracebacks import shorten
from ..transport import drive
from ..transport.drive import Job
from ..types.call_info import Answer
from ..types.responses import Response, ResponsesParams
from ..types.responses_request import RESPONSES, ResponsesRequest
from .chat import chat_job
from .response_store import MemoryResponseStore, ResponseStore
from .response_streams import AsyncResponseStream, Events, ResponseStream
from .signature import shows

Input: TypeAlias = str | Sequence[Any]
"""A text (one user message), or input items and items of answers in order."""

_PARAMS = frozenset(ResponsesParams.__annotations__)
_STORE = MemoryResponseStore()


class ResponsesArgs(ResponsesParams, CallOptions, total=False):
    """The keyword arguments of `responses()`."""

    response_store: ResponseStore | None
    """Where `previous_response_id` is looked up and answers are kept, unless `store=False`;
    `None`: at the provider if it speaks this protocol, else in this process, the latest 1,000 of at
    most 100 million characters."""


@overload
def responses(
    model: str, input: Input, *, stream: Literal[False] = False, **given: Unpack[ResponsesArgs]
) -> Response: ...
@overload
def responses(
    model: str, input: Input, *, stream: Literal[True], **given: Unpack[ResponsesArgs]
) -> ResponseStream: ...
@overload
def responses(
    model: str, input: Input, *, stream: bool, **given: Unpack[ResponsesArgs]
) -> Response | ResponseStream: ...
@shows(ResponsesArgs)
def responses(
    model: str, input: Input, *, stream: bool = False, **given: Unpack[ResponsesArgs]
) -> Response | ResponseStream:
    """Answers in OpenAI's Responses protocol, whatever the provider speaks.

    `model` is `provider/model` as in `completion()`. `input` is a text or a list of items; items of
    an earlier answer's `output` can be put in as they are, or `previous_response_id` can name it.
    With `stream=True` the protocol's events come as they are made.

    Raises `UnsupportedParamsError` for what a chat cannot do (`background=True`, stored prompts,
    ...), and else what `completion()` raises.
    """
    try:
        call = _call(model, input, stream, given)
        if stream:
            return ResponseStream(drive.stream(call.job), call.events, call.keep)
        return call.answered(drive.complete(call.job))
    except LLMRouteError as error:
        shorten(error)
        raise


@overload
async def aresponses(
    model: str, input: Input, *, stream: Literal[False] = False, **given: Unpack[ResponsesArgs]
) -> Response: ...
@overload
async def aresponses(
    model: str, input: Input, *, stream: Literal[True], **given: Unpack[ResponsesArgs]
) -> AsyncResponseStream: ...
@overload
async def aresponses(
    model: str, input: Input, *, stream: bool, **given: Unpack[ResponsesArgs]
) -> Response | AsyncResponseStream: ...
@shows(ResponsesArgs)
async def aresponses(
    model: str, input: Input, *, stream: bool = False, **given: Unpack[ResponsesArgs]
) -> Response | AsyncResponseStream:
    """The async twin of `responses()`."""
    try:
        call = _call(model, input, stream, given)
        if stream:
            return AsyncResponseStream(await drive.astream(call.job), call.events, call.keep)
        return call.answered(await drive.acomplete(call.job))
    except LLMRouteError as error:
        shorten(error)
        raise


@dataclass(frozen=True, slots=True)
class _Call:
    """A Responses call, to a provider that speaks the protocol or over a chat."""

    job: Job[Any, Any]
    events: Events
    whole: Callable[[Any], Response]
    """Makes the answer of the job's."""
    items: Sequence[Item] = ()
    """The conversation so far."""
    store: ResponseStore | None = None
    """Where to keep the answer; `None`: nowhere."""

    def answered(self, answer: Answer) -> Response:
        """The answer to a call that does not stream."""
        response = self.whole(answer)
        response._call_info = answer.call_info
        self.keep(response)
        return response

    def keep(self, response: Response) -> None:
        """Keeps the conversation for `previous_response_id`."""
        if self.store is not None:
            self.store.save(response.id, [*self.items, *(i.to_dict() for i in response.output)])


def _call(model: str, given_input: object, stream: bool, given: Mapping[str, Any]) -> _Call:
    items = items_of(given_input)
    if given.get("response_store") is None:
        options = {name: value for name, value in given.items() if name != "response_store"}
        with suppress(UnsupportedOperationError):
            return _passed(model, items, stream, options)
    return _bridge(model, items, stream, given)


def _passed(model: str, items: Sequence[Item], stream: bool, given: Mapping[str, Any]) -> _Call:
    """A call to a provider that speaks the protocol.

    Raises `UnsupportedOperationError` if it does not.
    """
    prepared = prepare(RESPONSES, model, given)
    request = ResponsesRequest(input=items, stream=bool(stream), **prepared.common)
    return _Call(prepared.job(RESPONSES, request), PassedEvents(), lambda answer: answer)


def _bridge(model: str, items: Sequence[Item], stream: bool, given: Mapping[str, Any]) -> _Call:
    """A call over a chat."""
    params = {name: value for name, value in given.items() if name in _PARAMS and value is not None}
    options = {name: value for name, value in given.items() if name not in _PARAMS}
    store = options.pop("response_store", None) or _STORE
    _check_types(params, model)
    if options.get("n") not in (None, 1):
        raise UnsupportedParamsError(
            "n cannot be used here: this protocol has one answer.", model=model, param="n"
        )
    earlier = _earlier(params.get("previous_response_id"), store)
    call = chat_call(items, params, earlier)
    job = chat_job(model, call.messages, stream, {**options, **call.params})
    request = job.request
    events = ResponseEvents(
        call, f"resp_{request.call_id}", job.deployments[0].model, request.created
    )
    kept = store if params.get("store") is not False else None
    return _Call(job, events, partial(whole_response, events), [*earlier, *items], kept)


def _earlier(response_id: str | None, store: ResponseStore) -> list[Item]:
    if response_id is None:
        return []
    items = store.load(response_id)
    if items is None:
        raise BadRequestError(
            f"previous_response_id={response_id!r} is not kept here: it was made with store=False "
            "or in another process, or is too old. Send its items as input.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return [dict(item) for item in items]


def _check_types(params: dict[str, Any], model: str) -> None:
    try:
        _checker().validate_python(params)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        name = str(problem["loc"][0])
        raise BadRequestError(f"{name}: {problem['msg']}.", model=model, param=name) from None


@cache
def _checker() -> TypeAdapter[ResponsesParams]:
    return TypeAdapter(ResponsesParams)
