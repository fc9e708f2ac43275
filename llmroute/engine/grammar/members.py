"""Objects and arrays as grammar: members in their order, some of which may be missing.

The rules are a chain, one for each member, so their size grows with the number of members, not
with the number of ways to leave some out; and what all ways on begin with (the comma and the quote)
stands before the fork, as llama.cpp follows every way that is still possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set as AbstractSet

from .gbnf import Rules
from .json_values import bracketed, comma, space
from .strings import other_than, spelled
from .tree import EMPTY, Alt, Expr, GrammarError, maybe, seq


def object_of(
    rules: Rules,
    members: Mapping[str, Expr],
    required: AbstractSet[str],
    extra: Expr | None,
    taken: AbstractSet[str],
) -> Expr:
    """An object of these members in this order, then any others with the value `extra`.

    `taken` are the names no other may have.
    """
    colon = seq(space(rules), ":", space(rules))
    separator = seq(comma(rules), '"')
    # A member without its opening quote, and all that may follow; then what follows a member.
    chain, following = _extras(rules, extra, taken, colon, separator)
    needed = False
    for name, value in reversed(list(members.items())):
        own = seq(f'{spelled(name)}"', colon, value, following)
        needed = needed or name in required
        skip = [] if name in required or chain is None else [chain]
        chain = rules.new("members", Alt((own, *skip)))
        following = seq(separator, chain) if needed else maybe(seq(separator, chain))
    if chain is None:
        return seq("{", space(rules), "}")
    return bracketed(rules, "{", seq('"', chain), "}", some=needed)


def _extras(
    rules: Rules, extra: Expr | None, taken: AbstractSet[str], colon: Expr, separator: Expr
) -> tuple[Expr | None, Expr]:
    if extra is None:
        return None, EMPTY
    member = rules.new("extra", seq(other_than(rules, taken), colon, extra))
    more = rules.repeat(seq(separator, member), 0, None)
    return rules.new("members", seq(member, more)), more


def array_of(
    rules: Rules, first: Sequence[Expr], rest: Expr | None, low: int, high: int | None
) -> Expr:
    """An array of `first` in their order, then any number of `rest`, with `low` to `high` items."""
    if rest is None:
        high = len(first) if high is None else min(high, len(first))
    if high is not None and low > high:
        raise GrammarError("minItems asks for more items than there can be")
    if high == 0:
        return seq("[", space(rules), "]")
    positions = len(first) if high is None else min(high, len(first))
    following: Expr = EMPTY
    items: Expr = EMPTY
    if rest is not None and high != positions:
        most = None if high is None else high - positions
        items, following = _rest(rules, rest, max(0, low - positions), most)
    for position in reversed(range(positions)):
        items = rules.new("items", seq(first[position], following))
        after = seq(comma(rules), items)
        following = after if low > position else maybe(after)
    return bracketed(rules, "[", items, "]", some=low > 0)


def _rest(rules: Rules, rest: Expr, low: int, high: int | None) -> tuple[Expr, Expr]:
    """Items that begin an array, and items behind others."""
    more = rules.new("more", seq(comma(rules), rest))
    fewer = None if high is None else high - 1
    return seq(rest, rules.repeat(more, max(0, low - 1), fewer)), rules.repeat(more, low, high)
