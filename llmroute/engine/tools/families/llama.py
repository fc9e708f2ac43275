"""Llama 3.1 to 4: an object or a Python list at the beginning of the answer."""

from __future__ import annotations

from ..objects import read_objects
from ..pieces import Calls
from ..pythonic import read_pythonic, read_pythonic_list
from ..source import Source, Steps
from ..syntax import Family, Syntax


def _read(source: Source, calls: Calls) -> Steps[bool]:
    yield from source.space()
    if (yield from source.starts("{")) is not None:
        return (yield from read_objects(source, calls))
    if (yield from source.starts("[")) is not None:
        return (yield from read_pythonic_list(source, calls))
    return (yield from read_pythonic(source, calls))


LLAMA = Family(
    "llama",
    (("<|python_tag|>",), ("<|python_start|>",), ("ipython", "tools")),
    Syntax(
        openers=("<|python_tag|>", "<|python_start|>"),
        read=_read,
        closers=("}", "<|python_end|>"),
        starters="{[",
        before='{"name": "{name}", "parameters": ',
        after="}",
        between="; ",
    ),
)
