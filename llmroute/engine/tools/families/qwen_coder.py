"""Qwen3-Coder, Qwen3.5, Nemotron 3, Step 3.5: arguments in `<parameter=...>` tags.

Qwen3-Coder leaves out `<tool_call>` at times, and Qwen3.5 the end of its thinking before a call.
"""

from __future__ import annotations

from ..pieces import Calls
from ..source import Source, Steps
from ..syntax import Family, Pairs, Syntax
from ..tool_call_tag import CLOSER, FUNCTION_TAGS, read_tool_call


def _read(source: Source, calls: Calls) -> Steps[bool]:
    """Behind `<tool_call>`, or behind `<function=` where that is left out."""
    yield from source.space()
    if (yield from source.starts("{", "<")) is not None:
        return (yield from read_tool_call(source, calls))
    return (yield from FUNCTION_TAGS(source, calls))


QWEN_CODER = Family(
    "qwen-coder",
    (("<tool_call>", "<function=", "<parameter="),),
    Syntax(
        openers=("<tool_call>", "<function="),
        read=_read,
        closers=("}", CLOSER),
        before="<tool_call>\n<function={name}>\n",
        after="</function>\n</tool_call>",
        between="\n",
        pairs=Pairs("<parameter={key}>\n", "\n</parameter>\n", text=("", "")),
        calls_in_thinking=True,
    ),
)
