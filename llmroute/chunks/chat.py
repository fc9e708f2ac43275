"""Chunks of a chat completion back into one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..types.chat import ChatCompletion, ChoiceLogprobs
from ..types.chat_chunk import ChatCompletionChunk, Delta, ToolCallDelta
from ..types.lenient import validate_leniently
from .assembler import ChoiceAssembler, ChoiceState
from .calls import CallPieces
from .fields import ExtraFields, GrowingFields, merge


@dataclass(slots=True)
class _Choice(ChoiceState):
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, CallPieces] | None = None
    function_call: CallPieces | None = None
    audio: GrowingFields | None = None
    delta_extra: ExtraFields | None = None


class ChatAssembler(ChoiceAssembler[_Choice]):
    """Collects `ChatCompletionChunk`s; see `Assembler`."""

    def __init__(self, expected: int = 1, shows_usage: bool = False) -> None:
        super().__init__(expected, shows_usage)
        self._first: ChatCompletionChunk | None = None
        self._rest: dict[str, Any] = {}
        """The latest values of the fields that belong to the whole answer."""

    def add(self, chunk: ChatCompletionChunk) -> bool:
        """See `Assembler.add`."""
        choices = chunk.choices
        first = self._first
        if first is None or (choices and not first.choices):
            self._first = chunk  # a chunk without choices may come before, with a head of its own
        self.says_something = said = False
        for piece in choices:
            choice = self._choices.get(piece.index)
            is_new = choice is None
            if choice is None:
                choice = self._begin(piece.index, _Choice())
            if says := _add_delta(choice, piece.delta):
                self.says_something = said = True
            # Most pieces are text and nothing else.
            if (
                piece.finish_reason is not None
                or choice.finished
                or piece.logprobs is not None
                or piece.__pydantic_extra__
            ):
                self._account(piece, choice, says, is_new)
        usage = chunk.usage
        if usage is not None or self._usage is not None:
            self._add_usage(usage, said)
        if self.says_something:
            self.spoke = True
        self._add_rest(chunk)
        return bool(choices) or self._shows_usage or usage is None

    def completion(self) -> ChatCompletion:
        """See `Assembler.completion`."""
        first = self._first
        payload = {
            **self._rest,
            "id": first.id if first else "",
            "created": first.created if first else 0,
            "model": first.model if first else "",
            "choices": [_choice(index, state) for index, state in sorted(self._choices.items())],
        }
        if self._usage is not None:
            payload["usage"] = self._usage
        return validate_leniently(ChatCompletion, payload)

    def _add_rest(self, chunk: ChatCompletionChunk) -> None:
        rest = self._rest
        if chunk.system_fingerprint is not None:
            rest["system_fingerprint"] = chunk.system_fingerprint
        if chunk.service_tier is not None:
            rest["service_tier"] = chunk.service_tier
        if chunk.moderation is not None:
            rest["moderation"] = chunk.moderation
        if chunk.__pydantic_extra__:
            merge(rest, chunk.__pydantic_extra__)


def as_chunk(answer: ChatCompletion) -> ChatCompletionChunk:
    """A whole completion as the one chunk of a stream."""
    payload = answer.to_dict()
    payload["object"] = "chat.completion.chunk"
    for choice in payload["choices"]:
        delta = choice["delta"] = choice.pop("message")
        for index, call in enumerate(delta.get("tool_calls") or ()):
            call["index"] = index
    return validate_leniently(ChatCompletionChunk, payload)


def _add_delta(choice: _Choice, delta: Delta) -> bool:
    """Takes the next piece of a choice; whether it says something."""
    says = False
    content = delta.content
    if content:
        choice.content.append(content)
        says = True
    if delta.reasoning_content:
        choice.reasoning.append(delta.reasoning_content)
        says = True
    if delta.refusal:
        choice.refusal.append(delta.refusal)
        says = True
    if delta.tool_calls:
        choice.calls = choice.calls or {}
        says = _add_calls(choice.calls, delta.tool_calls) or says
    if delta.function_call is not None:
        choice.function_call = choice.function_call or CallPieces()
        choice.function_call.add_function(delta.function_call)
        says = says or bool(delta.function_call.name or delta.function_call.arguments)
    if delta.audio is not None:
        choice.audio = choice.audio or GrowingFields(("data", "transcript"))
        choice.audio.add(dict(delta.audio.items()))
        says = True
    if delta.__pydantic_extra__:
        choice.delta_extra = choice.delta_extra or ExtraFields()
        choice.delta_extra.add(delta.__pydantic_extra__)
        says = says or any(delta.__pydantic_extra__.values())
    return says


def _add_calls(calls: dict[int, CallPieces], pieces: Iterable[ToolCallDelta]) -> bool:
    """Takes the next pieces of calls; whether one of them says something."""
    says = False
    for piece in pieces:
        function = piece.function
        written = function is not None and (function.name or function.arguments)
        says = says or bool(written or piece.id or piece.__pydantic_extra__)
        call = calls.get(piece.index)
        if call is None:
            call = calls[piece.index] = CallPieces()
        call.add(piece)
    return says


def _choice(index: int, choice: _Choice) -> dict[str, Any]:
    extra = dict(choice.extra)
    if "message" in extra:  # beside the deltas that say the same
        extra["native_message"] = extra.pop("message")
    whole = {
        **extra,
        "index": index,
        "message": _message(choice),
        "finish_reason": choice.finish_reason,
    }
    if choice.logprobs:
        whole["logprobs"] = _logprobs(choice.logprobs)
    return whole


def _message(choice: _Choice) -> dict[str, Any]:
    message = choice.delta_extra.joined() if choice.delta_extra is not None else {}
    is_whole = choice.finished and choice.finish_reason != "length"
    pieces = (call for _, call in sorted((choice.calls or {}).items()))
    calls = [call.tool_call(is_whole) for call in pieces if call.says_something]
    function_call = choice.function_call
    if function_call is not None and not function_call.says_something:
        function_call = None
    silent = not choice.content and (calls or function_call is not None)
    message |= {"role": "assistant", "content": None if silent else "".join(choice.content)}
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.refusal:
        message["refusal"] = "".join(choice.refusal)
    if choice.audio is not None:
        message["audio"] = choice.audio.joined()
    if calls:
        message["tool_calls"] = calls
    if function_call is not None:
        message["function_call"] = function_call.function_call(is_whole)
    return message


def _logprobs(pieces: list[ChoiceLogprobs]) -> dict[str, Any]:
    content = [token for piece in pieces for token in piece.content or ()]
    refusal = [token for piece in pieces for token in piece.refusal or ()]
    return {"content": content or None, "refusal": refusal or None}
