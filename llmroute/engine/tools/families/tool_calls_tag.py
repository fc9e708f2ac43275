"""Apriel, MiniMax M1, Jamba: objects in `<tool_calls>` tags, in a list or one a line."""

from __future__ import annotations

from ..objects import read_objects
from ..reasoning import Tags
from ..syntax import Family, Syntax

_TAG, _END = "<tool_calls>", "</tool_calls>"


def _syntax(
    begin: str,
    between: str,
    end: str,
    silent: tuple[str, ...] = (),
    other_tags: tuple[Tags, ...] = (),
) -> Syntax:
    return Syntax(
        openers=(_TAG,),
        read=read_objects,
        closers=("}", "]", _END),
        begin=f"{_TAG}{begin}",
        before='{"name": "{name}", "arguments": ',
        after="}",
        between=between,
        end=f"{end}{_END}",
        silent=silent,
        other_tags=other_tags,
        calls_in_thinking=True,
    )


APRIEL = Family(
    "apriel",
    ((_TAG, "[BEGIN FINAL RESPONSE]"),),
    _syntax(
        *("[", ", ", "]"),
        silent=("[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"),
        other_tags=(Tags("<thinking>", "</thinking>"),),
    ),
)
TOOL_CALLS_TAG = Family("tool-calls-tag", ((_TAG,),), _syntax("\n", "\n", "\n"))
