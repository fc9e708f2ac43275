"""Token counts, from wherever a provider puts them."""

from __future__ import annotations

from math import isfinite
from typing import Any

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_MOST_DIGITS = 16
# The words of OpenAI's Responses and of Anthropic, which gateways in front of them pass on.
_OTHER_NAMES = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
# Anthropic's `input_tokens` do not count these.
_BESIDE = ("cache_creation_input_tokens", "cache_read_input_tokens")


def repair_usage(payload: dict[str, Any]) -> None:
    """Puts the usage of a decoded answer or chunk where OpenAI has it.

    Works out a count that the two others tell; a usage that tells less is kept as `native_usage`,
    so that the answer it came with is not lost.
    """
    usage = payload.get("usage") or _elsewhere(payload)
    if usage is None:
        return
    said = usage if isinstance(usage, dict) else {}
    vectors = payload["object"] == "list"  # embeddings: nothing is written
    prompt, completion, total = (_count(_first(said, name)) for name in _COUNTS)
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
    payload["usage"] = {**said, **dict(zip(_COUNTS, counts, strict=True))}
    if vectors and "completion_tokens" not in said:
        del payload["usage"]["completion_tokens"]


def _elsewhere(payload: dict[str, Any]) -> object:
    """The usage inside a choice (Moonshot), or in Groq's own object."""
    choices = payload.get("choices")
    places = [payload.get("x_groq"), *(choices if isinstance(choices, list) else ())]
    found = (place.get("usage") for place in places if isinstance(place, dict))
    return next((usage for usage in found if isinstance(usage, dict)), payload.get("usage"))


def _first(said: dict[str, Any], name: str) -> object:
    """The count `name`, or what has its other name and the same meaning."""
    if said.get(name) is not None or any(map(said.get, _BESIDE)):
        return said.get(name)
    return said.get(_OTHER_NAMES.get(name, ""))


def _count(value: object) -> int | None:
    """A number of tokens, which some servers write as `3.0` or `"3"`; `None` for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value) if len(value) < _MOST_DIGITS else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value >= 0 and isfinite(value) and value == int(value) else None
