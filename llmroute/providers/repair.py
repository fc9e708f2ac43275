"""Answers that are nearly OpenAI's, brought into its shape without inventing anything.

What is filled in when it is missing is bookkeeping only (id, object, created, model, index); a
missing finish reason, usage or text stays missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, get_args

from ..types.chat import FinishReason, Message
from ..types.chat_chunk import Delta
from ..types.request import Request

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
}

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def repair_completion(
    payload: object, request: Request, finish_reasons: Mapping[str, str]
) -> object:
    """A decoded answer with its bookkeeping filled in and its finish reasons translated."""
    if not isinstance(payload, dict):
        return payload
    _fill_in(payload, request, request.row.object)
    for position, choice in enumerate(_dicts(payload.get("choices"))):
        choice.setdefault("index", position)
        translate_finish_reason(choice, finish_reasons)
        for message in _dicts([choice.get("message")]):
            _repair_message(message, request)
    return payload


def repair_chunk(
    payload: dict[str, Any], request: Request, finish_reasons: Mapping[str, str]
) -> None:
    """Fills in a decoded chunk of a stream, in place."""
    _fill_in(payload, request, request.row.chunk_object)
    if payload.get("choices") is None:
        payload["choices"] = []
    for choice in _dicts(payload["choices"]):
        translate_finish_reason(choice, finish_reasons)
        if request.operation == "chat" and choice.get("delta") is None:
            choice["delta"] = {}
        for delta in _dicts([choice.get("delta")]):
            _repair_delta(delta)


def translate_finish_reason(choice: dict[str, Any], finish_reasons: Mapping[str, str]) -> None:
    """Puts OpenAI's word for a provider's; an unknown word moves to `native_finish_reason`."""
    reason = choice.get("finish_reason")
    if reason == "":
        choice["finish_reason"] = None
    elif isinstance(reason, str) and reason not in FINISH_REASONS:
        ours = finish_reasons.get(reason) or _COMMON_FINISH_REASONS.get(reason.lower())
        choice["finish_reason"] = ours
        choice.setdefault("native_finish_reason", reason)


def name_reasoning(said: Message | Delta) -> None:
    """Copies the thinking that OpenRouter, Groq and newer vLLM call `reasoning`."""
    reasoning = (said.__pydantic_extra__ or {}).get("reasoning")
    if isinstance(reasoning, str) and said.reasoning_content is None:
        said.reasoning_content = reasoning


def _fill_in(payload: dict[str, Any], request: Request, kind: str) -> None:
    payload["object"] = kind
    if not payload.get("id") and request.row.id_prefix is not None:
        payload["id"] = f"{request.row.id_prefix}{request.call_id}"
    created = payload.get("created")
    if isinstance(created, float) and isfinite(created):
        payload["created"] = int(created)
    elif not isinstance(created, int):
        payload["created"] = request.created
    if not payload.get("model"):
        payload["model"] = request.model.partition("/")[2] or request.model
    _repair_usage(payload)


def _repair_usage(payload: dict[str, Any]) -> None:
    """Works out a count that the two others tell; a usage that tells less is kept as
    `native_usage`, so that the answer it came with is not lost."""
    usage = payload.get("usage")
    if usage is None:
        return
    told = usage if isinstance(usage, dict) else {}
    vectors = payload["object"] == "list"  # embeddings: nothing is written
    prompt, completion, total = (_count(told.get(name)) for name in _COUNTS)
    written = 0 if vectors else completion
    if total is None and prompt is not None and written is not None:
        total = prompt + written
    elif prompt is None and total is not None and written is not None:
        prompt = total - written
    elif written is None and prompt is not None and total is not None:
        written = total - prompt
    counts = (prompt, written, total)
    if any(count is None or count < 0 for count in counts):
        payload["native_usage"], payload["usage"] = usage, None
        return
    payload["usage"] = {**told, **dict(zip(_COUNTS, counts, strict=True))}
    if vectors and "completion_tokens" not in told:
        del payload["usage"]["completion_tokens"]


def _count(value: object) -> int | None:
    """A number of tokens, which some servers write as `3.0`; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value >= 0 and isfinite(value) and value == int(value) else None


def _repair_delta(delta: dict[str, Any]) -> None:
    if not delta.get("role"):
        delta["role"] = None
    _join_parts(delta)
    for call in _dicts(delta.get("tool_calls")):
        if call.get("index") is None:
            call["index"] = NO_INDEX


def _repair_message(message: dict[str, Any], request: Request) -> None:
    message["role"] = "assistant"
    _join_parts(message)
    for index, call in enumerate(_dicts(message.get("tool_calls"))):
        if not call.get("id"):
            call["id"] = f"call_{request.call_id}_{index}"
        call.setdefault("type", "function")


def _join_parts(message: dict[str, Any]) -> None:
    """Puts a text for a content in parts, as Mistral's thinking models send it.

    Parts of another kind are left for the validation to complain about.
    """
    parts = message.get("content")
    if not isinstance(parts, list):
        return
    said: list[str] = []
    thought: list[str] = []
    for part in parts:
        match part:
            case {"type": "text", "text": str(text)}:
                said.append(text)
            case {"type": "thinking", "thinking": list(steps)}:
                thought += (s["text"] for s in _dicts(steps) if isinstance(s.get("text"), str))
            case _:
                return
    message["content"] = "".join(said)
    if thought:
        message["reasoning_content"] = "".join(thought)


def _dicts(values: object) -> list[dict[str, Any]]:
    """The objects in a list; nothing if it is no list."""
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []
