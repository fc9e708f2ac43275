"""Answers that are nearly OpenAI's, brought into its shape without inventing anything.

What is filled in when it is missing is bookkeeping only (id, object, created, model, index); a
missing finish reason, usage or text stays missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, get_args

from pydantic_core import to_json

from ..types.chat import FinishReason, Message
from ..types.chat_chunk import Delta
from ..types.request import Request
from .repair_usage import repair_usage
from .vectors import number_vectors

FINISH_REASONS = frozenset(get_args(FinishReason))

NO_INDEX = -1
"""Stands for the index that a server left out of a piece of a tool call."""

_COMMON_FINISH_REASONS = {
    "eos": "stop",  # text-generation-inference, together
    "eos_token": "stop",  # text-generation-inference
    "end_turn": "stop",  # Anthropic behind a gateway
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "model_context_window_exceeded": "length",
    # Gemini behind a gateway (https://ai.google.dev/api/generate-content#FinishReason)
    **dict.fromkeys(
        ("safety", "recitation", "blocklist", "prohibited_content", "spii"), "content_filter"
    ),
    **{reason: reason for reason in FINISH_REASONS},
}
_NO_REASONS = ("", "none", "null")


def repair_completion(
    payload: object, request: Request, finish_reasons: Mapping[str, str]
) -> object:
    """A decoded answer with its bookkeeping filled in and its finish reasons translated."""
    if not isinstance(payload, dict):
        return payload
    _fill_in(payload, request, request.row.object)
    if request.operation == "embedding":
        number_vectors(payload.get("data"))
    for position, choice in enumerate(dicts(payload.get("choices"))):
        _repair_choice(choice, position, finish_reasons)
        if request.operation == "text":
            _find_text(choice)
            continue
        _find_said(choice, "message", "delta")
        for message in dicts([choice.get("message")]):
            _repair_message(message, request, choice["finish_reason"])
    return payload


def repair_chunk(
    payload: dict[str, Any],
    request: Request,
    finish_reasons: Mapping[str, str],
    in_deltas: bool = False,
) -> None:
    """Fills in a decoded chunk of a stream, in place.

    `in_deltas`: deltas have brought content, so a `message` without one repeats the whole answer,
    as MiniMax ends its streams.
    """
    _fill_in(payload, request, request.row.chunk_object)
    if not payload.get("choices"):
        payload["choices"] = []
    for position, choice in enumerate(dicts(payload["choices"])):
        _repair_choice(choice, position, finish_reasons)
        if request.operation == "text":
            _find_text(choice)
            choice.setdefault("text", "")
            continue
        if in_deltas and choice.get("delta") is None and "message" in choice:
            choice["native_message"] = choice.pop("message")
        _find_said(choice, "delta", "message")
        if not choice.get("delta"):  # null, or the [] of a language without empty objects
            choice["delta"] = {}
        for delta in dicts([choice["delta"]]):
            _repair_delta(delta)


def brings_content(delta: Mapping[str, Any]) -> bool:
    """Whether a delta has a piece of the answer."""
    return any(map(delta.get, ("content", "reasoning_content", "reasoning", "tool_calls")))


def name_reasoning(said: Message | Delta) -> None:
    """Copies the thinking that OpenRouter, Groq and newer vLLM call `reasoning`."""
    reasoning = (said.__pydantic_extra__ or {}).get("reasoning")
    if isinstance(reasoning, str) and said.reasoning_content is None:
        said.reasoning_content = reasoning


def dicts(values: object) -> list[dict[str, Any]]:
    """The objects in a list; nothing if it is no list."""
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


def _fill_in(payload: dict[str, Any], request: Request, kind: str) -> None:
    payload["object"] = kind
    _fill_in_text(payload, "model", request.model.partition("/")[2] or request.model)
    if request.row.id_prefix is not None:
        _fill_in_text(payload, "id", f"{request.row.id_prefix}{request.call_id}")
        created = payload.get("created")
        if isinstance(created, float) and isfinite(created):
            payload["created"] = int(created)
        elif not isinstance(created, int):
            payload["created"] = request.created
    repair_usage(payload)


def _fill_in_text(payload: dict[str, Any], name: str, default: str) -> None:
    value = payload.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        payload[name] = str(value)
    elif not value or not isinstance(value, str):
        if value:
            payload[f"native_{name}"] = value
        payload[name] = default


def _repair_choice(
    choice: dict[str, Any], position: int, finish_reasons: Mapping[str, str]
) -> None:
    index = choice.get("index")
    if isinstance(index, bool) or not isinstance(index, int):
        if index is not None:
            choice["native_index"] = index
        choice["index"] = position
    _translate_finish_reason(choice, finish_reasons)


def _translate_finish_reason(choice: dict[str, Any], finish_reasons: Mapping[str, str]) -> None:
    """Puts OpenAI's word for a provider's; an unknown word moves to `native_finish_reason`."""
    reason = choice.get("finish_reason")
    choice["finish_reason"] = None
    if not reason or (isinstance(reason, str) and reason.strip().lower() in _NO_REASONS):
        return
    if isinstance(reason, str):
        word = reason.strip()
        ours = finish_reasons.get(word) or _COMMON_FINISH_REASONS.get(word.lower())
        choice["finish_reason"] = ours
    if choice["finish_reason"] != reason and not choice.get("native_finish_reason"):
        choice["native_finish_reason"] = reason


def _find_said(choice: dict[str, Any], name: str, other: str) -> None:
    """Takes what a choice says out of the fields where only some servers put it.

    Where `name` is there, `other` beside it says the same again, and is left alone.
    """
    if choice.get(name) is not None:
        return
    if isinstance(choice.get(other), dict):
        choice[name] = choice.pop(other)
    elif isinstance(choice.get("text"), str):
        choice[name] = {"content": choice.pop("text")}


def _find_text(choice: dict[str, Any]) -> None:
    """Takes a text out of a choice in the shape of chat."""
    if "text" in choice:
        choice["text"] = "" if choice["text"] is None else choice["text"]
        return
    for said in dicts([choice.get("message"), choice.get("delta")]):
        _join_parts(said)
        if isinstance(said.get("content"), str):
            choice["text"] = said["content"]


def _repair_delta(delta: dict[str, Any]) -> None:
    if not delta.get("role"):
        delta["role"] = None
    _join_parts(delta)
    _repair_calls(delta)
    for call in dicts(delta.get("tool_calls")):
        if not str(call.get("index")).isdecimal():
            call["index"] = NO_INDEX


def _repair_message(message: dict[str, Any], request: Request, finish_reason: str | None) -> None:
    role = message.get("role")
    if role not in (None, "", "assistant"):
        message["native_role"] = role
    message["role"] = "assistant"
    _join_parts(message)
    if message.get("content") == "" and dicts(message.get("native_content")):
        message["content"] = message.pop("native_content")  # no text at all: for validation to say
    _repair_calls(message)
    # What was left out of an answer that was cut may have been on its way.
    absent = "" if finish_reason == "length" else "{}"
    for index, call in enumerate(dicts(message.get("tool_calls"))):
        if not call.get("id") or not isinstance(call["id"], str):
            if call.get("id"):
                call["native_id"] = call["id"]
            call["id"] = f"call_{request.call_id}_{index}"
        if not call.get("type"):
            is_custom = isinstance(call.get("custom"), dict) and not call.get("function")
            call["type"] = "custom" if is_custom else "function"
        _fill_in_arguments(call.get("function"), absent)
    _fill_in_arguments(message.get("function_call"), absent)


def _repair_calls(said: dict[str, Any]) -> None:
    """What a message and a delta have in common beside their text."""
    refusal = said.get("refusal")
    if not refusal and refusal not in (None, ""):  # the {} or false of another language
        said["refusal"] = None
    calls = said.get("tool_calls")
    if calls is not None and not calls and not isinstance(calls, list):  # PHP's {} for []
        said["tool_calls"] = None
    for call in dicts(calls):
        kind = call.get("type")
        if kind not in ("function", "custom"):
            if kind:
                call["native_type"] = kind
            call["type"] = "function" if kind and isinstance(call.get("function"), dict) else None
        if isinstance(call.get("id"), int) and not isinstance(call["id"], bool):
            call["id"] = str(call["id"])
        _write_arguments(call.get("function"))
    legacy = said.get("function_call")
    if legacy is not None and not (any(legacy.values()) if isinstance(legacy, dict) else legacy):
        said["native_function_call"], said["function_call"] = legacy, None
    _write_arguments(legacy)


def _write_arguments(function: object) -> None:
    """Some servers send the arguments as what their JSON text stands for."""
    if isinstance(function, dict) and isinstance(function.get("arguments"), dict | list):
        function["arguments"] = to_json(function["arguments"]).decode()


def _fill_in_arguments(function: object, absent: str) -> None:
    if isinstance(function, dict) and function.get("arguments") is None:
        function["arguments"] = absent


def _join_parts(said: dict[str, Any]) -> None:
    """Puts a text for a content in parts, as Mistral's thinking models send it.

    Parts that are no text, such as references, move to `native_content`. A text of another type
    is left for the validation to complain about.
    """
    content = said.get("content")
    parts = [content] if isinstance(content, dict) and "type" in content else content
    if not isinstance(parts, list):
        return
    words: list[str] = []
    thoughts: list[str] = []
    others: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case str(text) | {"type": "text" | "output_text" | None, "text": str(text)}:
                words.append(text)
            case {"text": str(text)} if "type" not in part:
                words.append(text)
            case None | {"type": "text" | "output_text", "text": None}:
                pass
            case {"type": "refusal", "refusal": str(text)}:
                said["refusal"] = text
            case {"type": "thinking", "thinking": list(steps)}:
                thoughts += (s["text"] for s in dicts(steps) if isinstance(s.get("text"), str))
            case {"type": "thinking", "thinking": str(text)}:
                thoughts.append(text)
            case {"type": str(kind)} if kind not in ("text", "output_text"):
                others.append(part)
            case _:
                return
    said["content"] = "".join(words)
    if thoughts:
        said["reasoning_content"] = "".join(thoughts)
    if others:
        said["native_content"] = others
