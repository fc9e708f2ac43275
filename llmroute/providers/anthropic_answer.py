"""Answers of Anthropic's Messages API, whole and streamed, in OpenAI's shape.

Written from https://platform.claude.com/docs/en/api/messages and
https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11-28).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from ..chunks import Decoder, as_chunk
from ..errors import APIResponseValidationError
from ..sse import WHOLE_BODY, Event
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.request import JSON, Request
from .conversation import PROVIDER_CONTENT, Call, Part, text_of
from .failures import decode, stream_error

FORMAT = "anthropic"
"""What `provider_content` calls the content blocks of this protocol."""

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    # Both ask the client to send the conversation again as it is: nothing was cut, nothing failed.
    "pause_turn": "stop",
    "compaction": "stop",
}
SERVICE_TIERS = {"standard": "default", "priority": "priority"}
"""Its names in usage to OpenAI's."""
# Types of deltas whose text goes on: where OpenAI has it, and its key.
_GROWING = {
    "text_delta": ("content", "text"),
    "thinking_delta": ("reasoning_content", "thinking"),
    "input_json_delta": ("arguments", "partial_json"),
}
_EVENTS = frozenset(
    [
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_start",
        "message_stop",
        "ping",
    ]
)
_FIRST_LINE = b"event: message_start"


def completion(payload: Mapping[str, JSON], request: Request) -> ChatCompletion:
    """The whole answer. Raises `APIResponseValidationError` for what is no message."""
    blocks = payload.get("content")
    if not isinstance(blocks, list) or not all(isinstance(block, Mapping) for block in blocks):
        raise APIResponseValidationError(
            "The answer of Anthropic has no content.", model=request.model, body=payload
        )
    choice: dict[str, JSON] = {"index": 0, "message": message(blocks)}
    choice.update(finish(payload.get("stop_reason"), payload.get("stop_sequence")))
    answer: dict[str, JSON] = {
        "id": payload.get("id") or f"chatcmpl-{request.call_id}",
        "created": request.created,
        "model": payload.get("model") or request.model,
        "choices": [choice],
    }
    answer.update(_usage_fields(payload.get("usage")))
    answer.update(_beside(payload))
    return ChatCompletion.model_validate(answer)


