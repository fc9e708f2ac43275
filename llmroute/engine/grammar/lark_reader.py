"""Grammars that callers write in llguidance's own Lark."""

from __future__ import annotations

import json
import re

from ...json_schemas.refusal import GrammarError
from .lark import OPTIONS
from .prepared import prepared

_MAX_SIZE = 200_000
_MAX_RULES = 500
"""Rules may lead from one to the next, and llguidance's stack is finite."""
_RULE = re.compile(r"^[ \t]*[?!]?[A-Za-z_][\w\-]*[^\n:\"/]*:", re.MULTILINE)
_JSON = "%json"
# Texts, expressions and comments, in which the word means nothing.
_SCANNED = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|/(?![/*])(?:[^/\\\n]|\\.)+/|//[^\n]*|#[^\n]*|(?P<json>%json\s*)'
)


def read_lark(text: str) -> str:
    """A caller's grammar, with its JSON schemas treated as any other schema.

    Raises `GrammarError` for one that is too large, or a schema that is not taken.
    """
    if len(text) > _MAX_SIZE:
        raise GrammarError(f"it is longer than {_MAX_SIZE:,} characters")
    if len(_RULE.findall(text)) > _MAX_RULES:
        raise GrammarError(f"it has more than {_MAX_RULES} rules")
    parts: list[str] = [OPTIONS]
    at = schemas = 0
    while found := _SCANNED.search(text, at):
        parts.append(text[at : found.end()])
        at = found.end()
        if found["json"] is not None:
            schema, at = _schema_at(text, at)
            parts.append(schema)
            schemas += 1
    if text.count(_JSON) != schemas:
        raise GrammarError(f"{_JSON} stands in a text, an expression or a comment")
    return "".join([*parts, text[at:]])


def _schema_at(text: str, at: int) -> tuple[str, int]:
    try:
        schema, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        raise GrammarError(f"what stands behind {_JSON} is no JSON") from None
    return prepared(schema), end
