"""Answers of Bedrock's Converse API, whole and streamed, in OpenAI's shape.

Written from https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
API_runtime_ConverseStream.html beside it (2026-11-28).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic_core import from_json

from ..chunks import Decoder, as_chunk
from ..errors import APIResponseValidationError
from ..sse import WHOLE_BODY, Event
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.request import JSON, Request
from .bedrock_blocks import ANSWER_TOOL, asks_for_schema, cited_pages, is_call, message, native
from .bedrock_errors import exception, exception_in
from .bedrock_growth import GrowingBlock
from .bedrock_models import enforces_schemas
from .eventstream import EXCEPTION
from .failures import decode, stream_error

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}
_DETAILS = ("cacheReadInputTokens", "cacheWriteInputTokens", "inputTokens", "outputTokens")


def completion(payload: JSON, request: Request) -> ChatCompletion:
    """The whole answer. Raises `APIResponseValidationError` for what is none, or its error."""
    match payload:
        case {"output": {"message": {"content": list(blocks)}}}:
            pass
        case _:
            if (error := stream_error(payload)) is not None:
                raise error
            raise _no_answer("The answer of Bedrock has no content.", request, payload)
    if not all(isinstance(block, Mapping) for block in blocks):
        raise _no_answer("A block of Bedrock's answer is not an object.", request, payload)
    said = message(blocks, as_schema=asks_for_schema(request.params))
    ending = finish(payload.get("stopReason"), has_calls="tool_calls" in said)
    answer: dict[str, JSON] = {
        **_beside(payload, ("output", "stopReason", "usage")),
        "id": f"chatcmpl-{request.call_id}",
        "created": request.created,
        "model": request.model,
        "choices": [{"index": 0, "message": said, **ending}],
    }
    if (counts := usage(payload.get("usage"))) is not None:
        answer["usage"] = counts
    return ChatCompletion.model_validate(answer)


def finish(reason: JSON, *, has_calls: bool) -> dict[str, JSON]:
    """The fields of a choice that say why it ended."""
    if not isinstance(reason, str):
        return {"finish_reason": None}
    ours = FINISH_REASONS.get(reason)
    if reason == "tool_use" and not has_calls:  # its only call was the answer
        ours = "stop"
    return {"finish_reason": ours, "native_finish_reason": reason}


def usage(counts: JSON) -> dict[str, JSON] | None:
    """Token counts as OpenAI has them: the prompt's include those read from and put into a cache.

    Bedrock counts the three apart. `None` where it did not count.
    """
    if not isinstance(counts, Mapping):
        return None
    fresh, written = counts.get("inputTokens"), counts.get("outputTokens")
    if not isinstance(fresh, int) or not isinstance(written, int):
        return None
    read = counts.get("cacheReadInputTokens") or 0
    stored = counts.get("cacheWriteInputTokens") or 0
    prompt = fresh + read + stored
    answer: dict[str, JSON] = {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": stored},
    }
    if "cacheWriteInputTokens" in counts:
        answer["cache_creation_input_tokens"] = stored
        answer["cache_read_input_tokens"] = read
    if details := _by_lifetime(counts.get("cacheDetails")):
        answer["cache_creation"] = details
    beside = {k: v for k, v in counts.items() if k not in (*_DETAILS, "totalTokens")}
    return {**beside, **answer}


def _by_lifetime(details: JSON) -> dict[str, JSON]:
    """How much was put into the cache for 5 minutes and for an hour, by Anthropic's names."""
    found: dict[str, JSON] = {}
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"ttl": str(ttl), "inputTokens": int(tokens)}:
                name = f"ephemeral_{ttl}_input_tokens"
                found[name] = found.get(name, 0) + tokens
    return found


def _beside(payload: Mapping[str, JSON], known: Sequence[str]) -> dict[str, JSON]:
    """What else the answer says, such as `trace` and `metrics`."""
    said = {k: v for k, v in payload.items() if k not in known and v is not None}
    match said.get("serviceTier"):
        case {"type": str(tier)}:
            said["service_tier"] = tier
    return said


def _no_answer(what: str, request: Request, payload: JSON) -> APIResponseValidationError:
    return APIResponseValidationError(what, model=request.model, body=payload)


