"""What form an answer must have: a grammar, JSON, calls of tools. Checked before anything runs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import BadRequestError, UnsupportedParamsError
from ...json_schemas.matching import lark_regex
from ...json_schemas.patterns import whole_text
from ...json_schemas.refusal import GrammarError
from ..grammar.compiling import check
from ..grammar.gbnf_reader import read_gbnf
from ..grammar.lark import Lark
from ..grammar.lark_reader import read_lark
from ..grammar.prepared import prepared
from ..tools.definitions import Tools

PARAMS = frozenset({"grammar", "parallel_tool_calls", "response_format", "tool_choice", "tools"})
"""The parameters it is made of."""
_LARK = "%llguidance"
"""What a grammar in Lark begins with, as llama.cpp's own programs want it."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of the answers to one request."""

    grammar: str | None = None
    """Text in llguidance's Lark, the whole of the answer."""
    schema: Any = None
    """JSON schema of the answer; `None` leaves it free."""
    tools: Tools | None = None
    """What may be called; `None`: nothing."""

    @property
    def is_held(self) -> bool:
        """Whether a grammar holds the model to anything."""
        called = self.tools is not None and self.tools.forced
        return self.grammar is not None or self.schema is not None or called

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> Form:
        """From the parameters in `PARAMS`.

        Raises `BadRequestError` for a grammar, a schema or a tool that is not taken, and
        `UnsupportedParamsError` for a grammar beside another form.
        """
        tools = Tools.parse(params)
        written = params.get("grammar")
        form = cls() if params.get("response_format") is None else _response(params)
        if written is not None and (tools is not None or form.is_held):
            raise UnsupportedParamsError(
                "llamacpp takes no grammar beside tools or response_format in a call.",
                param="grammar",
            )
        if tools is not None and form.grammar is not None:
            raise UnsupportedParamsError(
                "llamacpp takes only JSON as the response_format beside tools.",
                param="response_format",
            )
        form = cls(form.grammar if written is None else _grammar(written), form.schema, tools)
        if params.get("ignore_eos") and form.is_held:
            raise _bad("ignore_eos", "cannot be combined with a form that ends")
        if tools is not None and form.is_held:
            _check_tools(tools)
        return form


def refused(error: GrammarError, param: str) -> BadRequestError:
    """What a caller is told about a schema that is not taken."""
    place = f" at {error.path}" if error.path else ""
    return BadRequestError(
        f"llamacpp cannot hold a model to this JSON schema: {error}{place}.", param=param
    )


def _response(params: Mapping[str, Any]) -> Form:
    """The form under `response_format`."""
    response = params["response_format"]
    match response:
        case {"type": "text"}:
            return Form()
        case {"type": "json_object", "schema": schema} if schema is not None:
            return Form(schema=_schema(schema))
        case {"type": "json_object"}:
            return Form(schema={"type": "object"})
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return Form(schema=_schema(schema))
        case {"type": "json_schema"}:
            raise _bad("response_format", 'needs {"json_schema": {"name": ..., "schema": ...}}')
        case {"type": "regex", "pattern": str() as pattern}:
            return Form(_regex(pattern))
        case {"type": "grammar", "grammar": written}:
            return Form(_grammar(written, "response_format"))
    raise _bad(
        "response_format",
        'must have the type "text", "json_object", "json_schema", "regex" (with "pattern") or '
        f'"grammar" (with "grammar"), not {response!r:.100}',
    )


def _schema(schema: Any) -> Any:
    """A schema that is taken."""
    try:
        _check_schema(schema)
    except GrammarError as error:
        raise refused(error, "response_format") from None
    return schema


def _check_tools(tools: Tools) -> None:
    for name, schema in tools.parameters.items():
        try:
            _check_schema(schema)
        except GrammarError as error:
            error.path = f"{error.path or '#'} of {name}'s parameters"
            raise refused(error, "tools") from None


def _check_schema(schema: Any) -> None:
    _check_prepared(prepared(schema))


@functools.lru_cache(maxsize=256)
def _check_prepared(text: str) -> None:
    check(Lark().finish(f"%json {text}"))


def _regex(pattern: str) -> str:
    try:
        (expression, *more), none_of = whole_text(pattern)
        if more or none_of:
            raise GrammarError("the pattern has a look-ahead, which only JSON schemas may have")
        return _checked(Lark().finish(lark_regex(expression)))
    except GrammarError as error:
        raise _bad("response_format", f"is not taken: {error}") from None


def _grammar(written: Any, param: str = "grammar") -> str:
    """A caller's grammar as Lark."""
    if not isinstance(written, str) or not written.strip():
        raise _bad(param, "must be a grammar, in GBNF or (beginning with %llguidance) in Lark")
    try:
        is_lark = written.lstrip().startswith(_LARK)
        return _checked(read_lark(written) if is_lark else read_gbnf(written))
    except GrammarError as error:
        raise _bad(param, f"is not taken: {error}") from None


@functools.lru_cache(maxsize=64)
def _checked(grammar: str) -> str:
    check(grammar)
    return grammar


def _bad(name: str, problem: str) -> BadRequestError:
    return BadRequestError(f"llamacpp: {name} {problem}.", param=name)
