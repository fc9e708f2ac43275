"""MiniMax M2: arguments in tags, on one line."""

from __future__ import annotations

from ..syntax import Family, Pairs, Syntax, after
from ..tagged import TagForm, tagged

_CALL = '<invoke name="'
_END = "</minimax:tool_call>"
MINIMAX = Family(
    "minimax",
    (("<minimax:tool_call>",),),
    Syntax(
        openers=("<minimax:tool_call>", _CALL),
        read=after(
            _CALL,
            tagged(
                TagForm(
                    name_end='"',
                    head_end=">",
                    key='<parameter name="',
                    key_end='"',
                    key_tag_end=">",
                    value_end="</parameter>",
                    call_end="</invoke>",
                    also_after=(_END,),
                )
            ),
        ),
        closers=(_END,),
        begin="<minimax:tool_call>\n",
        before='<invoke name="{name}">\n',
        after="</invoke>",
        between="\n",
        end=f"\n{_END}",
        pairs=Pairs('<parameter name="{key}">', "</parameter>\n", text=("", "")),
    ),
)
