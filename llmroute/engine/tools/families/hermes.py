"""Hermes, and the many that follow it: Qwen 2.5 and 3, QwQ, Granite 4, SmolLM3, MiMo, Reka."""

from __future__ import annotations

from ..syntax import Family, Syntax
from ..tool_call_tag import CLOSER, read_tool_call

_SYNTAX = Syntax(
    openers=("<tool_call>",),
    read=read_tool_call,
    closers=("}", CLOSER),
    before='<tool_call>\n{"name": "{name}", "arguments": ',
    after="}\n</tool_call>",
    between="\n",
)
HERMES = Family("hermes", (("<tool_call>",),), _SYNTAX)
GENERIC = Family("generic", (), _SYNTAX)
"""For models whose template knows nothing of tools: they are told in a system message."""
