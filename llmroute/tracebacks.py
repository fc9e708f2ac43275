"""Tracebacks that fit on a screen: the caller's lines, and none of this package's.

With the environment variable `LLMROUTE_DEBUG=1` they stay whole, for a bug report.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from .errors import LLMRouteError


def shorten(error: LLMRouteError) -> LLMRouteError:
    """Forgets where in this package `error` and what caused it were raised, and returns it.

    The causes themselves stay, each with its class and text.
    """
    if os.environ.get("LLMROUTE_DEBUG", "") in ("", "0"):
        for link in _causes(error):
            link.__traceback__ = None
    return error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and its causes. What was being handled meanwhile may be the caller's: left alone."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


class ShortTracebacks:
    """A `with` block out of which our errors come with a short traceback; others come as they are.

    What the caller did wrong in Python's terms, an interrupt, and a bug of ours keep theirs.
    """

    def __enter__(self) -> None:
        """Does nothing: there is no state, and one instance serves every call."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, LLMRouteError):
            shorten(error)


short_tracebacks = ShortTracebacks()
