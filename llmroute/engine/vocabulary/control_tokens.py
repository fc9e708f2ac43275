"""Control tokens by name, and text in which such a name may stand.

A prompt is written as text: in one part of it the name of a control token is the token, in another
(what a caller wrote) it is only text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .names import NameFinder


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
    names: NameFinder = field(default_factory=lambda: NameFinder(()))
    """Finds any control token's name."""

    @classmethod
    def of(cls, names: Iterable[str], *, bos: str = "", eos: str = "") -> ControlTokens:
        """From the names of all control tokens."""
        return cls(bos, eos, NameFinder(names))
