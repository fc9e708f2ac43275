"""DeepSeek V3.2 and V4: arguments in `DSML` tags that say whether they are text."""

from __future__ import annotations

from ..syntax import Family, Pairs, Syntax, after
from ..tagged import TagForm, tagged

_CALL = '<｜DSML｜invoke name="'
_read = tagged(
    TagForm(
        name_end='"',
        head_end=">",
        key='<｜DSML｜parameter name="',
        key_end='"',
        key_tag_end=">",
        value_end="</｜DSML｜parameter>",
        call_end="</｜DSML｜invoke>",
    )
)


def _syntax(section: str) -> Syntax:
    return Syntax(
        openers=("<｜DSML｜function_calls>", "<｜DSML｜tool_calls>", _CALL),
        read=after(_CALL, _read),
        closers=("</｜DSML｜function_calls>", "</｜DSML｜tool_calls>"),
        begin=f"<｜DSML｜{section}>\n",
        before='<｜DSML｜invoke name="{name}">\n',
        after="</｜DSML｜invoke>",
        between="\n",
        end=f"\n</｜DSML｜{section}>",
        pairs=Pairs(
            '<｜DSML｜parameter name="{key}" string="{text}">',
            "</｜DSML｜parameter>\n",
            text=("", ""),
        ),
        calls_in_thinking=True,
    )


DSML = Family("dsml", (("｜DSML｜", "function_calls"),), _syntax("function_calls"))
DSML_V4 = Family("dsml-v4", (("｜DSML｜", "tool_calls>"),), _syntax("tool_calls"))
