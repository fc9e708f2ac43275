"""The next turn: which keys of the assistant's messages go back to a provider.

An answer carries keys beyond OpenAI's (`reasoning`, `reasoning_details`, `extra_content`, ...). The
provider it came from may need them back unchanged; another one may answer 400 to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet
from typing import Any

COMMON_KEYS = frozenset({"role", "content", "tool_calls"})
"""Keys of an assistant's message that every provider takes."""
CALL_KEYS = frozenset({"id", "type", "function", "custom"})
"""Keys of a tool call that every provider takes."""
ANSWER_KEYS = frozenset(
    {
        "annotations",
        "audio",
        "channel",
        "citations",
        "executed_tools",
        "extra_content",
        "images",
        "index",
        "parsed",
        "provider_content",
        "provider_specific_fields",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "refusal",
        "thinking_blocks",
        "thought_signature",
    }
)
"""Keys known to come from answers, on messages and on tool calls, and not from people."""


class AnsweredMessage(dict[str, Any]):
    """A message that the caller took from an answer as an object: no key of it was written by hand.

    In a plain dict a key that is not among `ANSWER_KEYS` may be the caller's own, and is sent.
    """


def returned(message: Mapping[str, Any], taken: AbstractSet[str] | None) -> Mapping[str, Any]:
    """`message` as it goes back to a provider that takes the keys `taken` beside the common ones.

    `None` takes all that came, except content in another protocol's form. Values are not changed;
    messages of other roles neither.
    """
    if message.get("role") != "assistant":
        return message
    if taken is None:
        return _without_native(_without_copy(message))
    closed = isinstance(message, AnsweredMessage)
    kept = _kept(message, COMMON_KEYS | taken, closed)
    calls = kept.get("tool_calls")
    if isinstance(calls, list):
        known = CALL_KEYS | taken
        kept["tool_calls"] = [
            _kept(call, known, closed) if isinstance(call, Mapping) else call for call in calls
        ]
    return kept


def _kept(carried: Mapping[str, Any], known: AbstractSet[str], closed: bool) -> dict[str, Any]:
    """The `known` keys; unless `closed`, also those that may be the caller's own."""
    return {
        key: value
        for key, value in carried.items()
        if key in known or not (closed or key in ANSWER_KEYS)
    }


def _without_copy(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leaves out `reasoning_content` where it only repeats the provider's own `reasoning`."""
    thought = message.get("reasoning_content")
    if thought is None or thought != message.get("reasoning"):
        return message
    return {key: value for key, value in message.items() if key != "reasoning_content"}


def _without_native(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leaves out the content as a provider with a protocol of its own sent it."""
    if "provider_content" not in message:
        return message
    native = ("provider_content", "thinking_blocks")  # the second repeats a part of the first
    return {key: value for key, value in message.items() if key not in native}
