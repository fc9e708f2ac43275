"""LFM2 and LFM2.5: Python calls, or a list of objects, between marks."""

from __future__ import annotations

from ..objects import read_objects
from ..pieces import Calls
from ..pythonic import read_pythonic
from ..source import Source, Steps
from ..syntax import Family, Pairs, Syntax

_BEGIN, _END = "<|tool_call_start|>", "<|tool_call_end|>"


def _read(source: Source, calls: Calls) -> Steps[bool]:
    yield from source.space()
    yield from source.skip("[")
    yield from source.space()
    if (yield from source.starts("{")) is not None:
        return (yield from read_objects(source, calls))
    return (yield from read_pythonic(source, calls))


LFM = Family(
    "lfm",
    ((_BEGIN,), ("<|tool_list_start|>",), ("<|tool_response_start|>",), ("List of tools: [",)),
    Syntax(
        openers=(_BEGIN,),
        read=_read,
        closers=("]", _END),
        begin=f"{_BEGIN}[",
        before="{name}(",
        after=")",
        between=", ",
        end=f"]{_END}",
        pairs=Pairs("{key}=", between=", "),
    ),
)
