"""Apertus: a list of objects whose only key is the function."""

from __future__ import annotations

from ..objects import read_objects_by_name
from ..syntax import Family, Syntax

APERTUS = Family(
    "apertus",
    (("<|tools_prefix|>",),),
    Syntax(
        openers=("<|tools_prefix|>",),
        read=read_objects_by_name,
        closers=("}", "]", "<|tools_suffix|>"),
        begin="<|tools_prefix|>[",
        before='{"{name}": ',
        after="}",
        between=", ",
        end="]<|tools_suffix|>",
    ),
)
