"""Rules of a grammar, written as Lark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TypeAlias

from ...json_schemas.matching import lark_regex
from ...json_schemas.patterns import class_text
from ...json_schemas.refusal import GrammarError
from .lark import Lark, quoted
from .lexemes import Lexeme, Shape, decide, has_token, shape_of
from .tree import Alt, Chars, Expr, Lit, Ref, Repeat, Seq, Token, names_in, parts_of

_MAX_RULES = 5_000
_MAX_LEVELS = 300
"""Rules that lead from one to the next: llguidance's stack is finite."""
_NO_CHARACTER = "/[a&&b]/"


def write_lark(rules: Mapping[str, Expr]) -> str:
    """The grammar that begins at the rule `root`.

    Raises `GrammarError` for one that no text matches, or that is too large.
    """
    if len(rules) > _MAX_RULES:
        raise GrammarError(f"it has more than {_MAX_RULES:,} rules")
    _check_productive(rules)
    return _Writer(rules).whole()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part without recursion, which may become one terminal."""

    lexeme: int
    """Its number."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeated:
    item: _Node
    low: int
    high: int | None


_Node: TypeAlias = "_Piece | Ref | Token | _Sequence | _Choice | _Repeated"


class _Writer:
    """Writes one grammar."""

    def __init__(self, rules: Mapping[str, Expr]) -> None:
        self._rules = rules
        self._lark = Lark()
        self._order, self._recursive = _peeled(rules)
        self._shapes: dict[str, Shape] = {}
        for name in self._order:
            self._shapes[name] = shape_of(rules[name], self._shapes.__getitem__)
        self._find_shapes()
        self._lexemes: list[Lexeme] = []
        self._nodes = {name: self._node(rules[name]) for name in self._recursive}
        self._firsts = dict.fromkeys(self._recursive, 0)
        self._find_firsts()
        self._find_followers()
        self._names: dict[tuple[str, bool], str] = {}

    def whole(self) -> str:
        """The text of the grammar."""
        if "root" not in self._recursive:
            self._name_rules([self._rules["root"]], whole=True)
            return self._lark.finish(self._terminal(self._rules["root"]))
        decide(self._lexemes, self._firsts["root"])
        for whole in (True, False):
            self._name_rules([x.expr for x in self._lexemes if x.whole is whole], whole=whole)
        for number, name in enumerate(self._recursive):
            self._names[name, True] = f"r{number}"
        for name in self._recursive:
            self._lark.define(self._names[name, True], self._text(self._nodes[name]))
        return self._lark.finish(self._names["root", True])

    # What may follow what

    def _find_shapes(self) -> None:
        """Of recursive rules: what they begin with, found by going round until nothing is new."""
        users = _users({name: set(names_in(self._rules[name])) for name in self._recursive})
        self._shapes.update(dict.fromkeys(self._recursive, Shape(False, 0, 0, 0)))
        waiting = list(self._recursive)
        while waiting:
            name = waiting.pop()
            found = shape_of(self._rules[name], self._shapes.__getitem__)
            if found != self._shapes[name]:
                self._shapes[name] = found
                waiting += users[name]

    def _node(self, expr: Expr) -> _Node:
        """An expression in pieces: small ones, so that few must be taken apart."""
        match expr:
            case Token():
                return expr
            case Ref(name) if name in self._recursive:
                return expr
            case Seq(parts):
                return _Sequence(tuple(map(self._node, parts)))
            case Alt(options) if not all(isinstance(option, Lit | Chars) for option in options):
                return _Choice(tuple(map(self._node, options)))
            case Repeat(item, low, high) if not self._is_regular(item):
                return _Repeated(self._node(item), low, high)
        self._lexemes.append(Lexeme(expr, shape_of(expr, self._shapes.__getitem__)))
        return _Piece(len(self._lexemes) - 1)

    def _is_regular(self, expr: Expr) -> bool:
        if isinstance(expr, Token):
            return False
        if isinstance(expr, Ref):
            return expr.name not in self._recursive
        return all(map(self._is_regular, parts_of(expr)))

    def _find_firsts(self) -> None:
        """With which lexemes recursive rules begin."""
        users = _users({name: set(names_in(self._rules[name])) for name in self._recursive})
        waiting = list(self._recursive)
        while waiting:
            name = waiting.pop()
            found = self._first(self._nodes[name])
            if found != self._firsts[name]:
                self._firsts[name] = found
                waiting += users[name]

    def _find_followers(self) -> None:
        """Which lexemes may come behind each."""
        follows = dict.fromkeys(self._recursive, 0)
        waiting = list(self._recursive)
        while waiting:
            name = waiting.pop()
            for used, mask in self._spread(self._nodes[name], follows[name]):
                if mask & ~follows[used]:
                    follows[used] |= mask
                    waiting.append(used)

    def _spread(self, node: _Node, followers: int) -> Iterator[tuple[str, int]]:
        """Tells lexemes what follows them, and yields what follows the rules in a node."""
        match node:
            case _Piece(number):
                self._lexemes[number].followers |= followers
            case Ref(name):
                yield name, followers
            case _Choice(options):
                for option in options:
                    yield from self._spread(option, followers)
            case _Repeated(item, _, high):
                again = 0 if high == 1 else self._first(item)
                yield from self._spread(item, followers | again)
            case _Sequence(parts):
                for part in reversed(parts):
                    yield from self._spread(part, followers)
                    followers = self._first(part) | (followers if self._empty(part) else 0)

    def _first(self, node: _Node) -> int:
        """The lexemes that a node begins with."""
        match node:
            case _Piece(number):
                return 1 << number
            case Ref(name):
                return self._firsts[name]
            case _Choice(options):
                return reduce(or_, map(self._first, options))
            case _Repeated(item):
                return self._first(item)
            case _Sequence(parts):
                mask = 0
                for part in parts:
                    mask |= self._first(part)
                    if not self._empty(part):
                        break
                return mask
        return 0

    def _empty(self, node: _Node) -> bool:
        match node:
            case _Piece(number):
                return self._lexemes[number].shape.empty
            case Ref(name):
                return self._shapes[name].empty
            case _Choice(options):
                return any(map(self._empty, options))
            case _Repeated(item, low):
                return not low or self._empty(item)
            case _Sequence(parts):
                return all(map(self._empty, parts))
        return False

    # Text

    def _text(self, node: _Node) -> str:
        match node:
            case _Piece(number):
                lexeme = self._lexemes[number]
                if lexeme.whole:
                    return self._terminal(lexeme.expr)
                return self._expression(lexeme.expr, whole=False)
            case Ref(name):
                return self._names[name, True]
            case Token(text):
                return text
            case _Choice(options):
                return f"({' | '.join(map(self._text, options))})"
            case _Repeated(item, low, high):
                return _times(self._text(item), low, high)
            case _Sequence(parts):
                return " ".join(map(self._text, parts)) or '""'

    def _terminal(self, expr: Expr) -> str:
        """The name of a terminal for what has no recursion."""
        return self._lark.terminal(self._expression(expr, whole=True))

    def _expression(self, expr: Expr, *, whole: bool) -> str:
        match expr:
            case Lit(text):
                return quoted(text) if whole or len(text) < 2 else _each(text)
            case Chars(ranges):
                return lark_regex(class_text(ranges)) if ranges else _NO_CHARACTER
            case Ref(name):
                return self._names[name, whole]
            case Seq(parts):
                texts = (self._expression(part, whole=whole) for part in parts)
                return f"({' '.join(filter(None, texts))})" if any(parts) else '""'
            case Alt(options):
                texts = (self._expression(option, whole=whole) for option in options)
                return f"({' | '.join(texts)})"
            case Repeat(item, low, high):
                return _times(self._expression(item, whole=whole), low, high)
            case Token(text):
                return text

    def _name_rules(self, exprs: Iterable[Expr], *, whole: bool) -> None:
        """Write the rules without recursion that some expressions need, whole or spelled."""
        needed = {name for expr in exprs for name in names_in(expr)}
        for name in reversed(self._order):
            if name in needed:
                needed.update(names_in(self._rules[name]))
        for name in self._order:
            if name in needed:
                text = self._expression(self._rules[name], whole=whole)
                made = self._lark.terminal(text) if whole else self._lark.rule("spelled", text)
                self._names[name, whole] = made


