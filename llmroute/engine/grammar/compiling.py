"""Grammars made ready by llguidance, within bounds of time and memory."""

from __future__ import annotations

import functools
import re
from typing import Any

from ...json_schemas.matching import library
from ...json_schemas.refusal import GrammarError

MAX_LENGTH = 4_000_000
"""Characters of a grammar."""
_PLACE = re.compile(r"^at \d+\(\d+\): |failed to compile JSON schema: |while processing .*")


def check(grammar: str) -> None:
    """Raises `GrammarError` for a grammar that llguidance does not take."""
    if len(grammar) > MAX_LENGTH:
        raise GrammarError(f"it makes a grammar of more than {MAX_LENGTH:,} characters")
    made = library().LLMatcher.grammar_from_lark(grammar)
    problem = library().LLMatcher.validate_grammar(made, None, limits=_limits())
    if problem and not problem.startswith("WARNING"):
        raise GrammarError(_in_short(problem))


def compiled(grammar: str, tokens: Any) -> Any:
    """The matcher of a grammar that was checked, for the vocabulary `tokens`."""
    made = library().LLMatcher.grammar_from_lark(grammar)
    return library().LLMatcher(tokens, made, log_level=0, limits=_limits())


def problem_of(matcher: Any) -> str:
    """Why a matcher cannot go on; `""` if it can."""
    return _in_short(matcher.get_error()) if matcher.is_error() else ""


def _in_short(problem: str) -> str:
    """The first line: what follows is the grammar itself."""
    return _PLACE.sub("", problem.split("\n")[0])[:300].strip() or "it is not taken"


@functools.cache
def _limits() -> Any:
    """Found by trying: with these, no schema or grammar takes more than half a second to compile,
    or a tenth of a second and 100 MB on its way."""
    return library().LLParserLimits(
        initial_lexer_fuel=5_000_000,
        max_items_in_row=10_000,
        step_max_items=100_000,
        max_lexer_states=50_000,
        verbose_errors=False,
    )
