"""What form an answer must have: a grammar, JSON, calls of tools. Checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import BadRequestError, UnsupportedParamsError
from ..grammar.gbnf_reader import read_gbnf
from ..grammar.json_schema import json_grammar, json_object_grammar
from ..grammar.tree import GrammarError
from ..tools.definitions import Tools

PARAMS = frozenset({"grammar", "parallel_tool_calls", "response_format", "tool_choice", "tools"})
"""The parameters it is made of."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of the answers to one request."""

    grammar: str | None = None
    """GBNF text that llama.cpp takes; `None` leaves the model free."""
    may_think: bool = False
    """Whether thinking may come before what the grammar holds the model to."""
    tools: Tools | None = None
    """What may be called; `None`: nothing."""

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> Form:
        """From the parameters in `PARAMS`.

        Raises `BadRequestError` for a grammar, a schema or a tool that is not taken, and
        `UnsupportedParamsError` for two forms at once.
        """
        tools = Tools.parse(params)
        grammar = params.get("grammar")
        response = params.get("response_format")
        made = None if response is None else _response_grammar(response)
        if sum((tools is not None, grammar is not None, made is not None)) > 1:
            raise UnsupportedParamsError(
                "llamacpp takes only one of tools, response_format and grammar in a call.",
                param="response_format" if made is not None else "grammar",
            )
        forced = tools is not None and tools.forced
        if params.get("ignore_eos") and (grammar is not None or made is not None or forced):
            raise _bad("ignore_eos", "cannot be combined with a form that ends")
        if grammar is not None:
            return cls(_checked(grammar))
        return cls(made, made is not None, tools)


def _checked(grammar: Any) -> str:
    if not isinstance(grammar, str) or not grammar.strip():
        raise _bad("grammar", "must be a grammar in GBNF")
    try:
        return read_gbnf(grammar)
    except GrammarError as error:
        raise _bad("grammar", f"is not taken: {error}") from None


def _response_grammar(response: Any) -> str | None:
    kind = response.get("type") if isinstance(response, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return json_object_grammar()
    if kind != "json_schema":
        raise _bad(
            "response_format",
            f'must have the type "text", "json_object" or "json_schema", not {response!r:.100}',
        )
    described = response.get("json_schema")
    if not isinstance(described, Mapping) or "schema" not in described:
        raise _bad("response_format", 'needs {"json_schema": {"name": ..., "schema": ...}}')
    return json_grammar(described["schema"])


def _bad(name: str, problem: str) -> BadRequestError:
    return BadRequestError(f"llamacpp: {name} {problem}.", param=name)
