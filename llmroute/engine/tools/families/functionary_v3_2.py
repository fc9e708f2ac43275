"""Functionary 3.2: `all` or a function on a line of its own, before what it gets."""

from __future__ import annotations

from ..inline import Content
from ..named import NAME_CHARACTERS
from ..pieces import Calls
from ..reasoning import Tags
from ..source import Source, Steps
from ..syntax import Family, Syntax
from ..values import read_value

_MARK = ">>>"


def _read_call(source: Source, calls: Calls) -> Steps[bool]:
    """A function behind the mark, and its arguments."""
    name = yield from source.word(NAME_CHARACTERS)
    if name not in calls.schemas or not (yield from source.skip("\n")):
        return False
    yield from source.space()
    if (yield from source.peek()) not in ("{", ""):
        return False
    source.accept()
    yield calls.begin(name)
    if (yield from read_value(source, calls.more)):
        calls.end()
    return True


def _read_answer(source: Source, calls: Calls, tags: Tags | None, open: bool) -> Steps[None]:
    """The prompt ends with the first mark."""
    content, mark = Content(), ""
    while True:
        if not (yield from source.skip("all\n")):
            source.begin_trial()
            is_call = yield from _read_call(source, calls)
            text = "" if is_call else mark + source.refuse()
            if is_call:
                content.begin()
            elif text and (piece := content.take(text)) is not None:
                yield piece
        if (yield from source.until((_MARK,), content.take)) is None:
            break
        mark = source.take(len(_MARK))
    if not calls.count and (rest := content.space()):
        yield rest


FUNCTIONARY_V3_2 = Family(
    "functionary-v3.2",
    ((">>>all", "recipient"), (">>>${recipient}",)),
    Syntax(
        openers=(_MARK,),
        read=_read_call,
        before="{name}\n",
        between=_MARK,
        around_text=("all\n", ""),
        read_answer=_read_answer,
    ),
)
