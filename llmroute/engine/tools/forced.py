"""The grammar that makes a model call a tool, in its family's own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..grammar.gbnf import Rules
from ..grammar.json_schema import refused, schema_expr
from ..grammar.tree import GrammarError, alt, seq
from .reasoning import Tags
from .syntax import Family

_ROOT = "root ::= "
_MAX_CALLS = 16
"""In one answer, where several are allowed."""


def calls_grammar(family: Family, parameters: Mapping[str, Any], *, parallel: bool) -> str:
    """GBNF text for one call, or with `parallel` several, with arguments valid by their schemas.

    Raises `BadRequestError` for a schema that is not taken.
    """
    rules = Rules()
    calls = []
    for name, schema in parameters.items():
        before, after = family.syntax.around(name)
        try:
            calls.append(seq(before, schema_expr(rules, schema), after))
        except GrammarError as error:
            error.path = f"{error.path or '#'} of {name}'s parameters"
            raise refused(error, "tools") from None
    call = rules.new("call", alt(calls))
    more = rules.repeat(
        seq((family.syntax.between or ""), call), 0, _MAX_CALLS - 1 if parallel else 0
    )
    try:
        return rules.text(seq(family.syntax.begin, call, more, family.syntax.end))
    except GrammarError as error:
        raise refused(error, "tools") from None


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
