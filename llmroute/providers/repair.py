"""Answers that are nearly OpenAI's, brought into its shape without inventing anything.

What is filled in when it is missing is bookkeeping only (id, object, created, model, index); a
missing finish reason, usage or text stays missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from ..types.chat import FinishReason
from ..types.request import Request

FINISH_REASONS = frozenset(get_args(FinishReason))

_COMMON_FINISH_REASONS = {
    "eos": "stop",  # text-generation-inference, together
    "eos_token": "stop",  # text-generation-inference
    "end_turn": "stop",  # Anthropic behind a gateway
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
}

_COMPLETION_OBJECTS = {"chat": "chat.completion", "text": "text_completion", "embedding": "list"}
_CHUNK_OBJECTS = {"chat": "chat.completion.chunk", "text": "text_completion"}


def repair_completion(
    payload: object, request: Request, finish_reasons: Mapping[str, str]
) -> object:
    """A decoded answer with its bookkeeping filled in and its finish reasons translated."""
    if not isinstance(payload, dict):
        return payload
    _fill_in(payload, request, _COMPLETION_OBJECTS[request.operation])
    for position, choice in enumerate(payload.get("choices") or ()):
        if isinstance(choice, dict):
            choice.setdefault("index", position)
            translate_finish_reason(choice, finish_reasons)
            message = choice.get("message")
            if isinstance(message, dict):
                _repair_message(message, request)
    return payload


def repair_chunk(
    payload: dict[str, Any], request: Request, finish_reasons: Mapping[str, str]
) -> None:
    """Fills in a decoded chunk of a stream, in place."""
    _fill_in(payload, request, _CHUNK_OBJECTS[request.operation])
    if payload.get("choices") is None:
        payload["choices"] = []
    for choice in payload["choices"]:
        if isinstance(choice, dict):
            translate_finish_reason(choice, finish_reasons)
            if request.operation == "chat" and choice.get("delta") is None:
                choice["delta"] = {}
            delta = choice.get("delta")
            if isinstance(delta, dict) and not delta.get("role"):
                delta["role"] = None


def translate_finish_reason(choice: dict[str, Any], finish_reasons: Mapping[str, str]) -> None:
    """Puts OpenAI's word for a provider's; an unknown word moves to `native_finish_reason`."""
    reason = choice.get("finish_reason")
    if reason == "":
        choice["finish_reason"] = None
    elif isinstance(reason, str) and reason not in FINISH_REASONS:
        ours = finish_reasons.get(reason) or _COMMON_FINISH_REASONS.get(reason.lower())
        choice["finish_reason"] = ours
        choice.setdefault("native_finish_reason", reason)


def _fill_in(payload: dict[str, Any], request: Request, kind: str) -> None:
    payload["object"] = kind
    if not payload.get("id"):
        payload["id"] = f"chatcmpl-{request.call_id}"
    if not isinstance(payload.get("created"), int):
        created = payload.get("created")
        payload["created"] = int(created) if isinstance(created, float) else request.created
    if not payload.get("model"):
        payload["model"] = request.model.partition("/")[2] or request.model


def _repair_message(message: dict[str, Any], request: Request) -> None:
    message["role"] = "assistant"
    for index, call in enumerate(message.get("tool_calls") or ()):
        if isinstance(call, dict):
            if not call.get("id"):
                call["id"] = f"call_{request.call_id}_{index}"
            call.setdefault("type", "function")
