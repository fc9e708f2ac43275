"""What the tokens of a vocabulary begin with, so that a grammar need not be asked about each one.

A grammar that does not allow a byte next allows no token that begins with it, and the same goes for
two bytes. So it is asked about the tokens that are one byte first, then about those of two that
begin with what it allows, and only then about all whose beginning is left: mostly some hundreds,
not a quarter of a million.

That holds for the grammars of `grammar.gbnf`, which has sets of characters and no complements of
them: llama.cpp refuses the first byte of a longer character where a complement leaves out only some
of those that begin so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Ids: TypeAlias = "np.ndarray[Any, np.dtype[np.signedinteger[Any]]]"
Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
Answers: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

_SLICE = 65536
"""Tokens read at a time: more would let running answers wait noticeably."""
_ANY = 0xC000
"""What tokens begin with that are asked about always: ends, those that are not read yet, those that
go on with a character, and those that spell one in more bytes than it needs. No text in UTF-8 has
its first byte."""
_SHORTEST = np.zeros(256, np.uint8)
"""By first byte, where the low six bits of the second must begin to need so many bytes."""
_SHORTEST[[0xC0, 0xC1, 0xE0, 0xF0]] = 0x40, 0x40, 0x20, 0x10


class Beginnings(NamedTuple):
    """What some tokens begin with, as a grammar sees them: control tokens by their names."""

    first: Bytes
    """0 for a token without a text."""
    second: Bytes
    """0 for a token that has none."""
    length: Ids
    """How many bytes there are; negative if more than were read."""
    end: Answers
    """Whether a token ends the answer."""


class FirstBytes:
    """The first bytes of a vocabulary's tokens, read while they are used.

    Nothing is read before it is needed, and then a part each time: a token that is not read yet is
    merely asked about, as it would be without this.
    """

    def __init__(self, size: int, read: Callable[[range], Beginnings]) -> None:
        self._read = read
        self._pairs = np.full(size, _ANY, np.uint16)
        """The first two bytes of each token; the second is 0 where there is none."""
        self._known = 0
        self._singles = self._doubles = np.empty(0, np.int32)
        """Tokens of one byte, and of two."""

    def candidates(self, allows: Callable[[Ids], Answers]) -> Ids:
        """The tokens that may be allowed; no other one is. `allows` asks the grammar about some."""
        self._read_on()
        left = np.ones(2**16, np.bool_)
        by_first = left.reshape(256, 256)
        by_first[self._pairs[self._singles] >> 8] = allows(self._singles)[:, np.newaxis]
        doubles = self._doubles[left[self._pairs[self._doubles]]]
        left[self._pairs[doubles]] = allows(doubles)
        left[_ANY] = True
        return np.flatnonzero(left[self._pairs])

    def _read_on(self) -> None:
        tokens = np.arange(self._known, min(self._known + _SLICE, len(self._pairs)), dtype=np.int32)
        if not len(tokens):
            return
        first, second, length, end = self._read(range(tokens[0], tokens[-1] + 1))
        goes_on = first & 0xC0 == 0x80
        overlong = (length != 1) & (second & 0x3F < _SHORTEST[first])
        always = end | goes_on | overlong
        self._pairs[tokens] = np.where(always, _ANY, first.astype(np.uint16) << 8 | second)
        # Whether a character that begins with the second byte is too long, only the third tells.
        double = (length == 2) & (_SHORTEST[second] == 0)
        self._singles = np.append(self._singles, tokens[(length == 1) & ~always])
        self._doubles = np.append(self._doubles, tokens[double & ~always])
        self._known += len(tokens)
