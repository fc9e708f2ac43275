"""Kimi K2: sections of calls with the function and a number in text."""

from __future__ import annotations

from ..named import Maybe, Slot, named
from ..syntax import Family, Syntax

_SECTION, _CALL = "<|tool_calls_section_begin|>", "<|tool_call_begin|>"
_ARGUMENTS, _END = "<|tool_call_argument_begin|>", "<|tool_call_end|>"
KIMI = Family(
    "kimi",
    ((_SECTION,),),
    Syntax(
        openers=(_SECTION, _CALL),
        read=named(
            *(Maybe(_CALL), Maybe("functions."), Slot.NAME, Maybe(":"), Slot.ID, _ARGUMENTS)
        ),
        closers=(_END, "<|tool_calls_section_end|>"),
        begin=_SECTION,
        before=f"{_CALL}functions.{{name}}:{{index}}{_ARGUMENTS}",
        after=_END,
        end="<|tool_calls_section_end|>",
        calls_in_thinking=True,
    ),
)