def _each(text: str) -> str:
    return f"({' '.join(quoted(character) for character in text)})"


def _times(item: str, low: int, high: int | None) -> str:
    return f"({item}){{{low},{'' if high is None else high}}}" if high != 0 else '""'


def _check_productive(rules: Mapping[str, Expr]) -> None:
    """Raises `GrammarError` if no text matches `root`."""
    users = _users({name: set(names_in(expr)) for name, expr in rules.items()})
    known: set[str] = set()
    waiting = list(rules)
    while waiting:
        name = waiting.pop()
        if name not in known and _ends(rules[name], known):
            known.add(name)
            waiting += users[name]
    if "root" not in known:
        raise GrammarError("nothing can ever match it: it contains itself without an end")


def _ends(expr: Expr, known: set[str]) -> bool:
    match expr:
        case Chars(ranges):
            return bool(ranges)
        case Ref(name):
            return name in known
        case Alt(options):
            return any(_ends(option, known) for option in options)
        case Seq(parts):
            return all(_ends(part, known) for part in parts)
        case Repeat(item, low):
            return not low or _ends(item, known)
    return True


def _users(uses: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Which rules use a rule."""
    users: defaultdict[str, list[str]] = defaultdict(list)
    for name, used in uses.items():
        for other in used:
            users[other].append(name)
    return users


def _peeled(rules: Mapping[str, Expr]) -> tuple[list[str], dict[str, None]]:
    """The rules without recursion, each behind those it uses, and the others in their order.

    A rule that a token is part of counts as one with recursion: tokens are no part of terminals.
    """
    uses = {name: set(names_in(expr)) for name, expr in rules.items()}
    users = _users(uses)
    waits = {name: len(used) for name, used in uses.items()}
    layer = [name for name, count in waits.items() if not count and not has_token(rules[name])]
    order: list[str] = []
    for _ in range(_MAX_LEVELS):
        order += layer
        following = []
        for user in (user for name in layer for user in users[name]):
            waits[user] -= 1
            if not waits[user] and not has_token(rules[user]):
                following.append(user)
        layer = following
    recursive = dict.fromkeys(name for name in rules if name not in set(order))
    if layer or len(recursive) > _MAX_LEVELS:
        raise GrammarError(f"more than {_MAX_LEVELS} of its rules lead from one to the next")
    return order, recursive
