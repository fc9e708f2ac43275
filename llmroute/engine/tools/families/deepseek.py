"""DeepSeek R1 and its distills, V3, V3.1."""

from __future__ import annotations

from ..named import Maybe, Slot, named
from ..syntax import Family, Syntax

_BEGIN, _END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_CALL, _CALL_END, _SEPARATOR = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
_OPENERS = (_BEGIN, _CALL)
_CLOSERS = ("```", _CALL_END, _END)
_read = named(
    *(Maybe(_CALL), Maybe(f"function{_SEPARATOR}"), Slot.NAME, Maybe(_SEPARATOR)),
    Maybe("```json"),
)

DEEPSEEK = Family(
    "deepseek",
    ((_SEPARATOR,),),
    Syntax(
        openers=_OPENERS,
        read=_read,
        closers=_CLOSERS,
        begin=_BEGIN,
        before=f"{_CALL}{{name}}{_SEPARATOR}",
        after=_CALL_END,
        end=_END,
    ),
)
DEEPSEEK_FENCED = Family(
    "deepseek-fenced",
    ((_SEPARATOR, "```json"),),
    Syntax(
        openers=_OPENERS,
        read=_read,
        closers=_CLOSERS,
        begin=_BEGIN,
        before=f"{_CALL}function{_SEPARATOR}{{name}}\n```json\n",
        after=f"\n```{_CALL_END}",
        between="\n",
        end=_END,
    ),
)
