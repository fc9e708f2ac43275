"""The grammar that makes a model call a tool, in its family's own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..grammar import charset
from ..grammar.gbnf import Rules
from ..grammar.json_schema import refused
from ..grammar.tree import Chars, Expr, GrammarError, alt, seq
from .forced_arguments import arguments_expr
from .reasoning import Tags
from .syntax import Family, Syntax

_ROOT = "root ::= "
_MAX_CALLS = 16
"""In one answer, where several are allowed."""


def calls_grammar(family: Family, parameters: Mapping[str, Any], *, parallel: bool) -> str:
    """GBNF text for one call, or with `parallel` several, with arguments valid by their schemas.

    Raises `BadRequestError` for a schema that is not taken.
    """
    rules, syntax = Rules(), family.syntax
    calls = []
    for name, schema in parameters.items():
        try:
            arguments = arguments_expr(rules, syntax, schema)
            calls.append(seq(_before(rules, syntax, name), arguments, syntax.after))
        except GrammarError as error:
            error.path = f"{error.path or '#'} of {name}'s parameters"
            raise refused(error, "tools") from None
    call = rules.new("call", alt(calls))
    most = _MAX_CALLS - 1 if parallel and syntax.between is not None else 0
    more = rules.repeat(seq(syntax.between or "", call), 0, most)
    try:
        return rules.text(seq(syntax.begin, call, more, syntax.end))
    except GrammarError as error:
        raise refused(error, "tools") from None


def _before(rules: Rules, syntax: Syntax, name: str) -> Expr:
    """What stands before the arguments, with any number of the call."""
    first, *others = syntax.before.replace("{name}", name).split("{index}")
    number = rules.repeat(Chars(charset.of("0123456789")), 1, 2)
    return seq(first, *(part for other in others for part in (number, other)))


def after_thinking(grammar: str, tags: Tags) -> str:
    """A grammar for an answer that begins within the thinking: the rest of it, then the answer.

    The thinking cannot have the first character of the end tag but before another character than
    the tag's second, which any model can do without.
    """
    first, second = (f"\\U{ord(character):08X}" for character in tags.end[:2])
    end = "".join(f"\\U{ord(character):08X}" for character in tags.end)
    thought = f'([^{first}] | "{first}" [^{first}{second}])*'
    answer = grammar.replace(_ROOT, "answer ::= ", 1)
    return f'{_ROOT}{thought} "{end}" [ \\n]{{0,4}} answer\n{answer}'
