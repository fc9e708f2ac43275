"""The tools of a Responses request as the tools of a chat, and the names of the way back.

A chat knows functions only. A function in a `namespace` gets a name made of both; a `custom` tool,
whose input is free text, becomes a function with that text as its one argument. Tools that OpenAI
runs itself (`web_search`, ...) are left out, and `Toolbox.dropped` says so.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadRequestError, UnsupportedParamsError
from ..types.request import JSON

CUSTOM_INPUT = "input"
"""The one argument of the function that stands for a custom tool."""
_MAX_NAME = 64  # characters of a function's name at OpenAI


@dataclass(frozen=True, slots=True)
class ToolName:
    """What the name of a chat's function stands for."""

    name: str
    namespace: str | None = None
    is_custom: bool = False


@dataclass(slots=True)
class Toolbox:
    """The functions of a chat, and what each name stands for."""

    functions: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, ToolName] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    """Tools that the model is not shown."""

    def add(self, tool: Mapping[str, JSON], namespace: str | None, place: str) -> None:
        """Adds a function or a custom tool."""
        name = tool.get("name")
        if not isinstance(name, str) or not name:
            raise BadRequestError(
                f'{place} has no "name". In this protocol it stands beside "type": '
                '{"type": "function", "name": ..., "parameters": {...}}.',
                param=place,
            )
        chat_name = flat_name(name, namespace)
        if chat_name in self.names:
            raise BadRequestError(f"{place}: there are two tools {chat_name!r}.", param=place)
        is_custom = tool["type"] == "custom"
        self.names[chat_name] = ToolName(name, namespace, is_custom)
        function = _custom_function(tool) if is_custom else _function(tool)
        self.functions.append({"type": "function", "function": {"name": chat_name, **function}})

    def original(self, chat_name: str) -> ToolName:
        """What the function `chat_name` of the chat stands for."""
        return self.names.get(chat_name) or ToolName(chat_name)


def toolbox(
    tools: Sequence[Mapping[str, JSON]], found: Sequence[Mapping[str, JSON]] = ()
) -> Toolbox:
    """The tools of a request, and those that its input `found` later, unless they are the same.

    Raises `BadRequestError` for a tool without a name or with another's.
    """
    box = Toolbox()
    for position, tool in enumerate(tools):
        _add(box, tool, f"tools[{position}]")
    for position, tool in enumerate(found):
        if tool.get("name") not in box.names:
            _add(box, tool, f"the input's tools[{position}]")
    return box


def flat_name(name: str, namespace: str | None) -> str:
    """The name of a function for the chat; one that is too long ends with its checksum."""
    if not namespace:
        return name
    joined = re.sub(r"[^a-zA-Z0-9_-]", "_", f"{namespace}__{name}")
    if len(joined) <= _MAX_NAME:
        return joined
    checksum = f"_{zlib.crc32(joined.encode()):08x}"
    return joined[: _MAX_NAME - len(checksum)] + checksum


def tool_params(choice: JSON, box: Toolbox) -> dict[str, Any]:
    """`tools` and `tool_choice` of the chat; nothing where the model may call nothing.

    Raises `UnsupportedParamsError` if `choice` asks for a tool that was left out.
    """
    functions = box.functions
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        allowed = {_chosen(tool, box) for tool in choice.get("tools") or ()}
        functions = [tool for tool in functions if tool["function"]["name"] in allowed]
        choice = choice.get("mode") or "auto"
    elif isinstance(choice, Mapping):
        choice = {"type": "function", "function": {"name": _chosen(choice, box)}}
    if functions:
        return {"tools": functions, **({} if choice is None else {"tool_choice": choice})}
    if choice == "required":
        raise UnsupportedParamsError(
            "tool_choice='required', but there is no tool that this model can be given"
            f"{_left_out(box)}.",
            param="tool_choice",
        )
    return {}


def _add(box: Toolbox, tool: Mapping[str, JSON], place: str, namespace: str | None = None) -> None:
    kind = tool.get("type")
    if kind in ("function", "custom"):
        box.add(tool, namespace, place)
    elif kind == "namespace" and namespace is None:
        for inner, child in enumerate(tool.get("tools") or ()):
            _add(box, child, f"{place}.tools[{inner}]", str(tool.get("name")))
    else:
        box.dropped.append(f"{place} ({kind})")


def _function(tool: Mapping[str, JSON]) -> dict[str, Any]:
    keys = ("description", "parameters", "strict")
    return {key: tool[key] for key in keys if tool.get(key) is not None}


def _custom_function(tool: Mapping[str, JSON]) -> dict[str, Any]:
    described = "\n\n".join(_description(tool))
    text = {"type": "string", "description": "The whole input of the tool, as plain text."}
    schema = {
        "type": "object",
        "properties": {CUSTOM_INPUT: text},
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    }
    return {"parameters": schema, **({"description": described} if described else {})}


def _description(tool: Mapping[str, JSON]) -> Iterator[str]:
    if tool.get("description"):
        yield str(tool["description"])
    form = tool.get("format")
    if isinstance(form, Mapping) and form.get("type") == "grammar":
        yield f"The input must match this {form.get('syntax')} grammar:\n{form.get('definition')}"


def _chosen(choice: Mapping[str, JSON], box: Toolbox) -> str:
    """The name in the chat of the tool that `choice` names."""
    if choice.get("type") not in ("function", "custom"):
        raise UnsupportedParamsError(
            f"tool_choice names the tool {choice.get('type')!r}, which only OpenAI's own servers "
            "run. Leave it out, or name a function.",
            param="tool_choice",
        )
    name, namespace = choice.get("name"), choice.get("namespace")
    for chat_name, tool in box.names.items():
        if tool.name == name and namespace in (None, tool.namespace):
            return chat_name
    raise BadRequestError(
        f"tool_choice names {name!r}, which is not among the tools{_left_out(box)}.",
        param="tool_choice",
    )


def _left_out(box: Toolbox) -> str:
    return f" (left out: {', '.join(box.dropped)})" if box.dropped else ""