def message(blocks: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """What the blocks say as OpenAI's message, with the blocks themselves beside it."""
    said: dict[str, JSON] = {"role": "assistant", "content": _text(blocks)}
    if thought := "".join(str(b.get("thinking") or "") for b in blocks):
        said["reasoning_content"] = thought
    if calls := [_call(block) for block in blocks if block.get("type") == "tool_use"]:
        said["tool_calls"] = calls
    if notes := list(_annotations(blocks)):
        said["annotations"] = notes
    return {**said, **native(blocks)}


def native(blocks: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """The fields that carry the blocks back, byte for byte, in the next turn."""
    kept: dict[str, JSON] = {PROVIDER_CONTENT: {"format": FORMAT, "blocks": list(blocks)}}
    thoughts = [b for b in blocks if b.get("type") in ("thinking", "redacted_thinking")]
    return {**kept, "thinking_blocks": thoughts} if thoughts else kept


def says_the_same(blocks: JSON, parts: Sequence[Part]) -> bool:
    """Whether the blocks of an answer say what its message says now.

    Raises `BadRequestError` for a call whose arguments are not JSON.
    """
    if not isinstance(blocks, list) or not all(isinstance(block, Mapping) for block in blocks):
        return False
    theirs = [(b.get("id"), b.get("name"), b.get("input")) for b in blocks if _is_call(b)]
    ours = [(part.id, part.name, part.parsed()) for part in parts if isinstance(part, Call)]
    return (_text(blocks) or "") == text_of(parts) and theirs == ours


def finish(reason: JSON, sequence: JSON = None) -> dict[str, JSON]:
    """The fields of a choice that say why it ended."""
    if not isinstance(reason, str):
        return {"finish_reason": None}
    said: dict[str, JSON] = {
        "finish_reason": FINISH_REASONS.get(reason),
        "native_finish_reason": reason,
    }
    return said if sequence is None else {**said, "stop_sequence": sequence}


def usage(counts: JSON) -> dict[str, JSON] | None:
    """Token counts as OpenAI has them: the prompt's include those read from and put into a cache.

    Anthropic counts the three apart. `None` where it did not count.
    """
    if not isinstance(counts, Mapping):
        return None
    fresh, written = counts.get("input_tokens"), counts.get("output_tokens")
    if not isinstance(fresh, int) or not isinstance(written, int):
        return None
    read = counts.get("cache_read_input_tokens") or 0
    stored = counts.get("cache_creation_input_tokens") or 0
    prompt = fresh + read + stored
    details = {"cached_tokens": read, "cache_write_tokens": stored}
    answer: dict[str, JSON] = {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": details,
    }
    thought = (counts.get("output_tokens_details") or {}).get("thinking_tokens")
    if isinstance(thought, int):
        answer["completion_tokens_details"] = {"reasoning_tokens": thought}
    beside = {k: v for k, v in counts.items() if k not in ("input_tokens", "output_tokens")}
    return {**beside, **answer}


def _usage_fields(counts: JSON) -> dict[str, JSON]:
    """The fields of an answer about its use of tokens, and about the tier that it was made in."""
    counted = usage(counts)
    if counted is None:
        return {}
    tier = SERVICE_TIERS.get(str(counted.get("service_tier")))
    return {"usage": counted, **({"service_tier": tier} if tier else {})}


def _text(blocks: Sequence[Mapping[str, JSON]]) -> str | None:
    texts = [str(b.get("text") or "") for b in blocks if b.get("type") == "text"]
    return "".join(texts) if texts else None


def _is_call(block: Mapping[str, JSON]) -> bool:
    return block.get("type") == "tool_use"


def _call(block: Mapping[str, JSON]) -> dict[str, JSON]:
    function = {"name": str(block.get("name")), "arguments": to_json(block.get("input")).decode()}
    return {"id": str(block.get("id")), "type": "function", "function": function}


def _annotations(blocks: Sequence[Mapping[str, JSON]]) -> Iterator[dict[str, JSON]]:
    """The pages that a text cites, for the characters of the text block that cites them."""
    start = 0
    for block in blocks:
        if block.get("type") != "text":
            continue
        end = start + len(str(block.get("text") or ""))
        for citation in block.get("citations") or ():
            if isinstance(citation, Mapping) and citation.get("url"):
                yield _citation(citation, start, end)
        start = end


def _citation(citation: Mapping[str, JSON], start: int, end: int) -> dict[str, JSON]:
    page = {"url": citation["url"], "title": citation.get("title") or "", "start_index": start}
    return {"type": "url_citation", "url_citation": {**page, "end_index": end}}


def _beside(payload: Mapping[str, JSON]) -> dict[str, JSON]:
    """What else the answer says, such as `container` and `context_management`."""
    ours = ("content", "id", "model", "role", "stop_reason", "stop_sequence", "type", "usage")
    return {k: v for k, v in payload.items() if k not in ours and v is not None}


class AnthropicDecoder(Decoder[Event]):
    """Decodes one stream; see `Decoder`.

    The finish reason is given with `message_stop`, the protocol's own end, and not before: a stream
    that breaks off just before it is not whole.
    """

    def __init__(self, request: Request) -> None:
        self.done = False
        """Whether `message_stop` has come."""
        self._request = request
        self._head: dict[str, JSON] = {
            "id": f"chatcmpl-{request.call_id}",
            "created": request.created,
            "model": request.model,
        }
        self._message: dict[str, JSON] = {}
        self._usage: dict[str, JSON] = {}
        self._blocks: dict[int, dict[str, JSON]] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}
        """By block and key, the texts of blocks that have no end yet."""
        self._calls: dict[int, int] = {}
        self._cut_event: bytes | None = None
        """An event whose end is missing: right only if no other follows it."""

    def feed(self, event: Event) -> Sequence[ChatCompletionChunk]:
        """The chunks of one event. Raises `APIError` for an error event."""
        if self.done or not event.data.strip():
            return ()
        payload = self._payload(event)
        kind = payload.get("type")
        if kind == "content_block_delta":
            return self._delta(payload)
        if event.name == WHOLE_BODY and payload:
            self.done = self.is_whole = True
            return (as_chunk(completion(payload, self._request)),)
        match kind:
            case "message_start":
                return self._start(payload.get("message"))
            case "content_block_start":
                return self._block(payload)
            case "content_block_stop":
                return self._close(payload.get("index"))
            case "message_delta":
                self._message.update(_said(payload.get("delta")))
                self._message.update(_beside({**payload, "delta": None}))
                self._usage.update(_said(payload.get("usage")))
            case "message_stop":
                return self._end()
        return ()

    def _payload(self, event: Event) -> Mapping[str, JSON]:
        """The event's data; an empty mapping for one that only begins, as a cut stream's last."""
        try:
            payload = from_json(event.data)
        except ValueError:
            payload = None
            if self._cut_event is None and only_begins(event.data):
                self._cut_event = event.data
                return {}
        is_known = isinstance(payload, dict) and payload.get("type") in _EVENTS
        if not is_known and (error := stream_error(payload)) is not None:
            raise error
        if not isinstance(payload, dict) or self._cut_event is not None:
            raise APIResponseValidationError(
                "An event of Anthropic's stream is not a JSON object.",
                model=self._request.model,
                body=decode(event.data if self._cut_event is None else self._cut_event),
            )
        return payload

    def _start(self, message: JSON) -> Sequence[ChatCompletionChunk]:
        started = dict(message) if isinstance(message, dict) else {}
        if self._message and self._message.get("id") == started.get("id"):
            return ()  # a gateway may say it twice
        if self._message:
            raise APIResponseValidationError(
                "Anthropic's stream began again before it was over.",
                model=self._request.model,
                body=message,
            )
        self._message = started
        self._usage = dict(self._message.get("usage") or {})
        for key in ("id", "model"):
            if self._message.get(key):
                self._head[key] = self._message[key]
        return (self._chunk({"role": "assistant", "content": ""}),)

    def _block(self, payload: Mapping[str, JSON]) -> Sequence[ChatCompletionChunk]:
        index, block = payload.get("index"), payload.get("content_block")
        if not isinstance(index, int) or not isinstance(block, Mapping):
            return ()
        self._blocks[index] = dict(block)
        if block.get("type") == "thinking":
            # Thinking that is not shown may come without a text, and must have one to go back.
            self._blocks[index].setdefault("thinking", "")
        if block.get("type") == "text" and block.get("text"):
            return (self._chunk({"content": block["text"]}),)
        if block.get("type") == "thinking" and block.get("thinking"):
            return (self._chunk({"reasoning_content": block["thinking"]}),)
        if not _is_call(block):
            return ()
        number = self._calls[index] = len(self._calls)
        function = {"name": str(block.get("name")), "arguments": ""}
        call = {"index": number, "id": block.get("id"), "type": "function", "function": function}
        return (self._chunk({"tool_calls": [call]}),)

    def _delta(self, payload: Mapping[str, JSON]) -> Sequence[ChatCompletionChunk]:
        index, delta = payload.get("index"), payload.get("delta")
        if not isinstance(index, int) or not isinstance(delta, dict):
            return ()
        kind = delta.get("type")
        ours, theirs = _GROWING.get(str(kind), ("", ""))
        piece = delta.get(theirs)
        if isinstance(piece, str):
            self._pieces.setdefault((index, theirs), []).append(piece)
            if theirs == "partial_json":
                return self._arguments(index, piece)
            return (self._chunk({ours: piece}),)
        block = self._blocks.setdefault(index, {})
        if kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
        else:
            _merge(block, delta)
        return ()

    def _arguments(self, index: int, piece: str) -> Sequence[ChatCompletionChunk]:
        number = self._calls.get(index)
        if number is None or not piece:  # a tool that Anthropic runs itself
            return ()
        call = {"index": number, "function": {"arguments": piece}}
        return (self._chunk({"tool_calls": [call]}),)

    def _close(self, index: JSON) -> Sequence[ChatCompletionChunk]:
        """Takes the end of a block. An input that was whole from its start becomes a piece here."""
        if not isinstance(index, int):
            return ()
        block = self._blocks.setdefault(index, {})
        for key in ("text", "thinking"):
            if pieces := self._pieces.pop((index, key), None):
                block[key] = "".join([str(block.get(key) or ""), *pieces])
        if text := "".join(self._pieces.pop((index, "partial_json"), ())):
            try:
                block["input"] = from_json(text)
            except ValueError:  # cut by the limit of tokens: kept as it was written
                block["input"] = text
            return ()
        if index not in self._calls:
            return ()
        return self._arguments(index, to_json(block.get("input") or {}).decode())

    def _end(self) -> Sequence[ChatCompletionChunk]:
        self.done = True
        for index, _ in list(self._pieces):
            self._close(index)
        blocks = [block for _, block in sorted(self._blocks.items())]
        delta = native(blocks)
        if notes := list(_annotations(blocks)):
            delta["annotations"] = notes
        ending = finish(self._message.get("stop_reason"), self._message.get("stop_sequence"))
        chunks = [self._chunk(delta, ending, _beside(self._message))]
        if counts := _usage_fields(self._usage):
            chunks.append(self._chunk(None, beside=counts))
        return chunks

    def _chunk(
        self,
        delta: Mapping[str, JSON] | None,
        ending: Mapping[str, JSON] | None = None,
        beside: Mapping[str, JSON] | None = None,
    ) -> ChatCompletionChunk:
        chunk: dict[str, JSON] = {**self._head, "choices": []}
        if delta is not None:
            choice = {"index": 0, "delta": delta}
            chunk["choices"] = [{**choice, **ending} if ending else choice]
        return ChatCompletionChunk.model_validate({**beside, **chunk} if beside else chunk)


def only_begins(data: bytes) -> bool:
    """Whether this is the beginning of JSON, or of the stream itself."""
    if _FIRST_LINE.startswith(data):
        return True
    try:
        from_json(data, allow_partial=True)
    except ValueError:
        return False
    return True


def _merge(block: dict[str, JSON], delta: Mapping[str, Any]) -> None:
    """A delta of another type, such as a signature's: texts go on, the rest is set."""
    for key, value in delta.items():
        old = block.get(key)
        if key == "type":
            continue
        block[key] = old + value if isinstance(old, str) and isinstance(value, str) else value


def _said(values: JSON) -> dict[str, JSON]:
    """The values that are not null: a null takes back nothing that was said before."""
    return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else {}
