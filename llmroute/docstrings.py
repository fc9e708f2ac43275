"""What a function's docstring says of the function and of each parameter, in Google's style."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?):[ \t]*$", re.MULTILINE
)
_PARAMETER = re.compile(r"^\*{0,2}(\w+)[ \t]*(?:\([^)\n]*\))?:[ \t]*(.*)$")


def read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The text before the first section, and the entries of `Args:` by parameter."""
    text = inspect.getdoc(function) or ""
    summary, *sections = _SECTION.split(text)
    told: dict[str, str] = {}
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        if title in ("Args", "Arguments", "Parameters"):
            told |= _parameters(inspect.cleandoc(body))
    return summary.strip(), told


def _parameters(body: str) -> dict[str, str]:
    """Entries begin at the margin; what is indented goes on with the one before."""
    told: dict[str, str] = {}
    name = ""
    for line in body.splitlines():
        if found := _PARAMETER.match(line):
            name = found[1]
            told[name] = found[2].strip()
        elif name and line.startswith((" ", "\t")):
            told[name] = f"{told[name]} {line.strip()}".strip()
    return told
