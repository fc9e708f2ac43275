"""The ways in which families of models write calls, read while they are written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .calls import Head, ReadHead, Reading, Syntax, Verdict, Whole
from .pythonic import read_pythonic
from .scan import object_end
from .tagged import read_tagged

_JSON_HEAD = re.compile(
    r"""\s*\{\s*
    (?:"(?:type|id)"\s*:\s*"[^"\\]*"\s*,\s*)*
    "name"\s*:\s*"(?P<name>[^"\\]+)"\s*,\s*
    (?:"(?:type|id)"\s*:\s*"[^"\\]*"\s*,\s*)*
    "(?:arguments|parameters)"\s*:\s*(?=\{)""",
    re.VERBOSE,
)
_FIRST_KEY = re.compile(r'\s*\{\s*"([^"\\]*)(")?')
_KEYS = ("name", "type", "id", "arguments", "parameters", "function")
_NAME = r"[\w.\-]{1,128}"


def _read_json(text: str, names: Mapping[str, Any]) -> Reading:
    """`{"name": ..., "arguments": {...}}`, in any order of keys."""
    if head := _JSON_HEAD.match(text):
        return Head(head["name"], head.end(), True) if head["name"] in names else Verdict.NO
    if not _may_be_call(text):
        return Verdict.NO
    start = text.find("{")
    end = object_end(text, start) if start >= 0 else None
    if end is None:
        return Verdict.MORE
    call = _call_in(text[start:end], names)
    return Whole((call,), end) if call else Verdict.NO


def _may_be_call(text: str) -> bool:
    stripped = text.lstrip()
    key = _FIRST_KEY.match(text)
    if key is None:
        return stripped in ("", "{") or (stripped[0] == "{" and not stripped[1:].strip())
    return key[1] in _KEYS if key[2] else any(known.startswith(key[1]) for known in _KEYS)


def _call_in(text: str, names: Mapping[str, Any]) -> tuple[str, str] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found.get("function"), dict):
        found = found["function"]
    name = found.get("name")
    arguments = _arguments_of(found)
    return (name, arguments) if isinstance(name, str) and name in names and arguments else None


def _arguments_of(found: dict[str, Any]) -> str | None:
    """The arguments as JSON text: an object, the text of one, or nothing at all."""
    arguments = found.get("arguments", found.get("parameters"))
    if arguments is None:
        return "{}"
    if isinstance(arguments, dict):
        return json.dumps(arguments, ensure_ascii=False)
    try:
        is_object = isinstance(arguments, str) and isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return None
    return arguments if is_object else None


def _read_tagged(text: str, names: Mapping[str, Any]) -> Reading:
    """What stands between `<tool_call>` and `</tool_call>`."""
    stripped = text.lstrip()
    as_json = not stripped or stripped.startswith("{")
    reading = _read_json(text, names) if as_json else read_tagged(text, names)
    return _ending(reading, ("</tool_call>",))


def _ending(reading: Reading, closers: tuple[str, ...], separator: str = "") -> Reading:
    match reading:
        case Head(name, length, in_object):
            return Head(name, length, in_object, closers, separator)
        case Whole(calls, length):
            return Whole(calls, length, closers, separator)
    return reading


def _pattern_head(
    head: re.Pattern[str], partly: re.Pattern[str], closers: tuple[str, ...]
) -> ReadHead:
    """Reads heads that carry the name in text of their own; `partly` is what may become one."""

    def read(text: str, names: Mapping[str, Any]) -> Reading:
        if found := head.match(text):
            known = found["name"] in names
            return Head(found["name"], found.end(), closers=closers) if known else Verdict.NO
        return Verdict.MORE if partly.fullmatch(text) else Verdict.NO

    return read


_read_named = _pattern_head(
    re.compile(rf"\s*(?P<name>{_NAME})(?:\[CALL_ID\]\w*)?\[ARGS\]\s*(?=\{{)"),
    re.compile(rf"\s*(?:{_NAME}(?:\[[A-Z_]*(?:\]\w*(?:\[[A-Z]*)?)?(?:\]\s*)?)?)?"),
    (),
)


def _read_mistral(text: str, names: Mapping[str, Any]) -> Reading:
    """`[{"name": ..., "arguments": ...}, ...]`, or `name[ARGS]{...}` of newer models."""
    stripped = text.lstrip()
    if not stripped.startswith(("[", "{")):
        return _read_named(text, names)
    skipped = len(text) - len(stripped) + (stripped[0] == "[")
    reading = _ending(_read_json(text[skipped:], names), ("]",), ",")
    match reading:
        case Head(name, length, in_object, closers, separator):
            return Head(name, length + skipped, in_object, closers, separator)
        case Whole(calls, length, closers, separator):
            return Whole(calls, length + skipped, closers, separator)
    return reading


def _read_llama(text: str, names: Mapping[str, Any]) -> Reading:
    """`{"name": ..., "parameters": ...}; {...}`, or `[f(a=1), g()]`."""
    if text.lstrip().startswith("["):
        reading = read_pythonic(text, names)
        return _ending(reading, ("<|python_end|>",))
    return _ending(_read_json(text, names), (), ";")


HERMES = Syntax(_read_tagged, ("<tool_call>",), ("</tool_call>",))
MISTRAL = Syntax(_read_mistral, ("[TOOL_CALLS]",), ("[ARGS]", "[CALL_ID]"))
LLAMA = Syntax(
    _read_llama, ("<|python_tag|>", "<|python_start|>"), ("<|python_end|>",), starters="{["
)
FUNCTION_TAG = Syntax(
    _pattern_head(
        re.compile(rf"(?P<name>{_NAME})>\s*(?=\{{)"),
        re.compile(rf"(?:{_NAME}(?:>\s*)?)?"),
        ("</function>",),
    ),
    ("<function=",),
)
_DEEPSEEK_END = "<｜tool▁call▁end｜>"
_DEEPSEEK_BEGIN = "<｜tool▁call▁begin｜>"
_FENCE = "```json"
DEEPSEEK = Syntax(
    _pattern_head(
        re.compile(
            rf"\s*(?:{_DEEPSEEK_BEGIN})?\s*(?:function<｜tool▁sep｜>)?(?P<name>{_NAME})"
            rf"(?:<｜tool▁sep｜>|\s*{_FENCE})\s*(?:{_FENCE})?\s*(?=\{{)"
        ),
        # Names and marks without spaces around, up to the fence.
        re.compile(
            rf"\s*(?:<[｜\w▁]*(?:>\s*)?)?(?:{_NAME}(?:<[｜\w▁]*>?)?){{0,2}}\s*(?:`{{1,3}}j?s?o?n?)?\s*"
        ),
        ("```", _DEEPSEEK_END, "<｜tool▁calls▁end｜>"),
    ),
    ("<｜tool▁calls▁begin｜>", _DEEPSEEK_BEGIN),
    ("<｜tool▁sep｜>", _DEEPSEEK_END, "<｜tool▁calls▁end｜>"),
)
