"""Nemotron Nano v2: a list of objects in tags."""

from __future__ import annotations

from ..objects import read_objects
from ..syntax import Family, Syntax

NEMOTRON = Family(
    "nemotron",
    (("<TOOLCALL>",),),
    Syntax(
        openers=("<TOOLCALL>",),
        read=read_objects,
        closers=("}", "]", "</TOOLCALL>"),
        begin="<TOOLCALL>[",
        before='{"name": "{name}", "arguments": ',
        after="}",
        between=", ",
        end="]</TOOLCALL>",
    ),
)
