"""Granite 3, and Phi-4 mini: a list of objects behind a mark."""

from __future__ import annotations

from ..objects import read_objects
from ..syntax import Family, Syntax

_MARK = "<|tool_call|>"


def _syntax(end: str) -> Syntax:
    return Syntax(
        openers=(_MARK,),
        read=read_objects,
        closers=("}", "]", "<|/tool_call|>"),
        begin=f"{_MARK}[",
        before='{"name": "{name}", "arguments": ',
        after="}",
        between=", ",
        end=end,
    )


GRANITE = Family("granite", ((_MARK,),), _syntax("]"))
PHI = Family("phi", (("<|/tool_call|>",), ("<|/tool|>",)), _syntax("]<|/tool_call|>"))
