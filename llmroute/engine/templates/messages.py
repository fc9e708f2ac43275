"""Messages in the form a template expects, found out by trying it on sample messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ...errors import BadRequestError, UnsupportedOperationError
from .probe import loses_system, wants_parts, with_parts
from .tool_messages import arrange_tools

JSON: TypeAlias = Any


def normalise(messages: Sequence[Mapping[str, JSON]], template: str) -> list[dict[str, JSON]]:
    """`messages` as `template` reads them.

    A list of text parts becomes one text (unless the template only knows lists), `developer`
    becomes `system` in a template that doesn't know it, what the system says goes before the next
    user's text where the template would refuse or lose it, calls of tools and their results come
    in a form that it shows (see `tool_messages`), and keys that are `None` are left out.

    Raises `UnsupportedOperationError` for images and audio, `BadRequestError` for other parts.
    """
    result = [_message(message, template) for message in messages]
    if any(message.get("role") == "system" for message in result) and loses_system(template):
        result = _with_system_in_user(result)
    result = arrange_tools(result, template)
    return with_parts(result) if wants_parts(template) else result


def _message(message: Mapping[str, JSON], template: str) -> dict[str, JSON]:
    result = {key: value for key, value in message.items() if value is not None}
    if result.get("role") == "developer" and "developer" not in template:
        result["role"] = "system"
    result["content"] = _text(message.get("content"))
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
    if kind == "image_url":  # those of a call have been taken out before; these are only counted
        raise UnsupportedOperationError(
            "How many tokens an image_url part is, only a call with the image encoder tells, in "
            "its usage.",
            param="messages",
        )
    if kind in ("input_audio", "file", "video_url"):
        raise UnsupportedOperationError(
            f"llamacpp takes no {kind} parts in messages yet, only text.", param="messages"
        )
    raise BadRequestError(
        f"A part of a message's content must be a text part, not {part!r:.100}.", param="messages"
    )
