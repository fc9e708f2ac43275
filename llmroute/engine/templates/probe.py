"""Sample messages through a template, to find out what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from ...errors import BadRequestError
from .jinja import compile_template
from .variables import template_variables

JSON: TypeAlias = Any
Message: TypeAlias = Mapping[str, JSON]

_USER = {"role": "user", "content": "needlequestion"}
_ANSWER = {"role": "assistant", "content": "needleanswer"}
_LATER = {"role": "user", "content": "needlelater"}
_FIRST, _SECOND = (
    {"role": "system", "content": f"needleinstruction{number}"} for number in ("one", "two")
)
_TOOL_NAMES = ("needletoolone", "needletooltwo")
SAMPLE_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "A tool",
            "parameters": {
                "type": "object",
                "properties": {"x": {"type": "string", "description": "A value"}},
                "required": ["x"],
            },
        },
    }
    for name in _TOOL_NAMES
]


def written(
    template: str, messages: Sequence[Message], tools: Sequence[Mapping[str, JSON]] | None = None
) -> str:
    """What the template makes of `messages`; `""` if it doesn't take them."""
    try:
        return compile_template(template)(**template_variables(messages, tools))
    except BadRequestError:
        return ""


def shows(template: str, *messages: Message, tools: bool = False) -> bool:
    """Whether the template takes `messages` and leaves none of their texts out."""
    prepared = with_parts(messages) if wants_parts(template) else messages
    text = written(template, prepared, SAMPLE_TOOLS if tools else None)
    if not text and not tools:  # some are for requests with tools only
        text = written(template, prepared, SAMPLE_TOOLS)
    return all(message["content"] in text for message in messages) and text != ""


@lru_cache(maxsize=64)
def wants_parts(template: str) -> bool:
    """Whether a text is lost on it and a list of parts is not, as with some image models."""
    if _USER["content"] in written(template, [_USER]):
        return False
    return _USER["content"] in written(template, with_parts([_USER]))


def with_parts(messages: Sequence[Message]) -> list[dict[str, JSON]]:
    """`messages` with their texts as lists of one part."""
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}]}
        if isinstance(message.get("content"), str)
        else dict(message)
        for message in messages
    ]


@lru_cache(maxsize=64)
def loses_system(template: str) -> bool:
    """Whether it refuses or leaves out what the system says, and takes the rest."""
    return shows(template, _USER) and not shows(template, _FIRST, _USER)


@lru_cache(maxsize=64)
def takes_two_systems(template: str, *, developer: bool = False) -> bool:
    """Whether it shows two messages of the system at the beginning, the second one also if it is
    the developer's."""
    second = {**_SECOND, "role": "developer"} if developer else _SECOND
    return not shows(template, _USER) or shows(template, _FIRST, second, _USER)


@lru_cache(maxsize=64)
def takes_late_system(template: str, *, developer: bool = False) -> bool:
    """Whether it shows a message of the system, or the developer, between later ones."""
    second = {**_SECOND, "role": "developer"} if developer else _SECOND
    late = (_FIRST, _USER, _ANSWER, second, _LATER)
    return not shows(template, _USER) or shows(template, *late)


@lru_cache(maxsize=64)
def takes_repeated_turns(template: str) -> bool:
    """Whether it shows two messages in a row of the user, and of the assistant."""
    more = {"role": "assistant", "content": "needlemore"}
    return not shows(template, _USER) or shows(template, _USER, _LATER, _ANSWER, more, _USER)


@lru_cache(maxsize=64)
def knows_role(template: str, role: str) -> bool:
    """Whether it names `role`, and shows messages of it at the beginning or later."""
    if not any(f"{quote}{role}{quote}" in template for quote in "'\""):
        return False
    message = {"role": role, "content": "needlerole"}
    return shows(template, message, _USER) or shows(template, _USER, message)


@lru_cache(maxsize=64)
def shows_tools(template: str) -> bool:
    """Whether it tells the model of the tools of a request."""
    prepared = with_parts([_USER]) if wants_parts(template) else [_USER]
    text = written(template, prepared, SAMPLE_TOOLS)
    return all(name in text for name in _TOOL_NAMES)
