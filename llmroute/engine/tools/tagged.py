"""Calls whose arguments stand in tags of their own, as Qwen3-Coder and GLM-4.5 write them.

<function=get_weather>                  get_weather
<parameter=city>                        <arg_key>city</arg_key>
Paris                                   <arg_value>Paris</arg_value>
</parameter>
</function>
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .calls import Reading, Verdict, Whole

_NAME = r"[\w.\-]{1,128}"


@dataclass(frozen=True, slots=True)
class _Form:
    head: re.Pattern[str]
    partly: re.Pattern[str]
    """What may become the head."""
    pair: re.Pattern[str]
    end: str
    keeps_end: bool = False
    """Whether the end is also that of the call's outer tag, and left for it."""


_FORMS = (
    _Form(
        re.compile(rf"\s*<function=(?P<name>{_NAME})>"),
        re.compile(rf"\s*<(?:f(?:u(?:n(?:c(?:t(?:i(?:o(?:n(?:={_NAME})?=?)?)?)?)?)?)?)?)?"),
        re.compile(r"\s*<parameter=(?P<key>[^<>\n]+)>\n?(?P<value>.*?)\n?</parameter>\s*", re.S),
        "</function>",
    ),
    _Form(
        re.compile(rf"\s*(?P<name>{_NAME})\s*(?=<arg_key>|</tool_call>)"),
        re.compile(rf"\s*(?:{_NAME}\s*(?:<[a-z_/]*)?)?"),
        re.compile(
            r"\s*<arg_key>(?P<key>[^<>]+)</arg_key>\s*<arg_value>(?P<value>.*?)</arg_value>\s*",
            re.S,
        ),
        "</tool_call>",
        keeps_end=True,
    ),
)


def read_tagged(text: str, parameters: Mapping[str, Any]) -> Reading:
    """A call of one of the functions in `parameters`, which tell the types of the arguments.

    It is read as a whole: only then a value's end is known.
    """
    for form in _FORMS:
        if head := form.head.match(text):
            known = head["name"] in parameters
            return _whole(form, text, head, parameters) if known else Verdict.NO
    return Verdict.MORE if any(form.partly.fullmatch(text) for form in _FORMS) else Verdict.NO


def _whole(form: _Form, text: str, head: re.Match[str], parameters: Mapping[str, Any]) -> Reading:
    end = text.find(form.end, head.end())
    if end < 0:
        return Verdict.MORE
    arguments: dict[str, Any] = {}
    at = head.end()
    while pair := form.pair.match(text, at, end):
        schema = parameters[head["name"]]
        arguments[pair["key"].strip()] = _value(pair["value"], schema, pair["key"].strip())
        at = pair.end()
    if text[at:end].strip():
        return Verdict.NO
    call = (head["name"], json.dumps(arguments, ensure_ascii=False))
    return Whole((call,), end if form.keeps_end else end + len(form.end))


def _value(written: str, schema: Any, key: str) -> Any:
    """Text stays text where the schema says so; else it is JSON if it can be read as such."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    described = properties.get(key) if isinstance(properties, Mapping) else None
    kind = described.get("type") if isinstance(described, Mapping) else None
    if kind == "string" or (isinstance(kind, list) and "string" in kind):
        return written
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        return {"True": True, "False": False, "None": None}.get(written.strip(), written)
