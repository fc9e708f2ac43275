"""Mistral: a list of objects (7B v0.3, Nemo), or `name[ARGS]{...}` (Small 3.2, Devstral, Ministral,
Magistral)."""

from __future__ import annotations

from ..named import Maybe, Slot, named
from ..objects import read_objects
from ..pieces import Calls
from ..source import Source, Steps
from ..syntax import Family, Syntax

_read_named = named(Slot.NAME, Maybe("[CALL_ID]"), Slot.ID, "[ARGS]")


def _read(source: Source, calls: Calls) -> Steps[bool]:
    yield from source.space()
    if (yield from source.starts("[", "{")) is not None:
        return (yield from read_objects(source, calls))
    return (yield from _read_named(source, calls))


MISTRAL = Family(
    "mistral",
    (("[TOOL_CALLS]",),),
    Syntax(
        openers=("[TOOL_CALLS]",),
        read=_read,
        closers=("}", "]"),
        begin="[TOOL_CALLS][",
        before='{"name": "{name}", "arguments": ',
        after="}",
        between=", ",
        end="]",
    ),
)
MISTRAL_ARGS = Family(
    "mistral-args",
    (("[TOOL_CALLS]", "[ARGS]"),),
    Syntax(
        openers=("[TOOL_CALLS]",),
        read=_read,
        closers=("}", "]"),
        before="[TOOL_CALLS]{name}[ARGS]",
    ),
)
