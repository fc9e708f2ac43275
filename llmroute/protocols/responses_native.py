"""What a provider must get back with an answer, carried by a reasoning item's `encrypted_content`.

The items of this protocol have no place for signatures of thinking or for content in a provider's
own form. A client sends reasoning items back unchanged, so one of them carries these.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from ..errors import BadRequestError
from ..types.chat import Message

_SEAL = "llmroute1:"
"""How the `encrypted_content` that we made begins. It is opaque, not secret."""
_MESSAGE_KEYS = ("provider_content", "reasoning_details")
_CALL_KEYS = ("extra_content", "provider_specific_fields", "thought_signature")


@dataclass(frozen=True, slots=True)
class Native:
    """Fields of a message and of its calls that this protocol does not have."""

    message: dict[str, Any]
    calls: dict[str, dict[str, Any]]
    """By the call's id."""

    def restored(self, message: dict[str, Any]) -> dict[str, Any]:
        """The assistant's `message` with these fields."""
        calls = message.get("tool_calls")
        if calls:
            calls = [{**call, **self.calls.get(call["id"], {})} for call in calls]
            message = {**message, "tool_calls": calls}
        return {**message, **self.message}

    def sealed(self) -> str:
        """As `encrypted_content`."""
        return _SEAL + base64.b64encode(to_json(self)).decode()


_NATIVE: TypeAdapter[Native] = TypeAdapter(Native)


def native_of(message: Message) -> Native | None:
    """What must come back with `message`; `None` where the items say everything."""
    calls = {}
    for call in message.tool_calls or ():
        if kept := {key: call[key] for key in _CALL_KEYS if call.get(key)}:
            calls[call.id] = kept
    fields = {key: message[key] for key in _MESSAGE_KEYS if message.get(key)}
    if not calls and _only_text(fields):
        return None
    return Native(fields, calls)


def is_ours(content: object) -> TypeGuard[str]:
    """Whether an `encrypted_content` was made here."""
    return isinstance(content, str) and content.startswith(_SEAL)


def unsealed(content: str, place: str) -> Native:
    """What `Native.sealed` made `content` of. Raises `BadRequestError` if it is damaged."""
    try:
        return _NATIVE.validate_json(base64.b64decode(content[len(_SEAL) :], validate=True))
    except (ValueError, ValidationError):
        raise BadRequestError(
            f"{place}: encrypted_content is damaged. Send it as it came.", param=place
        ) from None


def _only_text(fields: Mapping[str, Any]) -> bool:
    """Whether the provider's content is plain texts, which the message items repeat."""
    if "reasoning_details" in fields:
        return False
    blocks = fields.get("provider_content", {}).get("blocks") or ()
    return all(isinstance(block, Mapping) and block.keys() <= {"type", "text"} for block in blocks)
