"""gpt-oss: OpenAI's harmony format, messages in channels.

https://cookbook.openai.com/articles/openai-harmony
"""

from __future__ import annotations

import re

from ..channels import Channels, Kind
from ..pieces import Calls
from ..source import Source, Steps
from ..syntax import Family, ReadCall, Syntax
from ..values import read_value

_START, _CHANNEL, _MESSAGE = "<|start|>", "<|channel|>", "<|message|>"
_TO = re.compile(r"\bto=([\w.\-]+)")


def _address(header: str) -> tuple[Kind, str]:
    """The last channel counts: models write a stray `commentary` before at times."""
    role, *channels = header.split(_CHANNEL)
    last = channels[-1] if channels else ""
    to = _TO.search(last) or _TO.search(role)
    if to and to[1] not in ("assistant", "user"):
        return Kind.CALL, to[1].removeprefix("functions.")
    return (Kind.THINKING if last.lstrip().startswith("analysis") else Kind.TEXT), ""


def _read_call(name: str) -> ReadCall:
    def read(source: Source, calls: Calls) -> Steps[bool]:
        yield from source.space()
        if (yield from source.peek()) not in ("{", ""):
            return False
        source.accept()
        yield calls.begin(name)
        if (yield from read_value(source, calls.more)):
            calls.end()
        return True

    return read


_CHANNELS = Channels(
    starts=(_START, _CHANNEL, "to=", "<|constrain|>", _MESSAGE),
    header_end=_MESSAGE,
    ends=("<|end|>", "<|call|>", "<|return|>"),
    address=_address,
    read_call=_read_call,
)


def _never(source: Source, calls: Calls) -> Steps[bool]:
    """Calls have no opening of their own."""
    yield from ()
    return False


GPT_OSS = Family(
    "gpt-oss",
    ((_CHANNEL, _MESSAGE, "analysis"),),
    Syntax(
        openers=(_CHANNEL, _MESSAGE, _START),
        read=_never,
        closers=("<|end|>", "<|call|>", "<|return|>"),
        before=f"{_CHANNEL}commentary to=functions.{{name}} <|constrain|>json{_MESSAGE}",
        between=None,
        after_thinking=f"{_START}assistant",
        around_text=(f"{_CHANNEL}final{_MESSAGE}", ""),
        read_answer=_CHANNELS.read_answer,
    ),
)
