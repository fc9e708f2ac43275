"""Streamed chunks back into one completion, and the check that a stream is whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import StreamInterruptedError
from .types.base import Model
from .types.call_info import Answer
from .types.chat import ChatCompletion, ChoiceLogprobs
from .types.chat_chunk import ChatCompletionChunk, ChunkChoice, Delta, ToolCallDelta
from .types.request import Request
from .types.text import TextChoice, TextCompletion, TextLogprobs
from .types.usage import Usage


class Assembler(Protocol):
    """Collects the chunks of one stream."""

    started: bool
    """Whether a chunk has come."""

    def add(self, chunk: Any) -> None:
        """Takes the next chunk. Raises `StreamInterruptedError` if a choice ends twice or goes on
        after its end."""

    def missing(self, expected_choices: int) -> str | None:
        """What the stream lacks to be whole; `None` if nothing."""

    def completion(self) -> Any:
        """What has come so far, as a completion. Never invents a finish reason or usage."""


@dataclass(slots=True)
class _Call:
    id: str | None = None
    type: str = "function"
    name: str | None = None
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Choice:
    """What has come of one choice."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    logprobs: list[Any] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    delta_extra: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    finished: bool = False


class ChatAssembler:
    """Collects `ChatCompletionChunk`s."""

    def __init__(self) -> None:
        self.started = False
        self._first: ChatCompletionChunk | None = None
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._extra: dict[str, Any] = {}
        self._system_fingerprint: str | None = None
        self._service_tier: str | None = None

    def add(self, chunk: ChatCompletionChunk) -> None:
        """See `Assembler.add`."""
        if not self.started:
            self._first, self.started = chunk, True
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.system_fingerprint is not None:
            self._system_fingerprint = chunk.system_fingerprint
        if chunk.service_tier is not None:
            self._service_tier = chunk.service_tier
        if chunk.moderation is not None:
            self._extra["moderation"] = chunk.moderation
        if chunk.__pydantic_extra__:
            self._extra.update(chunk.__pydantic_extra__)
        for choice in chunk.choices:
            state = self._choices.get(choice.index)
            if state is None:
                state = self._choices[choice.index] = _Choice()
            if state.finished and _is_terminal_or_more(choice, state, chunk.usage is not None):
                raise _ended_twice(choice.index)
            _add_delta(state, choice.delta)
            if choice.logprobs is not None:
                state.logprobs.append(choice.logprobs)
            if choice.__pydantic_extra__:
                state.extra.update(choice.__pydantic_extra__)
            if choice.finish_reason is not None or "native_finish_reason" in state.extra:
                state.finish_reason, state.finished = choice.finish_reason, True

    def missing(self, expected_choices: int) -> str | None:
        """See `Assembler.missing`."""
        return _missing(self._choices, expected_choices)

    def completion(self) -> ChatCompletion:
        """See `Assembler.completion`."""
        first = self._first
        payload: dict[str, Any] = {
            "id": first.id if first else "",
            "created": first.created if first else 0,
            "model": first.model if first else "",
            "choices": [_choice(index, state) for index, state in sorted(self._choices.items())],
            **self._extra,
        }
        optional = {
            "usage": self._usage,
            "system_fingerprint": self._system_fingerprint,
            "service_tier": self._service_tier,
        }
        payload.update({name: value for name, value in optional.items() if value is not None})
        return ChatCompletion.model_validate(payload)


class TextAssembler:
    """Collects the chunks of a text completion."""

    def __init__(self) -> None:
        self.started = False
        self._first: TextCompletion | None = None
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._extra: dict[str, Any] = {}

    def add(self, chunk: TextCompletion) -> None:
        """See `Assembler.add`."""
        if not self.started:
            self._first, self.started = chunk, True
        if chunk.usage is not None:
            self._usage = chunk.usage
        self._extra.update(chunk.__pydantic_extra__ or {})
        for choice in chunk.choices:
            state = self._choices.setdefault(choice.index, _Choice())
            if state.finished and (choice.text or choice.finish_reason):
                raise _ended_twice(choice.index)
            state.content.append(choice.text)
            if choice.logprobs is not None:
                state.logprobs.append(choice.logprobs)
            state.extra.update(choice.__pydantic_extra__ or {})
            if choice.finish_reason is not None or "native_finish_reason" in state.extra:
                state.finish_reason, state.finished = choice.finish_reason, True

    def missing(self, expected_choices: int) -> str | None:
        """See `Assembler.missing`."""
        return _missing(self._choices, expected_choices)

    def completion(self) -> TextCompletion:
        """See `Assembler.completion`."""
        first = self._first
        payload: dict[str, Any] = {
            "id": first.id if first else "",
            "created": first.created if first else 0,
            "model": first.model if first else "",
            "choices": [
                TextChoice.model_validate(
                    {
                        "index": index,
                        "text": "".join(state.content),
                        "finish_reason": state.finish_reason,
                        "logprobs": _text_logprobs(state.logprobs),
                        **state.extra,
                    }
                )
                for index, state in sorted(self._choices.items())
            ],
            **self._extra,
        }
        if self._usage is not None:
            payload["usage"] = self._usage
        return TextCompletion.model_validate(payload)


