"""Checks of single values, for load options and for parameters of a call.

Nothing reaches llama.cpp that did not pass one: a number out of range can end the process there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
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


def number(low: float, high: float) -> Check:
    """A finite number from `low` to `high`."""

    def check(name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad(name, f"must be a number, not {value!r}")
        if not low <= value <= high:  # also refuses NaN
            raise bad(name, f"must be from {low:g} to {high:g}, not {value!r}")
        return float(value)

    return check


def positive(name: str, value: object) -> float:
    """A finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad(name, f"must be a number, not {value!r}")
    if not 0 < value < math.inf:
        raise bad(name, f"must be a finite number above 0, not {value!r}")
    return float(value)


def path(name: str, value: object) -> str:
    """A path, made absolute."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise bad(name, f"must be a path, not {value!r}")
    return str(Path(value).expanduser().absolute())


def one_of(*names: str, numbers: Mapping[int, str | None] | None = None) -> Check:
    """One of some names; `numbers` are those that llama.cpp gives them."""

    def check(name: str, value: object) -> str | None:
        if numbers and type(value) is int and value in numbers:
            return numbers[value]
        if value not in names:
            raise bad(name, f"must be one of {', '.join(names)}, not {value!r}")
        return str(value)

    return check


def unless(neutral: Callable[[Any], bool], check: Check) -> Check:
    """As `check`, but values that llama-cpp-python takes for the model's own are `None`."""

    def checked(name: str, value: Any) -> Any:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return None if plain and neutral(value) else check(name, value)

    return checked
