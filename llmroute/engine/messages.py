"""Messages in the form a template expects, found out by trying it on sample messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeAlias

from ..errors import BadRequestError, UnsupportedOperationError
from .jinja import compile_template

JSON: TypeAlias = Any


def normalise(messages: Sequence[Mapping[str, JSON]], template: str) -> list[dict[str, JSON]]:
    """`messages` as `template` reads them.

    A list of text parts becomes one text (unless the template only knows lists), `developer`
    becomes `system` in a template that doesn't know it, what the system says goes before the next
    user's text where the template would refuse or lose it, tool-call arguments become objects
    where the template writes them as JSON itself, and keys that are `None` are left out.

    Raises `UnsupportedOperationError` for images and audio, `BadRequestError` for other parts.
    """
    result = [_message(message, template) for message in messages]
    if any(message.get("role") == "system" for message in result) and _loses_system(template):
        result = _with_system_in_user(result)
    if _wants_parts(template):
        for message in result:
            message["content"] = [{"type": "text", "text": message["content"]}]
    return result


def _message(message: Mapping[str, JSON], template: str) -> dict[str, JSON]:
    result = {key: value for key, value in message.items() if value is not None}
    if result.get("role") == "developer" and "developer" not in template:
        result["role"] = "system"
    result["content"] = _text(message.get("content"))
    if calls := message.get("tool_calls"):
        result["tool_calls"] = [_tool_call(call, template) for call in calls]
    return result


def _with_system_in_user(messages: list[dict[str, JSON]]) -> list[dict[str, JSON]]:
    result: list[dict[str, JSON]] = []
    waiting: list[str] = []
    for message in messages:
        if message.get("role") == "system":
            waiting.append(message["content"])
            continue
        if message.get("role") == "user" and waiting:
            message = {**message, "content": "\n\n".join([*waiting, message["content"]])}
            waiting = []
        result.append(message)
    if waiting:
        result.append({"role": "user", "content": "\n\n".join(waiting)})
    return result


def _text(content: JSON) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise BadRequestError(
            f"A message's content must be a text or a list of parts, not {type(content).__name__}.",
            param="messages",
        )
    # On lines of their own, as llama.cpp's server joins them.
    return "\n".join(_part_text(part) for part in content)


def _part_text(part: JSON) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    text = part.get(kind) if kind in ("text", "refusal") else None
    if isinstance(text, str):
        return text
    if kind in ("image_url", "input_audio", "file", "video_url"):
        raise UnsupportedOperationError(
            f"llamacpp takes no {kind} parts in messages yet, only text.", param="messages"
        )
    raise BadRequestError(
        f"A part of a message's content must be a text part, not {part!r:.100}.", param="messages"
    )


def _tool_call(call: Mapping[str, JSON], template: str) -> dict[str, JSON]:
    function = dict(call.get("function") or {})
    arguments = function.get("arguments")
    if isinstance(arguments, str) and not _wants_argument_text(template):
        with suppress(ValueError):  # what is no JSON, the template shows as it is
            function["arguments"] = json.loads(arguments or "{}")
    return {**call, "function": function}


_NEEDLE = "Needle"


def _said(role: str, text: str, as_parts: bool) -> dict[str, JSON]:
    return {"role": role, "content": [{"type": "text", "text": text}] if as_parts else text}


def _try(template: str, *messages: Mapping[str, JSON]) -> str:
    """What the template makes of sample messages; `""` if it doesn't take them."""
    try:
        return compile_template(template)(
            messages=messages, tools=None, add_generation_prompt=True, bos_token="", eos_token=""
        )
    except BadRequestError:
        return ""


@lru_cache(maxsize=64)
def _loses_system(template: str) -> bool:
    """Whether it refuses or leaves out what the system says, and takes the rest."""
    as_parts = _wants_parts(template)
    user, system = _said("user", _NEEDLE, as_parts), _said("system", "Instruction", as_parts)
    takes_user = _NEEDLE in _try(template, user)
    return takes_user and "Instruction" not in _try(template, system, user)


@lru_cache(maxsize=64)
def _wants_parts(template: str) -> bool:
    """Whether a text is lost on it and a list of parts is not, as with some image models."""
    if _NEEDLE in _try(template, _said("user", _NEEDLE, as_parts=False)):
        return False
    return _NEEDLE in _try(template, _said("user", _NEEDLE, as_parts=True))


@lru_cache(maxsize=64)
def _wants_argument_text(template: str) -> bool:
    """Whether it prints tool-call arguments as they are, so that an object would come out as
    Python's."""
    function = {"name": "f", "arguments": {_NEEDLE: 1}}
    call = {"id": "call12345", "type": "function", "function": function}
    asked = _said("user", "Question", as_parts=False)
    shown = _try(template, asked, {"role": "assistant", "content": "", "tool_calls": [call]})
    return f"{{'{_NEEDLE}'" in shown
