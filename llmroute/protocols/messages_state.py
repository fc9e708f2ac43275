"""What a provider wants back with its answer, carried through Anthropic's Messages.

Such as the signatures of Gemini's calls. The protocol has one block whose content no client reads
and every client sends back: `redacted_thinking`. Ours begins with a mark of its own.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence

from pydantic_core import from_json, to_json

from ..errors import BadRequestError
from ..types.chat import Message
from ..types.request import JSON

_MARK = "llmroute:"
_KEPT = ("provider_content", "reasoning_details")
_CALL_KEYS = frozenset({"id", "type", "function", "custom", "index"})


def closed(message: Message) -> dict[str, JSON] | None:
    """The block that carries what `message` has beyond the protocol; `None` if it has nothing."""
    said = message.to_dict()
    state = {key: said[key] for key in _KEPT if said.get(key)}
    calls = [
        {key: value for key, value in call.items() if key not in _CALL_KEYS and value is not None}
        for call in said.get("tool_calls") or ()
    ]
    if any(calls):
        state["calls"] = calls
    if not state:
        return None
    return {"type": "redacted_thinking", "data": _MARK + b64encode(to_json(state)).decode()}


def opened(blocks: Sequence[Mapping[str, JSON]], said: Mapping[str, JSON]) -> dict[str, JSON]:
    """The fields that go back in the message `said`, which `blocks` were made into.

    Raises `BadRequestError` for a block that was changed.
    """
    data = next((b["data"] for b in blocks if is_ours(b)), None)
    if data is None:
        return {}
    try:
        state: dict[str, JSON] = from_json(b64decode(data.removeprefix(_MARK), validate=True))
        kept = {key: state[key] for key in _KEPT if key in state}
        more, calls = state.get("calls") or [], said.get("tool_calls") or []
        if len(more) == len(calls) and any(more):
            pairs = zip(more, calls, strict=True)
            kept["tool_calls"] = [{**beside, **call} for beside, call in pairs]
    except (ValueError, TypeError, AttributeError):
        raise BadRequestError(
            "a redacted_thinking block of an earlier answer was changed; send it back as it came, "
            "or leave it out."
        ) from None
    return kept


def is_ours(block: Mapping[str, JSON]) -> bool:
    """Whether a block carries what `closed` put into it."""
    data = block.get("data")
    return (
        block.get("type") == "redacted_thinking"
        and isinstance(data, str)
        and data.startswith(_MARK)
    )


def without_ours(messages: Sequence[Mapping[str, JSON]]) -> list[Mapping[str, JSON]]:
    """`messages` for Anthropic, which refuses thinking that it did not sign.

    A message that none of other models' thinking is in stays the object it is.
    """
    return [_without_ours(message) for message in messages]


def _without_ours(message: Mapping[str, JSON]) -> Mapping[str, JSON]:
    blocks = message.get("content")
    if message.get("role") != "assistant" or not isinstance(blocks, list):
        return message
    kept = [block for block in blocks if not (is_ours(block) or _is_unsigned(block))]
    return message if len(kept) == len(blocks) else {**message, "content": kept}


def _is_unsigned(block: Mapping[str, JSON]) -> bool:
    return block.get("type") == "thinking" and block.get("signature") == ""
