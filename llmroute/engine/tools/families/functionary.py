"""Functionary 3.1, and others that write `<function=name>{...}</function>`."""

from __future__ import annotations

from ..named import Slot, named
from ..syntax import Family, Syntax

FUNCTION_TAG = Family(
    "function-tag",
    (("<function=",),),
    Syntax(
        openers=("<function=",),
        read=named(Slot.NAME, ">"),
        closers=("}", "</function>"),
        before="<function={name}>",
        after="</function>",
    ),
)
