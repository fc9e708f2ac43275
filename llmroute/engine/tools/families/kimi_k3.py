"""Kimi K3: everything in tags of control tokens, the answer's text too."""

from __future__ import annotations

from ..syntax import Family, Pairs, Syntax, after
from ..tagged import TagForm, tagged


def _open(tag: str) -> str:
    return f"<|open|>{tag}<|sep|>"


def _close(tag: str) -> str:
    return f"<|close|>{tag}<|sep|>"


_CALL = '<|open|>call tool="'
KIMI_K3 = Family(
    "kimi-k3",
    (("<|open|>", "<|close|>", "<|sep|>"),),
    Syntax(
        openers=(_open("tools"), _CALL),
        read=after(
            _CALL,
            tagged(
                TagForm(
                    name_end='"',
                    head_end="<|sep|>",
                    key='<|open|>argument key="',
                    key_end='"',
                    key_tag_end="<|sep|>",
                    value_end=_close("argument"),
                    call_end=_close("call"),
                )
            ),
        ),
        closers=(_close("tools"),),
        begin=_open("response") + _close("response") + _open("tools"),
        before=_open('call tool="{name}" index="{index}"'),
        after=_close("call"),
        end=_close("tools") + _close("message"),
        pairs=Pairs(_open('argument key="{key}" type="{type}"'), _close("argument"), text=("", "")),
        silent=(
            *(_open("response"), _close("response"), _close("tools")),
            *(_close("message"), "<|end_of_msg|>", _close("think")),
        ),
        around_text=(_open("response"), _close("response") + _close("message")),
    ),
)
