"""Runs a chat template, within limits of time, memory and output. See `sandbox`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import BadRequestError
from ...runtime import shared
from . import sandbox
from .renderer import Renderers, TemplateOverrunError

_OUTPUT = 4 << 20
"""Characters that a rendering may write, beside four times what it is given."""


def compile_template(source: str) -> Callable[..., str]:
    """A function that renders `source` with the variables it is given as keyword arguments.

    The function raises `BadRequestError` for a template that is no Jinja or fails, with Jinja's own
    words, and `TemplateOverrunError` for one that is stopped.
    """

    def render(**variables: Any) -> str:
        given = _as_json(source, variables)
        most = _OUTPUT + 4 * len(given)
        request = b"[%b, %d]" % (given, most)
        outcome = shared(Renderers).ask(request)
        kind, text = _here(given, most) if outcome is None else outcome
        if kind == sandbox.OK:
            return text
        raise _error(kind, text)

    return render


def _here(given: bytes, most: int) -> tuple[int, str]:
    """As a process of its own would render: the template has copies that it may change."""
    source, variables = json.loads(b"[%b]" % given)
    return sandbox.render(source, variables, most)


def _as_json(source: str, variables: Mapping[str, Any]) -> bytes:
    """The first two items of a request."""
    try:
        given = json.dumps([source, variables], ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequestError(
            f"The chat template can only be given values that JSON has: {error}.",
            param="chat_template_kwargs",
        ) from None
    return given[1:-1].encode("utf-8", "surrogatepass")


def _plain(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is none")


def _error(kind: int, reason: str) -> BadRequestError | TemplateOverrunError:
    if kind == sandbox.REFUSED:
        return BadRequestError(
            f"The model's chat template refuses these messages: {reason}", param="messages"
        )
    if kind == sandbox.INVALID:
        return BadRequestError(
            f"The chat template is no valid Jinja: {reason}. Pass another one as chat_template=.",
            param="chat_template",
        )
    if kind == sandbox.TOO_MUCH:
        return TemplateOverrunError(f"The chat template was stopped: {reason}.")
    return BadRequestError(f"The chat template failed: {reason}", param="chat_template")
