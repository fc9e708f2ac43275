"""Calls written as Python: `[get_weather(city="Paris"), now()]`."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from .calls import Reading, Verdict, Whole

_MAX_LENGTH = 100_000
_BEGINS = re.compile(r"\s*\[\s*(?:([A-Za-z_][\w.\-]*)\s*(\()?)?")


def read_pythonic(text: str, names: Mapping[str, Any]) -> Reading:
    """A list of calls with keyword arguments; complete, as Python is read as a whole.

    Every function must be known and every argument a literal; else it is no list of calls.
    """
    begins = _BEGINS.match(text)
    if begins is None:
        return Verdict.MORE if not text.strip() else Verdict.NO
    if begins[2] is None:
        return Verdict.MORE if begins.end() == len(text) else Verdict.NO
    if begins[1] not in names or len(text) > _MAX_LENGTH:
        return Verdict.NO
    end = _list_end(text)
    if end is None:
        return Verdict.MORE
    calls = _calls_in(text[:end].strip(), names)
    return Whole(calls, end) if calls else Verdict.NO


def _list_end(text: str) -> int | None:
    depth, quote, escaped = 0, "", False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if not depth:
                return position + 1
    return None


def _calls_in(text: str, names: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
    # Names of functions may have dashes, which Python reads as minus.
    dashed = {name: name.replace("-", "_") for name in names if "-" in name}
    for name, plain in dashed.items():
        text = re.sub(rf"(?<![\w.\"']){re.escape(name)}\(", f"{plain}(", text)
    original = {plain: name for name, plain in dashed.items()}
    try:
        tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.List):
            return None
        return tuple(_call(node, names, original) for node in tree.elts)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def _call(node: ast.expr, names: Mapping[str, Any], original: dict[str, str]) -> tuple[str, str]:
    """Name and arguments. Raises `ValueError` or `TypeError` if it is no such call."""
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError
    written = ast.unparse(node.func)
    name = original.get(written, written)
    if name not in names:
        raise ValueError
    arguments = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ValueError
        arguments[keyword.arg] = _literal(keyword.value)
    return name, json.dumps(arguments, ensure_ascii=False, allow_nan=False)


_JSON_NAMES = {"true": True, "false": False, "null": None}


def _literal(node: ast.expr) -> object:
    """A literal of Python or JSON; models mix them."""
    if isinstance(node, ast.Name) and node.id in _JSON_NAMES:
        return _JSON_NAMES[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        keys = [ast.literal_eval(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_literal, node.values), strict=True))
    return ast.literal_eval(node)
