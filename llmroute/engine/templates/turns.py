"""Whose turn it is: what the system says, and turns in a row, as a template takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, TypeAlias

from .probe import loses_system, takes_late_system, takes_repeated_turns, takes_two_systems

JSON: TypeAlias = Any
Message: TypeAlias = dict[str, JSON]


def arrange_system(messages: Sequence[Message], template: str) -> list[Message]:
    """`messages`, whose contents are texts, with all that the system says where it is not lost.

    Several messages at the beginning become one, later ones go before the next text of the user,
    and all do where the template takes none.
    """
    if not any(_is_system(message) for message in messages):
        return list(messages)
    if loses_system(template):
        return _in_user(messages)
    first = list(takewhile(_is_system, messages))
    rest = messages[len(first) :]
    if len(first) > 1 and not takes_two_systems(template, developer=_has_developer(first[1:])):
        first = [{**first[0], "content": _joined(first)}]
    late = list(filter(_is_system, rest))
    if late and not takes_late_system(template, developer=_has_developer(late)):
        rest = _in_user(rest)
    return [*first, *rest]


def join_turns(messages: Sequence[Message], template: str) -> list[Message]:
    """`messages` with turns in a row of the user, or of the assistant, as one, where it must be."""
    if not any(map(_continues, messages, messages[1:])) or takes_repeated_turns(template):
        return list(messages)
    result: list[Message] = []
    for message in messages:
        if result and _continues(result[-1], message):
            result[-1] = {**result[-1], **message, "content": _joined([result[-1], message])}
        else:
            result.append(message)
    return result


def _continues(message: Mapping[str, JSON], following: Mapping[str, JSON]) -> bool:
    """Whether two messages in a row are one turn of texts."""
    role = message.get("role")
    return (
        role in ("user", "assistant")
        and role == following.get("role")
        and not message.get("tool_calls")
        and isinstance(message.get("content"), str)
        and isinstance(following.get("content"), str)
    )


def _joined(messages: Sequence[Mapping[str, JSON]]) -> str:
    return "\n\n".join(filter(None, (message["content"] for message in messages)))


def _is_system(message: Mapping[str, JSON]) -> bool:
    return message.get("role") in ("system", "developer")


def _has_developer(messages: Sequence[Mapping[str, JSON]]) -> bool:
    return any(message.get("role") == "developer" for message in messages)


def _in_user(messages: Sequence[Message]) -> list[Message]:
    result: list[Message] = []
    waiting: list[Message] = []
    last_user = max((at for at, m in enumerate(messages) if m.get("role") == "user"), default=-1)
    for at, message in enumerate(messages):
        if _is_system(message):
            if at < last_user:
                waiting.append(message)
            else:
                result.append({**message, "role": "user"})
        elif message.get("role") == "user" and waiting:
            result.append({**message, "content": _joined([*waiting, message])})
            waiting = []
        else:
            result.append(message)
    return result
