"""Messages in the form a template expects, found out by trying it on sample messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from ...errors import BadRequestError, UnsupportedOperationError
from .probe import knows_role, wants_parts, with_parts
from .tool_messages import arrange_tools, sample_call, sample_result, written_with_tools
from .turns import arrange_system, join_turns

JSON: TypeAlias = Any
Message: TypeAlias = dict[str, JSON]

_ROLES = ("system", "user", "assistant", "tool")
_REASONING_KEYS = ("thinking", "reasoning", "thought")
_PART = "thinking part"
"""Stands for a key where thinking is a part of the content, as in Ministral's template."""


def normalise(messages: Sequence[Mapping[str, JSON]], template: str) -> list[Message]:
    """`messages` as `template` reads them.

    A list of text parts becomes one text (unless the template only knows lists), `developer`
    becomes `system` in a template that doesn't show it, what the system says comes where it is not
    lost, thinking comes under the name that the template reads, calls of tools and their results in
    a form that it shows (see `tool_messages`), turns in a row as one if they must, and keys that
    are `None` are left out.

    Raises `UnsupportedOperationError` for images and audio, `BadRequestError` for other parts, and
    for roles that the template doesn't know.
    """
    result = [_message(message, template) for message in messages]
    result = arrange_system(result, template)
    result = [_with_reasoning(message, template) for message in result]
    result = join_turns(arrange_tools(result, template), template)
    if wants_parts(template):
        return with_parts(result)
    return _with_thinking_parts(result) if _reasoning_key(template) == _PART else result


def _message(message: Mapping[str, JSON], template: str) -> Message:
    result = {key: value for key, value in message.items() if value is not None}
    result["role"] = _role(result.get("role"), template)
    result["content"] = _text(message.get("content"))
    return result


def _role(role: JSON, template: str) -> str:
    if role in _ROLES or (isinstance(role, str) and knows_role(template, role)):
        return str(role)
    if role == "developer":
        return "system"
    raise BadRequestError(
        f"A message has the role {role!r:.100}. This model's chat template knows "
        f"{', '.join(_ROLES)}.",
        param="messages",
    )


def _with_reasoning(message: Message, template: str) -> Message:
    """A message whose thinking has the name under which the template shows it."""
    thought = message.get("reasoning_content")
    if not isinstance(thought, str) or not thought:
        return message
    key = _reasoning_key(template)
    return message if key in message or key == _PART else {**message, key: thought}


def _with_thinking_parts(messages: Sequence[Message]) -> list[Message]:
    """Messages with their thinking as a part of their content."""
    return [
        {
            **message,
            "content": [
                {"type": "thinking", "thinking": message["reasoning_content"]},
                *([{"type": "text", "text": message["content"]}] if message["content"] else ()),
            ],
        }
        if message.get("reasoning_content")
        else message
        for message in messages
    ]


@lru_cache(maxsize=64)
def _reasoning_key(template: str) -> str:
    """The name of thinking in messages; `_PART` if it is a part of the content."""
    if "reasoning_content" in template:
        return "reasoning_content"
    for key in (*_REASONING_KEYS, _PART):
        if key.split()[0] in template and _shows_reasoning(template, key):
            return key
    return "reasoning_content"


def _shows_reasoning(template: str, key: str) -> bool:
    answer: Message = {"role": "assistant", "content": "", "reasoning_content": "needlethought"}
    answer |= {key: "needlethought", "tool_calls": [sample_call("first", "needlevalue")]}
    question: Message = {"role": "user", "content": "needlequestion"}
    sample = arrange_tools([question, answer, sample_result("first")], template)
    if key == _PART:
        sample = _with_thinking_parts(sample)
    return "needlethought" in written_with_tools(template, sample)


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
