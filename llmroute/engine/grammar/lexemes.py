"""Which pieces of a grammar may be terminals of llguidance.

A terminal is read as far as it goes: in `[a-z]* "b"` the first one would take the `b` too, and the
second never come. So a piece is a terminal only if what may follow it cannot belong to it, or to
another terminal that begins alike. All others are written character by character.

Sets of characters are numbers here, a bit for each of the first 256 and one for all others. What is
found is never less than there is, so a piece may be taken apart needlessly, but none is left whole
that must not be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from ...json_schemas.charset import Ranges
from .tree import Alt, Chars, Expr, Lit, Ref, Repeat, Seq, Token, parts_of

_OTHERS = 256
_TOKENS = 1 << _OTHERS + 1
"""A token that is no text: nothing else is like it."""
_MAX_PAIRS = 100_000
"""Lexemes that may begin at one place; where there are more, all are taken apart."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What can be said of the texts of an expression."""

    empty: bool
    """Whether the empty text is one."""
    first: int
    """Characters they begin with."""
    chars: int
    """All that they have."""
    more: int
    """Characters that can come behind a text so that it may become another one."""


NOTHING = Shape(True, 0, 0, 0)
Known = Callable[[str], Shape]


def shape_of(expr: Expr, known: Known) -> Shape:
    """The shape of an expression; `known` gives that of a rule."""
    match expr:
        case Lit(text):
            if not text:
                return NOTHING
            chars = reduce(or_, (_bit(ord(character)) for character in text))
            return Shape(False, _bit(ord(text[0])), chars, 0)
        case Chars(ranges):
            return Shape(False, bits := _bits(ranges), bits, 0)
        case Token():
            return Shape(False, _TOKENS, _TOKENS, 0)
        case Ref(name):
            return known(name)
        case Alt(options):
            return _alternatives([shape_of(option, known) for option in options])
        case Seq(parts):
            return reduce(_after, (shape_of(part, known) for part in parts), NOTHING)
        case Repeat(item, low, high):
            return _repeated(shape_of(item, known), low, high)


def _alternatives(shapes: Sequence[Shape]) -> Shape:
    first = chars = more = 0
    clear = True
    for shape in shapes:
        clear &= not first & shape.first
        first, chars, more = first | shape.first, chars | shape.chars, more | shape.more
    return Shape(any(shape.empty for shape in shapes), first, chars, more if clear else chars)


def _after(one: Shape, two: Shape) -> Shape:
    chars = one.chars | two.chars
    clear = not one.more & two.first
    more = two.more | (two.first | one.more if two.empty else 0)
    first = one.first | (two.first if one.empty else 0)
    if one.empty and one.first & two.first:
        clear = False
    return Shape(one.empty and two.empty, first, chars, more if clear else chars)


def _repeated(item: Shape, low: int, high: int | None) -> Shape:
    if high == 0:
        return NOTHING
    if high == 1:
        return Shape(item.empty or not low, item.first, item.chars, item.more)
    clear = not item.more & item.first
    again = 0 if low == high else item.first
    more = item.more | again if clear else item.chars
    return Shape(item.empty or not low, item.first, item.chars, more)


def _bit(code: int) -> int:
    return 1 << min(code, _OTHERS)


def _bits(ranges: Ranges) -> int:
    bits = 0
    for first, last in ranges:
        low, high = min(first, _OTHERS), min(last, _OTHERS)
        bits |= (1 << high + 1) - (1 << low)
    return bits


@dataclass(eq=False, slots=True)
class Lexeme:
    """A piece of a grammar that has no recursion."""

    expr: Expr
    shape: Shape
    followers: int = 0
    """The lexemes that may come behind it, a bit for each in the order of the grammar's list."""
    whole: bool = True
    """Whether it may be a terminal."""


def decide(lexemes: Sequence[Lexeme], first: int) -> None:
    """Set which of the lexemes may stay whole; `first` are those that a text may begin with."""
    for lexeme in lexemes:
        own = lexeme.shape.more | (lexeme.shape.first if lexeme.shape.empty else 0)
        behind = _characters_behind(lexemes, lexeme) if own else 0
        lexeme.whole = not own & behind
    while True:
        together = _together(lexemes, first)
        greedy = lexemes if together is None else _greedy(lexemes, together)
        changed = [lexeme for lexeme in greedy if lexeme.whole]
        if not changed:
            return
        for lexeme in changed:
            lexeme.whole = False


def numbers_in(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _characters_behind(lexemes: Sequence[Lexeme], lexeme: Lexeme) -> int:
    """The characters that may come behind it, or behind any character of one taken apart."""
    behind = 0 if lexeme.whole else lexeme.shape.chars
    return reduce(or_, (lexemes[at].shape.first for at in numbers_in(lexeme.followers)), behind)


def _beginning(lexeme: Lexeme) -> int:
    """The characters that it may begin with, or any part of one taken apart."""
    return lexeme.shape.first if lexeme.whole else lexeme.shape.chars


def _together(lexemes: Sequence[Lexeme], first: int) -> list[int] | None:
    """For each lexeme those that may begin where it does; `None` for too many to tell."""
    followers = [
        lexeme.followers | (0 if lexeme.whole else 1 << number)
        for number, lexeme in enumerate(lexemes)
    ]
    together = [0] * len(lexemes)
    waiting: list[tuple[int, int]] = []

    def add(ones: int, others: int) -> None:
        for one in numbers_in(ones):
            new = others & ~together[one]
            together[one] |= new
            waiting.extend((one, other) for other in numbers_in(new))

    if sum(map(int.bit_count, followers)) > _MAX_PAIRS:
        return None
    add(first, first)
    for _ in range(_MAX_PAIRS):
        if not waiting:
            return together
        if len(waiting) > _MAX_PAIRS:
            return None
        one, other = waiting.pop()
        # What the same text may be: what follows either begins at the same place.
        if _beginning(lexemes[one]) & _beginning(lexemes[other]):
            add(followers[one], followers[other])
    return None


def _greedy(lexemes: Sequence[Lexeme], together: Sequence[int]) -> list[Lexeme]:
    """Terminals that may swallow what comes behind another that begins where they do."""
    behind = [_characters_behind(lexemes, lexeme) for lexeme in lexemes]
    beginning = [_beginning(lexeme) for lexeme in lexemes]

    def swallows(lexeme: Lexeme, others: int) -> bool:
        first, chars = lexeme.shape.first, lexeme.shape.chars
        return any(
            first & beginning[other]
            and chars & behind[other]
            and lexemes[other].expr != lexeme.expr
            for other in numbers_in(others)
        )

    return [
        lexeme
        for lexeme, others in zip(lexemes, together, strict=True)
        if lexeme.whole and not _is_one_character(lexeme.expr) and swallows(lexeme, others)
    ]


def _is_one_character(expr: Expr) -> bool:
    return isinstance(expr, Chars) or (isinstance(expr, Lit) and len(expr.text) == 1)


def has_token(expr: Expr) -> bool:
    """Whether a token of the vocabulary is part of it."""
    return isinstance(expr, Token) or any(map(has_token, parts_of(expr)))
