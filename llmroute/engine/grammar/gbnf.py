"""Grammars as values, and their text in GBNF, the dialect llama.cpp reads.

The text is safe by construction: whatever llama.cpp would reject, crash on or take long for is a
`GrammarError` before it sees any of it. Found by trying, with llama.cpp 0c1e57098: 2,001
repetitions are refused or taken as "any number", groups nested 100,000 deep and chains of 100,000
rules overflow the stack, 10,000 alternatives at one place take seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set as AbstractSet

from .tree import EMPTY, Alt, Chars, Expr, GrammarError, Lit, Ref, Repeat, Seq
from .ways import check_ways

MAX_REPEATS = 10_000
"""The largest bound of a repetition."""
MAX_SIZE = 200_000
"""The largest size of a grammar: characters of its text, and elements of its repetitions."""
_BLOCK = 64
_MAX_NAMED = 1_000
"""Rules of one grammar that can follow each other without a character between them."""


class Rules:
    """The rules of a grammar while it is made."""

    def __init__(self) -> None:
        self._rules: dict[str, Expr] = {}
        self._names: Counter[str] = Counter()

    def reserve(self, hint: str) -> Ref:
        """A new name, for a rule that is defined later: rules may refer to each other."""
        self._names[hint] += 1
        return Ref(f"{hint}-{self._names[hint]}")

    def define(self, ref: Ref, expr: Expr) -> Ref:
        """Say what a reserved name stands for."""
        self._rules[ref.name] = expr
        return ref

    def new(self, hint: str, expr: Expr) -> Ref:
        """A new rule, named after `hint` (letters only)."""
        return self.define(self.reserve(hint), expr)

    def shared(self, name: str, expr: Expr) -> Ref:
        """The rule of this name, which is the same in every grammar."""
        self._rules.setdefault(name, expr)
        return Ref(name)

    def repeat(self, item: Expr, low: int, high: int | None) -> Expr:
        """`item` from `low` to `high` times; `None` is without end.

        Long repetitions are made of blocks, which llama.cpp reads faster and without a limit.
        """
        if max(low, high or 0) > MAX_REPEATS:
            raise GrammarError(f"repeats more than {MAX_REPEATS:,} times are not supported")
        if high == 0:
            return EMPTY
        one = item if isinstance(item, Ref | Chars) else self.new("item", item)
        rest = Repeat(one, 0, None) if high is None else self._up_to(one, high - low)
        return Seq((self._exactly(one, low), rest)) if low else rest

    def _exactly(self, item: Ref | Chars, count: int) -> Expr:
        if count <= _BLOCK:
            return Repeat(item, count, count)
        blocks, rest = divmod(count, _BLOCK)
        return Seq((Repeat(self._block(item), blocks, blocks), Repeat(item, rest, rest)))

    def _up_to(self, item: Ref | Chars, count: int) -> Expr:
        if count <= _BLOCK:
            return Repeat(item, 0, count)
        blocks, rest = divmod(count, _BLOCK)
        block = self._block(item)
        fewer = Seq((Repeat(block, 0, blocks - 1), Repeat(item, 0, _BLOCK - 1)))
        return Alt((fewer, Seq((Repeat(block, blocks, blocks), Repeat(item, 0, rest)))))

    def _block(self, item: Ref | Chars) -> Ref:
        return self.new("block", Repeat(item, _BLOCK, _BLOCK))

    def text(self, root: Expr) -> str:
        """The whole grammar, beginning at `root`.

        Raises `GrammarError` if it is too large, if some rule can never be completed, or if one can
        begin with itself.
        """
        rules = {"root": root, **self._rules}
        if sum(map(_weight, rules.values())) > MAX_SIZE:
            raise GrammarError(f"it makes a grammar of more than {MAX_SIZE:,} elements")
        _check(rules)
        text = "\n".join(f"{name} ::= {_render(expr)}" for name, expr in rules.items()) + "\n"
        if len(text) > MAX_SIZE:
            raise GrammarError(f"it makes a grammar of more than {MAX_SIZE:,} characters")
        return text


def _parts(expr: Expr) -> tuple[Expr, ...]:
    match expr:
        case Seq(parts):
            return parts
        case Alt(options):
            return options
        case Repeat(item):
            return (item,)
    return ()


def _weight(expr: Expr) -> int:
    if isinstance(expr, Repeat):
        return max(expr.low, expr.high or 1)
    if isinstance(expr, Lit):
        return len(expr.text)
    return 1 + sum(map(_weight, _parts(expr)))


def _check(rules: dict[str, Expr]) -> None:
    if not _spreading(rules, nullable=False) >= {"root"}:
        raise GrammarError("nothing can ever match it: it contains itself without an end")
    empty = _spreading(rules, nullable=True)
    for expr in rules.values():
        _check_repeats(expr, empty)
    firsts = {name: set(_firsts(expr, empty)) for name, expr in rules.items()}
    check_ways(rules, _peeled(firsts))


def _spreading(rules: dict[str, Expr], *, nullable: bool) -> set[str]:
    """The rules that match some text, or with `nullable` the empty text."""
    users = _users({name: set(_refs(expr)) for name, expr in rules.items()})
    known: set[str] = set()
    open_ = list(rules)
    while open_:
        name = open_.pop()
        if name not in known and _can(rules[name], known, nullable):
            known.add(name)
            open_ += users[name]
    return known


def _users(uses: Mapping[str, AbstractSet[str]]) -> dict[str, list[str]]:
    """Which rules use a rule."""
    users: dict[str, list[str]] = {name: [] for name in uses}
    for name, used in uses.items():
        for other in used:
            users[other].append(name)
    return users


def _refs(expr: Expr) -> Iterator[str]:
    if isinstance(expr, Ref):
        yield expr.name
    for part in _parts(expr):
        yield from _refs(part)


def _can(expr: Expr, known: set[str], nullable: bool) -> bool:
    match expr:
        case Lit(text):
            return not (nullable and text)
        case Chars(ranges):
            return bool(ranges) and not nullable
        case Ref(name):
            return name in known
        case Seq(parts):
            return all(_can(part, known, nullable) for part in parts)
        case Alt(options):
            return any(_can(option, known, nullable) for option in options)
        case Repeat(item, low):
            return not low or _can(item, known, nullable)


def _check_repeats(expr: Expr, empty: set[str]) -> None:
    if isinstance(expr, Repeat) and expr.high != 1 and _can(expr.item, empty, nullable=True):
        raise GrammarError("it repeats what may be empty")
    for part in _parts(expr):
        _check_repeats(part, empty)


def _firsts(expr: Expr, empty: set[str]) -> Iterator[str]:
    """The rules that `expr` can begin with."""
    match expr:
        case Ref(name):
            yield name
        case Alt(options):
            for option in options:
                yield from _firsts(option, empty)
        case Seq(parts):
            for part in parts:
                yield from _firsts(part, empty)
                if not _can(part, empty, nullable=True):
                    return
        case Repeat(item):
            yield from _firsts(item, empty)


def _peeled(firsts: dict[str, set[str]]) -> list[str]:
    """The rules, each behind those it can begin with. Raises if one begins with itself."""
    users = _users(firsts)
    waits = {name: len(names) for name, names in firsts.items()}
    layer = [name for name, count in waits.items() if not count]
    peeled: list[str] = []
    for _ in range(_MAX_NAMED):
        peeled += layer
        following = []
        for user in (user for name in layer for user in users[name]):
            waits[user] -= 1
            if not waits[user]:
                following.append(user)
        layer = following
    if len(peeled) < len(firsts):
        raise GrammarError("it refers to itself without anything between")
    return peeled


def _render(expr: Expr) -> str:
    match expr:
        case Lit(text):
            return '"' + "".join(map(_in_literal, text)) + '"'
        case Chars(ranges):
            return "[" + "".join(map(_range, ranges)) + "]"
        case Ref(name):
            return name
        case Seq(parts):
            return " ".join(map(_render, parts)) or '""'
        case Alt(options):
            return "(" + " | ".join(map(_render, options)) + ")"
        case Repeat(item, low, high):
            bounds = f"{low}" if low == high else f"{low},{'' if high is None else high}"
            return f"{_render(item)}{{{bounds}}}" if high != 0 else '""'


def _in_literal(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isascii() and character.isprintable() else _code(ord(character))


def _range(range_: tuple[int, int]) -> str:
    first, last = range_
    return _in_class(first) if first == last else f"{_in_class(first)}-{_in_class(last)}"


def _in_class(code: int) -> str:
    return chr(code) if code < 0x80 and chr(code).isalnum() else _code(code)


def _code(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
