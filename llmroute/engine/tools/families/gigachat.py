"""GigaChat 3 and 3.1: one object in a message of its own, or behind a mark."""

from __future__ import annotations

from ..objects import read_objects
from ..syntax import Family, Syntax

_MESSAGE, _MARK = "<|message_sep|>\n\nfunction call<|role_sep|>", "<|function_call|>"


def _syntax(before: str) -> Syntax:
    return Syntax(
        openers=(_MESSAGE, _MARK),
        read=read_objects,
        closers=("}",),
        before=before + '{"name": "{name}", "arguments": ',
        after="}",
        between=None,
    )


GIGACHAT = Family("gigachat", (("function call", "<|role_sep|>"),), _syntax(f"{_MESSAGE}\n"))
GIGACHAT_MARK = Family("gigachat-mark", ((_MARK, "<|role_sep|>"),), _syntax(_MARK))
