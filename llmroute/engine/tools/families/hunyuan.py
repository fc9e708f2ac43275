"""Hunyuan 3: as GLM, with a suffix in every tag."""

from __future__ import annotations

from ..syntax import Family, Pairs, Syntax, after
from ..tagged import TagForm, tagged

_SECTION, _CALL = "<tool_calls:opensource>", "<tool_call:opensource>"
_END = "</tool_call:opensource>"
HUNYUAN = Family(
    "hunyuan",
    (("tool_sep", "arg_key", "opensource"),),
    Syntax(
        openers=(_SECTION, _CALL),
        read=after(
            _CALL,
            tagged(
                TagForm(
                    name_end="<tool_sep:opensource>",
                    key="<arg_key:opensource>",
                    key_end="</arg_key:opensource>",
                    key_tag_end="<arg_value:opensource>",
                    value_end="</arg_value:opensource>",
                    call_end=_END,
                )
            ),
        ),
        closers=(_END, "</tool_calls:opensource>"),
        begin=f"{_SECTION}\n",
        before=f"{_CALL}{{name}}<tool_sep:opensource>\n",
        after=_END,
        between="\n",
        end="\n</tool_calls:opensource>",
        pairs=Pairs(
            "<arg_key:opensource>{key}</arg_key:opensource>\n<arg_value:opensource>",
            "</arg_value:opensource>\n",
            text=("", ""),
        ),
    ),
)
