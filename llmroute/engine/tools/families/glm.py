"""GLM 4.5 to 4.7, Ling 3, Spark, Laguna: arguments in `<arg_key>` and `<arg_value>` tags."""

from __future__ import annotations

from ..syntax import Family, Pairs, Syntax
from ..tool_call_tag import CLOSER, read_tool_call

GLM = Family(
    "glm",
    (("<tool_call>", "<arg_key>"),),
    Syntax(
        openers=("<tool_call>",),
        read=read_tool_call,
        closers=("}", CLOSER),
        before="<tool_call>{name}\n",
        after="</tool_call>",
        between="\n",
        pairs=Pairs("<arg_key>{key}</arg_key>\n<arg_value>", "</arg_value>\n", text=("", "")),
        calls_in_thinking=True,
    ),
)
