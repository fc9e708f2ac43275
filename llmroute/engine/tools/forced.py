"""The grammar that makes a model call a tool, in its family's own way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...json_schemas.refusal import GrammarError
from ..grammar.lark import Lark
from .forced_arguments import pairs_grammar
from .reasoning import Tags
from .syntax import Syntax

_MAX_CALLS = 16
"""In one answer, where several are allowed."""
_SPACE = "/[ \\n]/{0,4}"
_INDEX = "{index}"
_NUMBER = "/[0-9]{1,2}/"


def calls_grammar(
    lark: Lark, syntax: Syntax, parameters: Mapping[str, Any], *, parallel: bool
) -> str:
    """What allows one call, or with `parallel` several, with arguments valid by their schemas.

    Raises `GrammarError` for a schema that is not taken.
    """
    first = _one_of(lark, syntax, parameters, syntax.begin)
    more = ""
    if parallel and syntax.between is not None:
        # As one text with what follows it: `end` may begin with the same characters, and llguidance
        # reads a text as far as it goes.
        more = f"{_one_of(lark, syntax, parameters, syntax.between)}{{0,{_MAX_CALLS - 1}}}"
    return lark.rule("calls", f"{first} {more} {lark.literal(syntax.end)}")


def text_grammar(lark: Lark, text: str, syntax: Syntax | None) -> str:
    """What allows an answer that is no call, with what its family writes around it."""
    before, after = syntax.around_text if syntax else ("", "")
    return lark.rule("text", f"{lark.literal(before)} {text} {lark.literal(after)}")


def with_thinking(lark: Lark, answer: str, tags: Tags, syntax: Syntax | None, *, open: bool) -> str:
    """What allows an answer, and thinking before it: the rest of it if the prompt began it."""
    between = lark.literal(syntax.after_thinking) if syntax and syntax.after_thinking else _SPACE
    rest = f"{lark.until(tags.end)} {between}"
    if open:
        return f"{rest} ({answer})"
    thought = lark.rule("thinking", f"{lark.literal(tags.begin)} {rest}")
    return f"{thought}? ({answer})"


def _one_of(lark: Lark, syntax: Syntax, parameters: Mapping[str, Any], prefix: str) -> str:
    """One call, with what stands before it."""
    calls = []
    for name, schema in parameters.items():
        try:
            calls.append(_call(lark, syntax, name, schema, prefix))
        except GrammarError as error:
            error.path = f"{error.path or '#'} of {name}'s parameters"
            raise
    return lark.rule("call", " | ".join(calls))


def _call(lark: Lark, syntax: Syntax, name: str, schema: Any, prefix: str) -> str:
    before, after = syntax.before.replace("{name}", name), syntax.after
    # Where a JSON answer may stand instead of the call, both must be read as JSON.
    if not syntax.begin and (key := _last_key(before, after)) is not None:
        whole = lark.json(_call_as_json(before, after, key, schema), "#/$defs/call")
        return lark.rule("one", f"{lark.literal(prefix)} {whole}")
    before = prefix + before
    if syntax.pairs is not None:
        arguments = pairs_grammar(lark, syntax.pairs, after, schema)
        return lark.rule("one", f"{_numbered(lark, before)} {arguments}")
    return lark.rule("one", f"{_numbered(lark, before)} {lark.json(schema)} {lark.literal(after)}")


def _numbered(lark: Lark, text: str) -> str:
    """A text in which the number of the call may stand."""
    return f" {_NUMBER} ".join(map(lark.literal, text.split(_INDEX)))


def _last_key(before: str, after: str) -> str | None:
    """The key of the arguments in a call that is one JSON object; `None` for any other."""
    try:
        found = json.loads(f"{before}null{after}")
    except ValueError:
        return None
    is_call = isinstance(found, dict) and list(found.values())[-1:] == [None]
    return list(found)[-1] if is_call else None


def _call_as_json(before: str, after: str, key: str, schema: Any) -> Any:
    """The schema of a call, with that of its arguments beside it, so that its pointers hold."""
    texts: dict[str, Any] = json.loads(f"{before}null{after}")
    properties: dict[str, Any] = {name: {"const": text} for name, text in texts.items()}
    properties[key] = {"$ref": "#"}
    call = {"type": "object", "properties": properties, "required": list(properties)}
    whole: dict[str, Any] = {**schema} if isinstance(schema, Mapping) else {"allOf": [schema]}
    return {**whole, "$defs": {**whole.get("$defs", {}), "call": call}}
