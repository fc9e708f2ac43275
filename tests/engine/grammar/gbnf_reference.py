"""What the rules of a grammar mean, computed in the plainest way."""

from __future__ import annotations

from collections.abc import Mapping

from llmroute.engine.grammar.tree import Alt, Chars, Expr, Lit, Ref, Repeat, Seq


class Reference:
    """Finds where the texts of each rule may end, going round until nothing is new."""

    def __init__(self, rules: Mapping[str, Expr]) -> None:
        self._rules = rules

    def matches(self, text: str) -> bool:
        """Whether a whole text is one of the rule `root`."""
        self._text = text
        starts = range(len(text) + 1)
        self._known: dict[tuple[str, int], frozenset[int]] = {
            (name, start): frozenset() for name in self._rules for start in starts
        }
        while True:
            found = {
                (name, start): self._ends(self._rules[name], frozenset({start}))
                for name, start in self._known
            }
            if found == self._known:
                return len(text) in self._known["root", 0]
            self._known = found

    def _ends(self, expr: Expr, starts: frozenset[int]) -> frozenset[int]:
        text = self._text
        match expr:
            case Lit(literal):
                return frozenset(at + len(literal) for at in starts if text.startswith(literal, at))
            case Chars(ranges):
                fits = (at for at in starts if at < len(text))
                return frozenset(
                    at + 1 for at in fits if any(a <= ord(text[at]) <= b for a, b in ranges)
                )
            case Ref(name):
                return frozenset().union(*(self._known[name, at] for at in starts))
            case Seq(parts):
                for part in parts:
                    starts = self._ends(part, starts)
                return starts
            case Alt(options):
                return frozenset().union(*(self._ends(option, starts) for option in options))
            case Repeat(item, low, high):
                return self._repeated(item, low, high, starts)
        raise AssertionError(expr)

    def _repeated(
        self, item: Expr, low: int, high: int | None, starts: frozenset[int]
    ) -> frozenset[int]:
        for _ in range(low):
            starts = self._ends(item, starts)
        total = starts
        more = len(self._text) + 1 if high is None else high - low
        for _ in range(more):
            starts = self._ends(item, starts)
            total |= starts
        return total
