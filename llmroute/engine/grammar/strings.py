"""JSON strings as grammar: what may stand between the quotes, and how it is spelled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby

from . import charset
from .charset import UNICODE, Ranges
from .gbnf import Rules
from .tree import EMPTY, Alt, Chars, Expr, GrammarError, Lit, Ref, alt, seq

_CONTROL: Ranges = ((0x00, 0x1F),)
_PLAIN = charset.minus(UNICODE, charset.union(_CONTROL, charset.of('"\\')))
"""What stands for itself."""
_SHORT = '"\\\b\f\n\r\t'
"""What is spelled with a backslash and one character."""
_HEX = Chars(((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)))
_MAX_FACTORED = 40
"""How deep common beginnings of texts are taken out."""


def spelled(text: str) -> str:
    """`text` as it is spelled between the quotes. Raises `GrammarError` for a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise GrammarError(f"{text!r:.100} is not valid Unicode") from None
    return json.dumps(text, ensure_ascii=False)[1:-1]


def one_of(characters: Ranges) -> Expr:
    """One character of a set, as spelled in a string.

    Control characters that have no short escape are left out. Raises `GrammarError` if nothing
    remains.
    """
    plain = charset.common(characters, _PLAIN)
    options: list[Expr] = [Chars(plain)] if plain else []
    options += [Lit(spelled(c)) for c in _SHORT if charset.common(characters, charset.of(c))]
    if not options:
        raise GrammarError("it allows control characters only")
    return alt(options)


def any_character(rules: Rules) -> Ref:
    """Any character in any spelling, but for the halves of surrogate pairs."""
    not_surrogate = Alt(
        (
            seq(Chars(charset.minus(_HEX.ranges, charset.of("dD"))), _HEX, _HEX, _HEX),
            seq(Chars(charset.of("dD")), Chars(((0x30, 0x37),)), _HEX, _HEX),
        )
    )
    escaped = Alt((Chars(charset.of('"\\/bfnrt')), seq("u", not_surrogate)))
    return rules.shared("char", Alt((Chars(_PLAIN), seq("\\", escaped))))


def any_string(rules: Rules) -> Ref:
    """Any string, with its quotes."""
    return rules.shared("string", seq('"', rules.repeat(any_character(rules), 0, None), '"'))


def literals(texts: Iterable[str]) -> Expr:
    """One of several texts.

    Common beginnings are taken out: llama.cpp follows every alternative that is still possible.
    """
    return _factored(sorted(set(texts)), _MAX_FACTORED)


def _factored(texts: Sequence[str], depth: int) -> Expr:
    options: list[Expr] = []
    for first, group in groupby(texts, key=lambda text: text[:1]):
        members = list(group)
        if not first:
            options.append(EMPTY)
        elif len(members) == 1 or not depth:
            options += map(Lit, members)
        else:
            common = _common_beginning(members[0], members[-1])
            rests = [member[len(common) :] for member in members]
            options.append(seq(common, _factored(rests, depth - 1)))
    return alt(options)


def _common_beginning(one: str, other: str) -> str:
    """Of sorted texts, the first and the last have in common what all have."""
    length = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    return one[:length] if length is not None else min(one, other, key=len)


def other_than(rules: Rules, texts: Iterable[str]) -> Expr:
    """Any string but these, without its opening quote. Each character has one spelling in it."""
    character = rules.shared("plain-char", one_of(UNICODE))
    rest = rules.shared("plain-rest", seq(rules.repeat(character, 0, None), '"'))
    root = rules.reserve("other")
    pending = [(root, sorted(set(texts)))]
    while pending:  # names may be longer than Python can recurse
        ref, left = pending.pop()
        rules.define(ref, _next_of(rules, left, rest, pending))
    return root


def _next_of(
    rules: Rules, left: Sequence[str], rest: Ref, pending: list[tuple[Ref, list[str]]]
) -> Expr:
    """What may stand next, where the remainder may be none of the texts that are `left`."""
    if not left:
        return rest
    options: list[Expr] = [] if "" in left else [Lit('"')]
    firsts = {text[0] for text in left if text}
    options.append(seq(one_of(charset.minus(UNICODE, charset.of("".join(firsts)))), rest))
    for first in sorted(firsts):
        tail = rules.reserve("other")
        pending.append((tail, [text[1:] for text in left if text[:1] == first]))
        options.append(seq(spelled(first), tail))
    return alt(options)
