"""A grammar in the dialect of Lark that llguidance reads, while it is written.

Rules have lower case names, terminals upper case ones; a terminal is read as far as it goes.
https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ...json_schemas.matching import lark_regex
from .prepared import prepared

# llguidance would write what can be nothing else in its own choice of tokens, for which it needs
# the tokenizer; so the model chooses them.
OPTIONS = '%llguidance {"no_forcing": true}\n'


class Lark:
    """Collects rules. Its methods return expressions that rules can be made of."""

    def __init__(self, control: Mapping[str, int] | None = None) -> None:
        """`control` are the control tokens that may be written, by their names."""
        self._control = dict(control or {})
        longest_first = sorted(filter(None, self._control), key=len, reverse=True)
        self._names = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        self._rules: dict[str, str] = {}
        self._schemas: dict[str, str] = {}
        self._count: Counter[str] = Counter()

    def rule(self, hint: str, body: str, *, options: str = "") -> str:
        """A new rule, named after `hint` (small letters)."""
        self._count[hint] += 1
        name = f"{hint}_{self._count[hint]}"
        self._rules[name + options] = body
        return name

    def define(self, name: str, body: str) -> None:
        """A rule of this name, which is one that `rule` gives to none."""
        self._rules[name] = body

    def terminal(self, body: str) -> str:
        """A new terminal, made of texts, classes and other terminals."""
        return self.rule("T", body)

    def literal(self, text: str) -> str:
        """Exactly this text; the names of control tokens in it are those tokens."""
        parts = []
        start = 0
        for found in self._names.finditer(text):
            parts += [quoted(text[start : found.start()]), self._token(found[0])]
            start = found.end()
        parts.append(quoted(text[start:]))
        return " ".join(filter(None, parts)) or '""'

    def until(self, end: str) -> str:
        """Any text up to the first `end`, and this."""
        token = self._names.search(end)
        text = end[: token.start()] if token else end
        rest = f" {self.literal(end[token.start() :])}" if token else ""
        if not text:  # no text has the token that ends it
            return f"{lark_regex('(?s:.*)')}{rest}"
        ending = lark_regex(f"(?s:.*){escaped(text)}")
        return f"{self.rule('until', ending, options='[lazy]')}{rest}"

    def json(self, schema: Any, at: str = "#") -> str:
        """A JSON value valid under `schema`, or under its part `at` a pointer such as `#/items`.

        Raises `GrammarError` for one that is not taken.
        """
        text = prepared(schema, at)
        if text not in self._schemas:
            self._schemas[text] = self.rule("json", f"%json {text}")
        return self._schemas[text]

    def finish(self, start: str) -> str:
        """The grammar of what `start` allows."""
        rules = (f"{name}: {body}\n" for name, body in self._rules.items())
        return f"{OPTIONS}start: {start}\n{''.join(rules)}"

    def _token(self, name: str) -> str:
        return f"<[{self._control[name]}]>"


def quoted(text: str) -> str:
    """A text as Lark writes it; `""` for none."""
    return json.dumps(text, ensure_ascii=False) if text else ""


def escaped(text: str) -> str:
    """A text as a regular expression."""
    return "".join(f"\\x{{{ord(character):X}}}" for character in text)
