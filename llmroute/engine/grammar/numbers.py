"""JSON numbers as grammar, within bounds."""

from __future__ import annotations

from .gbnf import Rules
from .tree import Alt, Chars, Expr, GrammarError, Lit, Repeat, alt, maybe, seq

LARGEST = 10**18 - 1
"""The largest integer written; there is no grammar for "any number of digits" that ends."""
_LARGEST_EXCLUSIVE = 10**6
"""Above, a float cannot tell a bound from its neighbours of nine decimals."""
_DIGIT = Chars(((0x30, 0x39),))
_NOT_ZERO = Chars(((0x31, 0x39),))


def integer(low: int | None, high: int | None) -> Expr:
    """An integer from `low` to `high`; `None` is no bound. Raises `GrammarError` if none is."""
    low = -LARGEST if low is None else max(low, -LARGEST)
    high = LARGEST if high is None else min(high, LARGEST)
    if low > high:
        raise GrammarError(f"no integer is possible (of up to {len(str(LARGEST))} digits)")
    options: list[Expr] = []
    if high >= 0:
        options.append(_between(max(low, 0), high))
    if low < 0:
        options.append(seq("-", _between(max(1, -high), -low)))
    return alt(options)


def any_integer(rules: Rules) -> Expr:
    """Any integer of up to 18 digits."""
    return rules.shared("integer", integer(None, None))


def any_number(rules: Rules) -> Expr:
    """Any number that a float can hold."""
    fraction = seq(".", Repeat(_DIGIT, 1, 17))
    exponent = seq(
        Chars(((0x45, 0x45), (0x65, 0x65))), maybe(Alt((Lit("+"), Lit("-")))), Repeat(_DIGIT, 1, 2)
    )
    whole = Alt((Lit("0"), seq(_NOT_ZERO, Repeat(_DIGIT, 0, 17))))
    return rules.shared("number", seq(maybe(Lit("-")), whole, maybe(fraction), maybe(exponent)))


def number(low: int | None, high: int | None, *, above: bool, below: bool) -> Expr:
    """A number from `low` to `high`, with up to nine decimals and no exponent.

    `above` and `below` leave out the bound itself. Raises `GrammarError` if there is none.
    """
    for bound, exclusive in ((low, above), (high, below)):
        if bound is not None and exclusive and abs(bound) > _LARGEST_EXCLUSIVE:
            raise GrammarError(
                f"exclusive bounds of numbers beyond {_LARGEST_EXCLUSIVE:,} are not supported"
            )
    floor, above = (-LARGEST, False) if low is None else (max(low, -LARGEST), above)
    ceiling, below = (LARGEST, False) if high is None else (min(high, LARGEST), below)
    options: list[Expr] = []
    if ceiling >= 0:
        at_zero = floor < 0
        options += _decimal(max(floor, 0), ceiling, above and not at_zero, below)
    if floor < 0:
        at_zero = ceiling >= 0
        options += [
            seq("-", option)
            for option in _decimal(max(-ceiling, 0), -floor, at_zero or below, above)
        ]
    if not options:
        raise GrammarError("no number is possible within these bounds")
    return alt(options)


def _decimal(low: int, high: int, above: bool, below: bool) -> list[Expr]:
    """What a number without sign from `low` to `high` may look like."""
    fraction = maybe(seq(".", Repeat(_DIGIT, 1, 9)))
    zeros = maybe(seq(".", Repeat(Chars(((0x30, 0x30),)), 1, 9)))
    more_than_zero = seq(".", Repeat(Chars(((0x30, 0x30),)), 0, 4), _NOT_ZERO, Repeat(_DIGIT, 0, 4))
    if low > high or (low == high and (above or below)):
        return []
    if low == high:
        return [seq(str(low), zeros)]
    options = [seq(str(low), more_than_zero if above else fraction)]
    if high - low > 1:
        options.append(seq(_between(low + 1, high - 1), fraction))
    if not below:
        options.append(seq(str(high), zeros))
    return options


def _between(low: int, high: int) -> Expr:
    """The integers from `low` to `high`, none negative."""
    options = []
    for length in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (length - 1) if length > 1 else 0)
        last = min(high, 10**length - 1)
        options.append(_same_length(str(first), str(last)))
    return alt(options)


def _same_length(low: str, high: str) -> Expr:
    if low == high:
        return Lit(low)
    rest = len(low) - 1
    if low == "0" * len(low) and high == "9" * len(high):
        return Repeat(_DIGIT, len(low), len(low))
    if not rest:
        return Chars(((ord(low), ord(high)),))
    if low[0] == high[0]:
        return seq(low[0], _same_length(low[1:], high[1:]))
    options = [seq(low[0], _same_length(low[1:], "9" * rest))]
    if ord(high[0]) - ord(low[0]) > 1:
        middle = Chars(((ord(low[0]) + 1, ord(high[0]) - 1),))
        options.append(seq(middle, Repeat(_DIGIT, rest, rest)))
    options.append(seq(high[0], _same_length("0" * rest, high[1:])))
    return alt(options)
