"""Muse: messages to oneself (thinking), to the user, and to tools, with arguments in tags."""

from __future__ import annotations

import re

from ..channels import Channels, Kind
from ..pieces import Calls
from ..source import Source, Steps
from ..syntax import Family, Pairs, ReadCall, Syntax, after
from ..tagged import TagForm, tagged

_START, _MESSAGE = "<|start|>", "<|message|>"
_CALL, _SECTION, _SECTION_END = (
    '<atem:invoke name="',
    "<atem:function_calls>",
    "</atem:function_calls>",
)
_TO = re.compile(r"\bto=(\S+)")


def _address(header: str) -> tuple[Kind, str]:
    to = _TO.search(header)
    match to[1] if to else "user":
        case "self":
            return Kind.THINKING, ""
        case "user":
            return Kind.TEXT, ""
        case name:
            return Kind.CALL, name


_read = after(
    _SECTION,
    after(
        _CALL,
        tagged(
            TagForm(
                name_end='"',
                head_end=">",
                key='<atem:parameter name="',
                key_end='"',
                key_tag_end=">",
                value_end="</atem:parameter>",
                call_end="</atem:invoke>",
            )
        ),
    ),
)


def _read_call(name: str) -> ReadCall:
    return _read


def _never(source: Source, calls: Calls) -> Steps[bool]:
    """Calls stand in messages to tools only."""
    yield from ()
    return False


_CHANNELS = Channels(
    starts=(_START, "to=", _MESSAGE),
    header_end=_MESSAGE,
    ends=("<|eom|>", "<|eot|>"),
    address=_address,
    read_call=_read_call,
)
MUSE = Family(
    "muse",
    ((_SECTION, _MESSAGE),),
    Syntax(
        openers=(_START, _MESSAGE),
        read=_never,
        closers=("<|eom|>", "<|eot|>"),
        before=f' to={{name}}{_MESSAGE}{_SECTION}\n{_CALL}{{name}}">\n',
        after=f"</atem:invoke>\n{_SECTION_END}",
        between=f"<|eom|>{_START}assistant",
        pairs=Pairs('<atem:parameter name="{key}">', "</atem:parameter>\n", text=("", "")),
        after_thinking=f"{_START}assistant",
        around_text=(f" to=user{_MESSAGE}", ""),
        read_answer=_CHANNELS.read_answer,
    ),
)
