"""Checks of single values, for load options and for parameters of a call.

Nothing reaches llama.cpp that did not pass one: a number out of range can end the process there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ..errors import BadRequestError

Check: TypeAlias = Callable[[str, Any], Any]
"""Takes a name and a value; returns the value, or raises `BadRequestError` naming both."""


def bad(name: str, problem: str) -> BadRequestError:
    """The error for a value that cannot be."""
    return BadRequestError(f"llamacpp: {name} {problem}.", param=name)


def integer(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""

    def check(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise bad(name, f"must be an integer from {low} to {high}, not {value!r}")
        return value

    return check


def switch(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise bad(name, f"must be True or False, not {value!r}")
    return value
