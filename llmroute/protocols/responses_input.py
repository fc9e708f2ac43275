"""The input items of a Responses request as the messages of a chat.

The items of one answer (its reasoning, messages and calls) are one message of the assistant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic_core import to_json

from ..errors import BadRequestError
from ..types.base import Model
from ..types.request import JSON
from .responses_native import Native, is_ours, unsealed
from .responses_tools import CUSTOM_INPUT, flat_name

Item: TypeAlias = dict[str, Any]
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_TOOL_ITEMS = ("additional_tools", "tool_search_output")
_ROLES = ("user", "system", "developer", "assistant")


def items_of(given: object) -> list[Item]:
    """The items of an `input` as plain data; a text is one message of the user.

    Raises `BadRequestError` for what is neither.
    """
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, Sequence):
        raise BadRequestError(
            "input must be a text or a list of items, such as "
            f'[{{"role": "user", "content": "Hello"}}], not {given!r:.100}.',
            param="input",
        )
    return [_plain(item, position) for position, item in enumerate(given)]


def chat_messages(
    items: Sequence[Item], instructions: str | None, earlier: Sequence[Item] = ()
) -> tuple[list[Item], list[str]]:
    """The messages of the chat, and what of the items they cannot say.

    `earlier` are the items of the turns before, which come first. Raises `BadRequestError`, naming
    the item, for one that cannot be read.
    """
    conversation = _Conversation()
    if instructions:
        conversation.messages.append({"role": "system", "content": instructions})
    for item in earlier:
        conversation.add(item, "previous_response_id")
    for position, item in enumerate(items):
        conversation.add(item, f"input[{position}]")
    conversation.flush()
    return conversation.messages, conversation.dropped


def tools_in(items: Sequence[Item]) -> list[Item]:
    """The tools that items bring along, as those of a search for tools do."""
    return [
        tool
        for item in items
        if item.get("type") in _TOOL_ITEMS
        for tool in item.get("tools") or ()
    ]


class _Conversation:
    def __init__(self) -> None:
        self.messages: list[Item] = []
        self.dropped: list[str] = []
        self._answer: dict[str, Any] = {}
        """The assistant's message that is being put together; empty: none."""
        self._native: Native | None = None
        """What its provider must get back with it."""

    def add(self, item: Item, place: str) -> None:
        kind = item.get("type") or "message"
        if kind == "message" and item.get("role") == "assistant":
            self._add_said(item, place)
        elif kind == "message":
            self.flush()
            self.messages.append(_message(item, place))
        elif kind == "reasoning":
            self._add_reasoning(item, place)
        elif kind in ("function_call", "custom_tool_call"):
            self._answer.setdefault("tool_calls", []).append(_call(item, place))
        elif kind in _OUTPUTS:
            self.flush()
            content = _content(item.get("output"), place)
            call_id = _text(item, "call_id", place)
            self.messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        elif kind == "item_reference":
            raise BadRequestError(
                f"{place} refers to an item by its id. Send the item itself, or "
                "previous_response_id.",
                param=place,
            )
        elif kind != "additional_tools":  # they are among the tools
            self.dropped.append(f"{place} ({kind})")

    def flush(self) -> None:
        """Ends the assistant's message."""
        answer, self._answer = self._answer, {}
        native, self._native = self._native, None
        if any(answer.get(key) for key in ("content", "refusal", "tool_calls")):
            message = {"role": "assistant", "content": None, **answer}
            self.messages.append(native.restored(message) if native else message)
        elif answer or native:
            self.dropped.append("reasoning without a message or call")

    def _add_said(self, item: Item, place: str) -> None:
        if "id" not in item and "content" in self._answer and "tool_calls" not in self._answer:
            self.flush()  # it is no answer's item, but a message that somebody wrote
        text, refusal = _said(item.get("content"), place)
        self._answer["content"] = (self._answer.get("content") or "") + text
        if refusal:
            self._answer["refusal"] = self._answer.get("refusal", "") + refusal

    def _add_reasoning(self, item: Item, place: str) -> None:
        thoughts = item.get("content") or item.get("summary") or ()
        text = "\n\n".join(str(thought.get("text") or "") for thought in thoughts)
        if text:
            earlier = self._answer.get("reasoning_content")
            self._answer["reasoning_content"] = f"{earlier}\n\n{text}" if earlier else text
        native = item.get("encrypted_content")
        if is_ours(native):
            self._native = unsealed(native, place)
        elif native:
            self.dropped.append(f"{place}.encrypted_content")


def _plain(item: object, position: int) -> Item:
    if isinstance(item, Model):
        return item.to_dict()
    if isinstance(item, BaseModel):
        return item.model_dump(mode="json", exclude_none=True)
    if isinstance(item, Mapping):
        return dict(item)
    raise BadRequestError(
        f"input[{position}] must be a dict or an item of an answer, not {type(item).__name__}.",
        param=f"input[{position}]",
    )


def _message(item: Item, place: str) -> Item:
    role = item.get("role")
    if role not in _ROLES:
        raise BadRequestError(f"{place}: the role {role!r} is unknown.", param=place)
    return {"role": role, "content": _content(item.get("content"), place)}


def _call(item: Item, place: str) -> Item:
    name = flat_name(_text(item, "name", place), item.get("namespace"))
    if item["type"] == "custom_tool_call":
        arguments = to_json({CUSTOM_INPUT: _text(item, "input", place)}).decode()
    else:
        arguments = _text(item, "arguments", place)
    function = {"name": name, "arguments": arguments}
    return {"id": _text(item, "call_id", place), "type": "function", "function": function}


def _said(content: JSON, place: str) -> tuple[str, str]:
    """Text and refusal of an assistant's message."""
    if isinstance(content, str):
        return content, ""
    parts = [part for part in _list(content, place) if isinstance(part, Mapping)]
    text = "".join(str(part.get("text") or "") for part in parts)
    return text, "".join(str(part.get("refusal") or "") for part in parts)


def _content(content: JSON, place: str) -> JSON:
    if isinstance(content, str):
        return content
    return [_part(part, f"{place}.content[{n}]") for n, part in enumerate(_list(content, place))]


def _part(part: JSON, place: str) -> JSON:
    """A part of a message as a chat writes it; one of an unknown type as it is."""
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": str(text), **more}:
            return {"type": "text", "text": text, **_kept(more, "cache_control")}
        case {"type": "input_image", "image_url": str(url), **more}:
            return {"type": "image_url", "image_url": {"url": url, **_kept(more, "detail")}}
        case {"type": "input_image", "file_id": str(file_id)}:
            return {"type": "file", "file": {"file_id": file_id}}
        case {"type": "input_file", **more}:
            file = _kept(more, "file_data", "file_id", "filename")
            if more.get("file_url"):
                file["file_data"] = more["file_url"]
            return {"type": "file", "file": file}
        case Mapping():
            return part
    raise BadRequestError(f"{place} must be a dict, not {type(part).__name__}.", param=place)


def _kept(facts: Mapping[Any, JSON], *names: str) -> dict[str, JSON]:
    return {name: facts[name] for name in names if facts.get(name) is not None}


def _list(content: JSON, place: str) -> Sequence[JSON]:
    if isinstance(content, list | tuple):
        return content
    raise BadRequestError(
        f"{place} must have a text or a list of parts, not {content!r:.100}.", param=place
    )


def _text(item: Item, key: str, place: str) -> str:
    value = item.get(key)
    if not isinstance(value, str):
        raise BadRequestError(f'{place} must have a text "{key}", not {value!r:.100}.', param=place)
    return value
