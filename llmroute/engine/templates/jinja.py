"""Runs a chat template: Jinja as Hugging Face's transformers sets it up, in a sandbox.

A template comes out of a model file and is untrusted (CVE-2024-34359): it cannot reach Python's
objects, change what it is given, or fill the memory. It can loop for a long time, as any template.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sized
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Environment, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ...errors import BadRequestError

_MAX_OUTPUT = 1 << 26
"""Characters a template may write, or make by repetition: well beyond any context window."""


class RefusalError(TemplateError):
    """The template called `raise_exception`: it does not take these messages."""


class _Generation(Extension):
    """`{% generation %}`, which marks the assistant's words for training; here only its content."""

    tags = {"generation"}  # noqa: RUF012  (Jinja's own declaration)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or _repeated(left, right) > _MAX_OUTPUT:
            raise SecurityError("it repeats a text too often, or computes a power")
        return super().call_binop(context, operator, left, right)


def _repeated(left: Any, right: Any) -> int:
    """How long the product of a text or list and a number is; 0 for other products."""
    if isinstance(left, int) and isinstance(right, Sized):
        return left * len(right)
    return right * len(left) if isinstance(right, int) and isinstance(left, Sized) else 0


def _raise_exception(message: str) -> NoReturn:
    raise RefusalError(message)


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is; Jinja's own filter escapes it for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = _Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


@lru_cache(maxsize=64)
def compile_template(source: str) -> Callable[..., str]:
    """A function that renders `source` with the variables it is given as keyword arguments.

    Raises `BadRequestError` for a template that is no Jinja; so does the function when the template
    fails, with Jinja's own words.
    """
    try:
        template = _environment().from_string(source)
    except TemplateSyntaxError as exc:
        raise BadRequestError(
            f"The chat template is no valid Jinja: {exc.message} (line {exc.lineno}). Pass another "
            "one as chat_template=.",
            param="chat_template",
        ) from exc
    except RecursionError as exc:
        raise BadRequestError(
            "The chat template is nested too deeply.", param="chat_template"
        ) from exc

    def render(**variables: Any) -> str:
        pieces, size = [], 0
        try:
            for piece in template.generate(variables):
                size += len(piece)
                if size > _MAX_OUTPUT:
                    raise SecurityError(f"it writes more than {_MAX_OUTPUT:,} characters")
                pieces.append(piece)
        except RefusalError as exc:
            raise BadRequestError(
                f"The model's chat template refuses these messages: {exc}", param="messages"
            ) from exc
        except Exception as exc:  # a template is a stranger's program: anything may come
            raise BadRequestError(
                f"The chat template failed: {exc or type(exc).__name__}", param="chat_template"
            ) from exc
        return "".join(pieces)

    return render
