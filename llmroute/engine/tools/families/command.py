"""Cohere's Command R7B, A and Command 2 MoE; and R+, which writes `Action:` and a fence."""

from __future__ import annotations

from ..objects import read_objects
from ..syntax import Family, Syntax, after

_BEGIN, _END = "<|START_ACTION|>", "<|END_ACTION|>"
_OBJECT = '{"tool_call_id": "{index}", "tool_name": "{name}", "parameters": '


def _syntax(kind: str) -> Syntax:
    """`kind` names the tags around the answer's text."""
    return Syntax(
        openers=(_BEGIN,),
        read=read_objects,
        closers=("}", "]", _END),
        begin=f"{_BEGIN}[\n    ",
        before=_OBJECT,
        after="}",
        between=",\n    ",
        end=f"\n]{_END}",
        silent=("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
        around_text=(f"<|START_{kind}|>", f"<|END_{kind}|>"),
    )


COMMAND = Family("command", ((_BEGIN, "<|START_RESPONSE|>"), (_BEGIN,)), _syntax("RESPONSE"))
COMMAND_MOE = Family("command-moe", ((_BEGIN, "<|START_TEXT|>"),), _syntax("TEXT"))
COMMAND_R_PLUS = Family(
    "command-r-plus",
    (("Action:", "```json", '"tool_name"'),),
    Syntax(
        openers=("Action:",),
        read=after("```json", read_objects),
        closers=("}", "]", "```"),
        begin="Action:\n```json\n[\n    ",
        before='{"tool_name": "{name}", "parameters": ',
        after="}",
        between=",\n    ",
        end="\n]```",
    ),
)
