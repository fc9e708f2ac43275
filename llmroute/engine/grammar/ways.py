"""In how many ways a grammar can go on at one place.

llama.cpp follows all of them at once, and those that skip what is optional it follows again for
every character: `(a?){60}` thirty times over takes seconds for a single token, `a?` nine hundred
times 0.7 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .tree import Alt, Chars, Expr, GrammarError, Lit, Ref, Repeat, Seq

_MAX_WAYS = 5_000
"""Ways on at one place."""
_MAX_SKIPS = 200
"""Of these, those that skip something optional."""
_ENOUGH = _MAX_WAYS * 1_000
"""Where counting ends."""


def check_ways(rules: Mapping[str, Expr], order: Sequence[str]) -> None:
    """Raises `GrammarError` for too many ways; `order` has rules behind those they begin with."""
    counts: dict[str, tuple[int, int]] = {}
    for name in order:
        counts[name] = _count(rules[name], counts)
    for expr in rules.values():
        _check(expr, counts)


def _check(expr: Expr, counts: Mapping[str, tuple[int, int]]) -> None:
    match expr:
        case Seq(parts):
            for start, part in enumerate(parts):
                ways = _count_seq(parts, counts, start)[0]
                skips = ways - _count(part, counts)[0]
                if ways > _MAX_WAYS or skips > _MAX_SKIPS:
                    raise _too_many()
                _check(part, counts)
        case Alt(options):
            for option in options:
                _check(option, counts)
            if _count(expr, counts)[0] > _MAX_WAYS:
                raise _too_many()


def _too_many() -> GrammarError:
    return GrammarError("it has too much that is optional, or too many alternatives, in one place")


def _count(expr: Expr, counts: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Ways to a first character, and ways past all of it."""
    match expr:
        case Lit(text):
            return (1, 0) if text else (0, 1)
        case Chars():
            return 1, 0
        case Ref(name):
            return counts[name]
        case Repeat(item, low, high):
            ways, past = _count(item, counts) if high != 0 else (0, 1)
            return ways, past if low else 1
        case Alt(options):
            each = [_count(option, counts) for option in options]
            return sum(ways for ways, _ in each), sum(past for _, past in each)
        case Seq(parts):
            return _count_seq(parts, counts)


def _count_seq(
    parts: Sequence[Expr], counts: Mapping[str, tuple[int, int]], start: int = 0
) -> tuple[int, int]:
    ways, past = 0, 1
    for position in range(start, len(parts)):
        own, through = _count(parts[position], counts)
        ways = min(ways + past * own, _ENOUGH)
        past = min(past * through, _ENOUGH)
        if not past:
            break
    return ways, past
