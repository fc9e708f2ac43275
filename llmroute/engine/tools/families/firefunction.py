"""FireFunction v2: a list of objects behind `functools`."""

from __future__ import annotations

from ..objects import read_objects
from ..syntax import Family, Syntax

FIREFUNCTION = Family(
    "firefunction",
    (("functools[",),),
    Syntax(
        openers=(" functools[", "functools["),
        read=read_objects,
        closers=("}", "]"),
        begin=" functools[",
        before='{"name": "{name}", "arguments": ',
        after="}",
        between=", ",
        end="]",
    ),
)
