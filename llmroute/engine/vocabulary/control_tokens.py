"""Control tokens by name, and text in which such a name may stand.

A prompt is written as text: in one part of it the name of a control token is the token, in another
(what a caller wrote) it is only text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the prompt that is tokenised on its own."""

    text: str
    parse_special: bool
    """Whether names of control tokens in it are those tokens; if not, they are plain text."""


@dataclass(frozen=True, slots=True)
class ControlTokens:
    """What a model's vocabulary says about control tokens."""

    bos: str = ""
    """How the token that begins a text is written; `""` if there is none."""
    eos: str = ""
    """How the token that ends one is written; `""` if there is none."""
    names: re.Pattern[str] | None = None
    """Finds any control token's name; `None` if there are none."""

    @classmethod
    def of(cls, names: Iterable[str], *, bos: str = "", eos: str = "") -> ControlTokens:
        """From the names of all control tokens."""
        longest_first = sorted(filter(None, names), key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first))
        return cls(bos, eos, re.compile(pattern) if pattern else None)
