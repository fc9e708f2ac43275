"""The words for people in an error's body, wherever the provider put them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic_core import from_json, to_json

# The names providers have for them, best first: OpenAI; Zhipu; AWS; FastAPI, RFC 9457; Baidu; OAuth
# (RFC 6749); MiniMax; objects that hold such an object; the title of RFC 9457.
_KEYS = (
    "message",
    "msg",
    "Message",
    "detail",
    "error_msg",
    "error_message",
    "error_description",
    "status_msg",
    "error",
    "errors",
    "base_resp",
    "title",
)
_DEEPEST = 6
_LONGEST = 20  # items of a list


def words(payload: object, *, otherwise: bool = False) -> str:
    """What a decoded body says to people; `""` if nothing.

    With `otherwise`, the body itself as JSON where it has no words that are known.
    """
    found = _words(payload, 0)
    if found or not otherwise:
        return found
    return "" if isinstance(payload, str) else to_json(payload, inf_nan_mode="constants").decode()


def _words(value: object, depth: int) -> str:
    if isinstance(value, str):
        return value.strip()
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(item, depth + 1) for item in value[:_LONGEST])))
    return _words_of_object(value, depth) if isinstance(value, Mapping) else ""


def _words_of_object(value: Mapping[str, Any], depth: int) -> str:
    found = next(filter(None, (_words(value.get(key), depth + 1) for key in _KEYS)), "")
    if not found and isinstance(value.get("errors"), Mapping):
        found = _words_by_field(value["errors"], depth + 1)
    label = value.get("error")
    if isinstance(label, str) and found and label.strip() not in ("", found):
        found = f"{label.strip()}: {found}"  # NestJS: a short word beside the message
    where = value.get("loc")
    if isinstance(where, list) and found:
        found = f"{'.'.join(map(str, where))}: {found}"  # FastAPI, Mistral: the parameter at fault
    upstream = _upstream(value.get("metadata"), depth)
    return f"{found}: {upstream}" if found and upstream else found or upstream


def _words_by_field(errors: Mapping[str, Any], depth: int) -> str:
    """The words of `errors` that stand under the names of the parameters at fault."""
    first = islice(errors.items(), _LONGEST)
    found = {name: _words(value, depth + 1) for name, value in first}
    return "; ".join(f"{name}: {text}" for name, text in found.items() if text)


def _upstream(metadata: object, depth: int) -> str:
    """The words of the provider behind OpenRouter: `error.metadata.raw`, often JSON as a text."""
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    if isinstance(raw, str):
        try:
            raw = from_json(raw) or raw
        except ValueError:
            return raw.strip()
    return _words(raw, depth + 1) or (raw if isinstance(raw, str) else "")