def assembler(operation: str) -> ChatAssembler | TextAssembler:
    """A new assembler for the chunks of `operation`."""
    return ChatAssembler() if operation == "chat" else TextAssembler()


def assembled(decoder: Any, events: Iterable[Any], request: Request) -> Answer:
    """The completion that `events` make. Raises `StreamInterruptedError` if it is not whole."""
    collected = assembler(request.operation)
    for event in events:
        for chunk in decoder.feed(event):
            collected.add(chunk)
    if missing := collected.missing(int(request.params.get("n") or 1)):
        raise StreamInterruptedError(f"The answer ended too early: {missing}.")
    return collected.completion()


def as_chunk(answer: Any) -> Any:
    """A whole completion as the one chunk of a stream."""
    if not isinstance(answer, ChatCompletion):
        return answer
    payload = answer.to_dict()
    payload["object"] = "chat.completion.chunk"
    for choice in payload["choices"]:
        delta = choice["delta"] = choice.pop("message")
        for index, call in enumerate(delta.get("tool_calls") or ()):
            call["index"] = index
    return ChatCompletionChunk.model_validate(payload)


def _missing(choices: dict[int, _Choice], expected: int) -> str | None:
    if not choices:
        return "it brought no choices"
    for index, state in sorted(choices.items()):
        if not state.finished:
            return f"choice {index} has no finish reason"
    if len(choices) < expected:
        return f"only {len(choices)} of {expected} choices came"
    return None


def _is_terminal_or_more(choice: ChunkChoice, state: _Choice, with_usage: bool) -> bool:
    """Whether a piece after a choice's end says more than the end did.

    Some gateways repeat the finish reason in the chunk that carries the usage; that is harmless.
    """
    delta = choice.delta
    if delta.content or delta.tool_calls or delta.refusal or delta.reasoning_content:
        return True
    if choice.finish_reason is None:
        return False
    return not (with_usage and choice.finish_reason == state.finish_reason)


def _ended_twice(index: int) -> StreamInterruptedError:
    return StreamInterruptedError(
        f"The stream is not consistent: choice {index} went on after its finish reason."
    )


def _add_delta(state: _Choice, delta: Delta) -> None:
    if delta.content:
        state.content.append(delta.content)
    if delta.reasoning_content:
        state.reasoning.append(delta.reasoning_content)
    if delta.refusal:
        state.refusal.append(delta.refusal)
    if delta.tool_calls:
        _add_calls(state.calls, delta.tool_calls)
    if delta.audio is not None:
        _add_audio(state.delta_extra.setdefault("audio", {}), delta.audio)
    if delta.__pydantic_extra__:
        _merge(state.delta_extra, delta.__pydantic_extra__)


def _add_calls(calls: dict[int, _Call], deltas: Iterable[ToolCallDelta]) -> None:
    for delta in deltas:
        call = calls.setdefault(delta.index, _Call())
        call.id = call.id or delta.id
        call.type = delta.type or call.type
        if delta.function is not None:
            call.name = call.name or delta.function.name
            if delta.function.arguments:
                call.arguments.append(delta.function.arguments)


def _add_audio(audio: dict[str, Any], piece: Model) -> None:
    for key, value in piece.items():
        goes_on = key in ("data", "transcript") and isinstance(value, str)
        audio[key] = audio.get(key, "") + value if goes_on else value


def _merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    """Unknown fields of a delta: text and lists go on, anything else is replaced."""
    for key, value in new.items():
        old = into.get(key)
        if (isinstance(old, str) and isinstance(value, str)) or (
            isinstance(old, list) and isinstance(value, list)
        ):
            into[key] = old + value  # type: ignore[operator]  # both str or both list, see above
        elif value is not None:
            into[key] = value


def _choice(index: int, state: _Choice) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(state.content) if state.content or not state.calls else None,
        **state.delta_extra,
    }
    if state.reasoning:
        message["reasoning_content"] = "".join(state.reasoning)
    if state.refusal:
        message["refusal"] = "".join(state.refusal)
    if state.calls:
        message["tool_calls"] = [_call(call) for _, call in sorted(state.calls.items())]
    choice = {
        "index": index,
        "message": message,
        "finish_reason": state.finish_reason,
        **state.extra,
    }
    if state.logprobs:
        choice["logprobs"] = _chat_logprobs(state.logprobs)
    return choice


def _call(call: _Call) -> dict[str, Any]:
    function = {"name": call.name or "", "arguments": "".join(call.arguments)}
    return {"id": call.id or "", "type": call.type, "function": function}


def _chat_logprobs(pieces: list[ChoiceLogprobs]) -> dict[str, Any]:
    content = [token for piece in pieces for token in piece.content or ()]
    refusal = [token for piece in pieces for token in piece.refusal or ()]
    return {"content": content or None, "refusal": refusal or None}


def _text_logprobs(pieces: list[TextLogprobs]) -> dict[str, Any] | None:
    if not pieces:
        return None
    names = ("text_offset", "token_logprobs", "tokens", "top_logprobs")
    joined = {name: [x for piece in pieces for x in getattr(piece, name) or ()] for name in names}
    return {name: values or None for name, values in joined.items()}
