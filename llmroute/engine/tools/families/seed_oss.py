"""Seed-OSS: as Qwen3-Coder, in tags of its own and on one line."""

from __future__ import annotations

from ..syntax import Family, Pairs, Syntax, after
from ..tagged import TagForm, tagged

_END = "</seed:tool_call>"
SEED_OSS = Family(
    "seed-oss",
    (("<seed:tool_call>",),),
    Syntax(
        openers=("<seed:tool_call>", "<function="),
        read=after(
            "<function=",
            tagged(
                TagForm(
                    name_end=">",
                    key="<parameter=",
                    key_end=">",
                    value_end="</parameter>",
                    call_end="</function>",
                    also_after=(_END,),
                )
            ),
        ),
        closers=(_END,),
        before="<seed:tool_call>\n<function={name}>\n",
        after=f"</function>\n{_END}",
        between="\n",
        pairs=Pairs("<parameter={key}>", "</parameter>\n", text=("", "")),
    ),
)
