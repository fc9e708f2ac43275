"""Whether a stream that is over is whole, and whether an answer has all that was asked for."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

from ..call_site import callers_level
from ..errors import StreamInterruptedError
from ..types.call_info import Answer
from ..types.chat import ChatCompletion
from ..types.request import Request
from ..types.text import TextCompletion, TextRequest
from .assembler import Assembler
from .decoder import Decoder


class MissingChoicesWarning(UserWarning):
    """An answer has fewer choices than were asked for."""


def expected_choices(request: Request, dropped: Collection[str] = ()) -> int:
    """How many choices an answer should have: `n`, for each of the prompts.

    `dropped` are parameters that were not sent.
    """
    n = None if "n" in dropped else request.extra_body.get("n", request.params.get("n"))
    expected = n if isinstance(n, int) and n > 0 else 1
    if isinstance(request, TextRequest) and not isinstance(request.prompt, str):
        expected *= sum(not isinstance(prompt, int) for prompt in request.prompt) or 1
    return expected


def check_whole(decoder: Decoder[Any], collected: Assembler[Any, Any]) -> None:
    """Raises `StreamInterruptedError` if a stream that is over is not whole."""
    if decoder.is_whole:
        warn_of_missing(collected.completion(), collected.expected)
        return
    missing = collected.missing(marked=decoder.done, needs_reasons=decoder.needs_reasons)
    if missing:
        raise StreamInterruptedError(f"The stream ended too early: {missing}.")


def warn_of_missing(answer: Answer, expected: int) -> None:
    """Warns if a whole answer has fewer choices than `expected`."""
    if not isinstance(answer, ChatCompletion | TextCompletion) or len(answer.choices) >= expected:
        return
    warnings.warn(
        f"The answer of {answer.model} has {len(answer.choices)} of the {expected} choices asked "
        "for.",
        MissingChoicesWarning,
        stacklevel=callers_level(),
    )
