"""Solar Open: marks around ids, names and arguments."""

from __future__ import annotations

from ..named import Maybe, Slot, named
from ..syntax import Family, Syntax

_CALL, _END = "<|tool_call:begin|>", "<|tool_call:end|>"
SOLAR = Family(
    "solar",
    ((_CALL,),),
    Syntax(
        openers=("<|tool_calls|>", _CALL),
        read=named(Maybe(_CALL), Slot.ID, "<|tool_call:name|>", Slot.NAME, "<|tool_call:args|>"),
        closers=(_END, "<|calls|>"),
        begin="<|tool_calls|>",
        before=f"{_CALL}{{index}}<|tool_call:name|>{{name}}<|tool_call:args|>",
        after=_END,
        end="<|calls|>",
        silent=("<|begin|>assistant", "<|content|>", "<|end|>", "<|calls|>"),
        after_thinking="<|begin|>assistant",
        around_text=("<|content|>", "<|end|>"),
    ),
)
