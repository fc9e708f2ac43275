"""MiniCPM 5: arguments in tags, without a section around them; texts of several lines in CDATA."""

from __future__ import annotations

from ..syntax import Family, Pairs, Syntax
from ..tagged import TagForm, tagged

MINICPM = Family(
    "minicpm",
    (('<function name="', '<param name="'),),
    Syntax(
        openers=('<function name="',),
        read=tagged(
            TagForm(
                name_end='"',
                head_end=">",
                key='<param name="',
                key_end='"',
                key_tag_end=">",
                value_end="</param>",
                call_end="</function>",
                quotes=("<![CDATA[", "]]>"),
            )
        ),
        before='<function name="{name}">',
        after="</function>",
        between="\n",
        pairs=Pairs('<param name="{key}">', "</param>", text=("", "")),
    ),
)