class ConverseDecoder(Decoder[Event]):
    """Decodes one stream; see `Decoder`.

    `messageStop` brings the finish reason, and `metadata` the usage, after which nothing comes.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._head = {
            "id": f"chatcmpl-{request.call_id}",
            "created": request.created,
            "model": request.model,
        }
        self._blocks: dict[int, GrowingBlock] = {}
        self._calls: dict[int, int] = {}
        self._answers: set[int] = set()
        """The blocks whose input is the answer."""
        by_schema = asks_for_schema(request.params)
        self._as_schema = by_schema
        self._held: list[str] | None = None
        """Text that is no part of an answer which comes as a tool's input; `None`: none is held."""
        if by_schema and not enforces_schemas(request.model):
            self._held = []

    def feed(self, event: Event) -> Sequence[ChatCompletionChunk]:
        """The chunks of one event. Raises `APIError` for an exception."""
        if event.name.startswith(EXCEPTION):
            raise exception(event.name.removeprefix(EXCEPTION), decode(event.data))
        payload = self._payload(event)
        if event.name == WHOLE_BODY:
            self.done = self.is_whole = True
            return (as_chunk(completion(payload, self._request)),)
        name = event.name
        if name == "message":  # a host that sends them as server-sent events
            name, payload = next(iter(payload.items()), ("", {}))
            if (error := exception_in(name, payload)) is not None:
                raise error
        return self._chunks(name, payload) if isinstance(payload, dict) else ()

    def _payload(self, event: Event) -> dict[str, JSON]:
        try:
            payload = from_json(event.data)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            raise APIResponseValidationError(
                "An event of Bedrock's stream is not a JSON object.",
                model=self._request.model,
                body=decode(event.data),
            )
        return payload

    def _chunks(self, name: str, payload: Mapping[str, JSON]) -> Sequence[ChatCompletionChunk]:
        match name:
            case "contentBlockDelta":
                return self._grow(payload.get("contentBlockIndex"), payload.get("delta"))
            case "messageStart":
                return (self._chunk({"role": "assistant", "content": ""}),)
            case "contentBlockStart":
                return self._start(payload.get("contentBlockIndex"), payload.get("start"))
            case "contentBlockStop":
                return self._stop(payload.get("contentBlockIndex"))
            case "messageStop":
                return self._end(payload)
            case "metadata":
                return self._metadata(payload)
        return ()

    def _start(self, index: JSON, start: JSON) -> Sequence[ChatCompletionChunk]:
        if not isinstance(index, int) or not isinstance(start, Mapping) or not start:
            return ()
        self._blocks[index] = GrowingBlock(start)
        use = start.get("toolUse")
        if not is_call(start) or not isinstance(use, Mapping):
            return ()
        if self._as_schema and use.get("name") == ANSWER_TOOL and not self._answers:
            self._answers.add(index)
            self._held = None
            return ()
        number = self._calls[index] = len(self._calls)
        function = {"name": str(use.get("name")), "arguments": ""}
        call = {"index": number, "id": str(use.get("toolUseId")), "type": "function"}
        return (self._chunk({"tool_calls": [{**call, "function": function}]}),)

    def _grow(self, index: JSON, delta: JSON) -> Sequence[ChatCompletionChunk]:
        if not isinstance(index, int) or not isinstance(delta, dict):
            return ()
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = GrowingBlock({})
        block.add(delta)
        match delta:
            case {"text": str(text)}:
                return self._text(text)
            case {"toolUse": {"input": str(piece)}}:
                return self._arguments(index, piece)
            case {"reasoningContent": {"text": str(text)}}:
                return (self._chunk({"reasoning_content": text}),)
        return ()

    def _text(self, text: str) -> Sequence[ChatCompletionChunk]:
        if self._answers:
            return ()
        if self._held is not None:
            self._held.append(text)
            return ()
        return (self._chunk({"content": text}),)

    def _arguments(self, index: int, piece: str) -> Sequence[ChatCompletionChunk]:
        if not piece:
            return ()
        if index in self._answers:
            return (self._chunk({"content": piece}),)
        number = self._calls.get(index)
        if number is None:  # a tool that the service runs itself
            return ()
        call = {"index": number, "function": {"arguments": piece}}
        return (self._chunk({"tool_calls": [call]}),)

    def _stop(self, index: JSON) -> Sequence[ChatCompletionChunk]:
        """Takes the end of a block. A call that has no input gets an empty one."""
        if not isinstance(index, int) or index not in self._calls:
            return ()
        return () if self._blocks[index].has_input else self._arguments(index, "{}")

    def _end(self, payload: Mapping[str, JSON]) -> Sequence[ChatCompletionChunk]:
        chunks = []
        if self._held:
            chunks.append(self._chunk({"content": "".join(self._held)}))
        blocks = [block.whole() for _, block in sorted(self._blocks.items())]
        delta = native(blocks)
        if notes := list(cited_pages(blocks)):
            delta["annotations"] = notes
        ending = finish(payload.get("stopReason"), has_calls=bool(self._calls))
        beside = _beside(payload, ("stopReason", "p"))
        return [*chunks, self._chunk(delta, ending, beside)]

    def _metadata(self, payload: Mapping[str, JSON]) -> Sequence[ChatCompletionChunk]:
        self.done = True
        beside = _beside(payload, ("usage", "p"))
        if (counts := usage(payload.get("usage"))) is not None:
            beside["usage"] = counts
        return (self._chunk(None, beside=beside),)

    def _chunk(
        self,
        delta: Mapping[str, JSON] | None,
        ending: Mapping[str, JSON] | None = None,
        beside: Mapping[str, JSON] | None = None,
    ) -> ChatCompletionChunk:
        choice = {"index": 0, "delta": delta, **ending} if ending else {"index": 0, "delta": delta}
        chunk = {**beside, **self._head} if beside else {**self._head}
        chunk["choices"] = [] if delta is None else [choice]
        return ChatCompletionChunk.model_validate(chunk)
