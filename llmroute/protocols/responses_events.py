"""A chat's chunks as the events of a Responses stream, and a whole answer by the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from ..chunks import as_chunk
from ..errors import LLMRouteError, RateLimitError
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk, Delta
from ..types.responses import Response, ResponseEvent
from ..types.usage import Usage
from .responses_items import (
    Event,
    OpenCall,
    OpenItem,
    OpenMessage,
    OpenReasoning,
    Status,
    shown_annotations,
    shown_logprobs,
)
from .responses_native import native_of
from .responses_request import ChatCall

_CUT_BY = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponseEvents:
    """Makes the events of one answer. Give it every chunk, then `finish` it, or `fail` it.

    An item of reasoning or text ends when another kind begins; calls end with the answer, as
    pieces of several may alternate.
    """

    def __init__(self, call: ChatCall, response_id: str, model: str, created: int) -> None:
        self.final: Response
        """The whole answer; set by `finish`."""
        self._call = call
        self._head: dict[str, Any] = {"id": response_id, "created_at": created, "model": model}
        self._summarised = bool(call.echo["reasoning"].get("summary"))
        self._sequence = 0
        self._items: list[OpenItem] = []
        self._ended: dict[int, Status] = {}
        """The status of the items that have ended, by their place."""
        self._calls: dict[int, OpenCall] = {}
        self._unnamed: dict[int, list[str]] = {}
        """Arguments that came before the name of their function."""
        self._message: OpenMessage | None = None

    def begin(self) -> Iterator[ResponseEvent]:
        """The events before anything is said."""
        yield self._numbered({"type": "response.created", "response": self._response()})
        yield self._numbered({"type": "response.in_progress", "response": self._response()})

    def feed(self, chunk: ChatCompletionChunk) -> Iterator[ResponseEvent]:
        """The events of a chunk; all that is new in it comes out before the next one goes in."""
        for choice in chunk.choices:
            if choice.index == 0:
                yield from map(self._numbered, self._said(choice.delta))

    def finish(self, answer: ChatCompletion) -> Iterator[ResponseEvent]:
        """The last events, when all chunks of `answer` have been fed."""
        choice = answer.choices[0] if answer.choices else None
        reason = _CUT_BY.get(choice.finish_reason or "") if choice else None
        status: Literal["completed", "incomplete"] = "incomplete" if reason else "completed"
        self._head["model"] = answer.model
        if choice is not None:
            yield from map(self._numbered, self._closing(answer, status))
        response = self._response(
            status=status,
            incomplete_details={"reason": reason} if reason else None,
            usage=_usage(answer.usage),
            **_facts(answer),
        )
        self.final = Response.model_validate(response)
        yield self._numbered({"type": f"response.{status}", "response": self.final})

    def fail(self, error: LLMRouteError) -> Iterator[ResponseEvent]:
        """The last event of an answer that broke off."""
        response = self._response(status="failed", error=failure(error))
        yield self._numbered({"type": "response.failed", "response": response})

    def _said(self, delta: Delta) -> Iterator[Event]:
        if delta.reasoning_content:
            yield from self._reasoning(delta.reasoning_content)
        if delta.content:
            yield from self._text("text", delta.content)
        if delta.refusal:
            yield from self._text("refusal", delta.refusal)
        for piece in delta.tool_calls or ():
            function = piece.function
            name = function.name if function else None
            yield from self._called(
                piece.index, piece.id, name, (function.arguments if function else None) or ""
            )
        if delta.function_call is not None:  # OpenAI's older form, one call without an id
            older = delta.function_call
            yield from self._called(0, None, older.name, older.arguments or "")

    def _reasoning(self, text: str) -> Iterator[Event]:
        current = self._items[-1] if self._items else None
        if not isinstance(current, OpenReasoning):
            yield from self._end_current()
            current = OpenReasoning(self._id("rs"), len(self._items), self._summarised)
            yield self._open(current)
        yield from current.add(text)

    def _text(self, kind: Literal["text", "refusal"], piece: str) -> Iterator[Event]:
        current = self._items[-1] if self._items else None
        if not isinstance(current, OpenMessage):
            yield from self._end_current()
            current = self._message = OpenMessage(self._id("msg"), len(self._items))
            yield self._open(current)
        yield from current.add(kind, piece)

    def _called(
        self, index: int, call_id: str | None, name: str | None, arguments: str
    ) -> Iterator[Event]:
        call = self._calls.get(index)
        if call is None and not name:
            self._unnamed.setdefault(index, []).append(arguments)
            return
        if call is None:
            yield from self._end_current()
            tool = self._call.tools.original(name or "")
            prefix = "ctc" if tool.is_custom else "fc"
            place = len(self._items)
            call = OpenCall(self._id(prefix), place, call_id or self._id("call"), tool)
            self._calls[index] = call
            yield self._open(call)
            arguments = "".join(self._unnamed.pop(index, [])) + arguments
        yield from call.add(arguments)

    def _closing(self, answer: ChatCompletion, status: Status) -> Iterator[Event]:
        """The events that end the items; in a cut answer the last one is incomplete."""
        choice = answer.choices[0]
        message = self._message
        if message is not None and message.index not in self._ended:
            message.annotations = shown_annotations(
                note.to_dict() for note in choice.message.annotations or ()
            )
            tokens = choice.logprobs.content if choice.logprobs else None
            message.logprobs = shown_logprobs([token.to_dict() for token in tokens or ()])
        last = len(self._items) - 1
        for item in list(self._items):
            if item.index not in self._ended:
                yield from self._end(item, status if item.index == last else "completed")
        native = native_of(choice.message)
        if native is not None:
            carrier = OpenReasoning(self._id("rs"), len(self._items), is_summary=True)
            yield self._open(carrier)
            carrier.encrypted = native.sealed()
            yield from self._end(carrier, "completed")

    def _open(self, item: OpenItem) -> Event:
        self._items.append(item)
        return item.added()

    def _end_current(self) -> Iterator[Event]:
        """Ends the latest item unless it is a call, which may go on."""
        current = self._items[-1] if self._items else None
        if current is not None and not isinstance(current, OpenCall):
            yield from self._end(current, "completed")

    def _end(self, item: OpenItem, status: Status) -> Iterator[Event]:
        self._ended[item.index] = status
        yield from item.ending(status)

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._head['id'].removeprefix('resp_')}_{len(self._items)}"

    def _response(self, status: str = "in_progress", **facts: Any) -> dict[str, Any]:
        open_status: Status = "incomplete" if status == "failed" else "in_progress"
        output = [item.item(self._ended.get(item.index, open_status)) for item in self._items]
        return {
            **self._call.echo,
            **self._head,
            "error": None,
            "incomplete_details": None,
            "usage": None,
            "status": status,
            "output": output,
            **facts,
        }

    def _numbered(self, event: Event) -> ResponseEvent:
        numbered = ResponseEvent.model_validate({**event, "sequence_number": self._sequence})
        self._sequence += 1
        return numbered


def failure(error: LLMRouteError) -> dict[str, str]:
    """An error as an answer of this protocol tells it."""
    code = "rate_limit_exceeded" if isinstance(error, RateLimitError) else "server_error"
    return {"code": code, "message": error.message}


def whole_response(events: ResponseEvents, answer: ChatCompletion) -> Response:
    """The answer to a call that does not stream."""
    for _ in events.feed(as_chunk(answer)):
        pass
    for _ in events.finish(answer):
        pass
    return events.final


def _facts(answer: ChatCompletion) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if answer.service_tier is not None:
        facts["service_tier"] = answer.service_tier
    if answer.choices and (native := answer.choices[0].get("native_finish_reason")):
        facts["native_finish_reason"] = native
    return facts


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    """Usage in this protocol's names, which require the counts that a provider may not report."""
    if usage is None:
        return None
    read, made = usage.prompt_tokens_details, usage.completion_tokens_details
    written = (read.cache_write_tokens if read else None) or usage.get(
        "cache_creation_input_tokens"
    )
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": (read.cached_tokens if read else None) or 0,
            "cache_write_tokens": written or 0,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {
            "reasoning_tokens": (made.reasoning_tokens if made else None) or 0
        },
        "total_tokens": usage.total_tokens,
    }
