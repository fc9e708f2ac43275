"""Sample messages through a template, to find out what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from ...errors import BadRequestError
from .jinja import compile_template

JSON: TypeAlias = Any

_NEEDLE = "Needle"


def written(
    template: str,
    messages: Sequence[Mapping[str, JSON]],
    tools: Sequence[Mapping[str, JSON]] | None = None,
) -> str:
    """What the template makes of `messages`; `""` if it doesn't take them."""
    try:
        return compile_template(template)(
            messages=messages,
            tools=tools,
            add_generation_prompt=True,
            bos_token="",
            eos_token="",
        )
    except BadRequestError:
        return ""


@lru_cache(maxsize=64)
def wants_parts(template: str) -> bool:
    """Whether a text is lost on it and a list of parts is not, as with some image models."""
    message = {"role": "user", "content": _NEEDLE}
    if _NEEDLE in written(template, [message]):
        return False
    return _NEEDLE in written(template, with_parts([message]))


def with_parts(messages: Sequence[Mapping[str, JSON]]) -> list[dict[str, JSON]]:
    """`messages` with their texts as lists of one part."""
    return [
        dict(message)
        if message.get("content") is None
        else {**message, "content": [{"type": "text", "text": message["content"]}]}
        for message in messages
    ]


@lru_cache(maxsize=64)
def loses_system(template: str) -> bool:
    """Whether it refuses or leaves out what the system says, and takes the rest."""
    conversation = [
        {"role": "system", "content": "Instruction"},
        {"role": "user", "content": _NEEDLE},
    ]
    if wants_parts(template):
        conversation = with_parts(conversation)
    takes_user = _NEEDLE in written(template, conversation[1:])
    return takes_user and "Instruction" not in written(template, conversation)
