"""Gemma 4: objects without quotes, but for `<|"|>` around texts."""

from __future__ import annotations

from ..named import Slot, named
from ..syntax import Family, Pairs, Syntax
from ..values import Dialect

_QUOTE = '<|"|>'
_DIALECT = Dialect(raw_quotes=(_QUOTE,))
GEMMA = Family(
    "gemma",
    (("<|tool_call>", "<|channel>"), ("<|tool_call>call:",)),
    Syntax(
        openers=("<|tool_call>",),
        read=named("call:", Slot.NAME, dialect=_DIALECT),
        closers=("<tool_call|>",),
        before="<|tool_call>call:{name}{",
        after="}<tool_call|>",
        pairs=Pairs("{key}:", between=",", text=(_QUOTE, _QUOTE)),
        silent=("<|channel>", "<channel|>"),
        thinks_anywhere=True,
    ),
)
