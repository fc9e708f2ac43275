"""Grammars in GBNF, llama.cpp's own notation, read and written as Lark."""

from __future__ import annotations

import functools
import re
from typing import NoReturn

from ...json_schemas import charset
from ...json_schemas.charset import UNICODE
from ...json_schemas.refusal import GrammarError
from .gbnf_writer import write_lark
from .tree import Chars, Expr, Lit, Ref, Repeat, Token, alt, seq

_NAME = re.compile(r"[A-Za-z0-9\-]+")
_BLANK = re.compile(r"(?:[ \t]|#[^\r\n]*)+")
_SPACE = re.compile(r"(?:\s|#[^\r\n]*)+")
_BOUNDS = re.compile(r"\{[ \t]*(\d{1,6})[ \t]*(?:(,)[ \t]*(\d{1,6})?)?[ \t]*\}")
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]"}
_HEX_LENGTHS = {"x": 2, "u": 4, "U": 8}
_TOKEN = re.compile(r"(!?)<(?:\[(\d{1,9})\]|([^<>\[\]\s][^<>\s]*))>")
_MAX_DEPTH = 40
_MAX_SIZE = 200_000
_MAX_REPEATS = 100_000


@functools.lru_cache(maxsize=32)
def read_gbnf(text: str) -> str:
    """A grammar in GBNF as Lark.

    The rules are those of https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md, and
    a rule may begin with itself. Raises `GrammarError` with the line of what is wrong.
    """
    if len(text) > _MAX_SIZE:
        raise GrammarError(f"it is longer than {_MAX_SIZE:,} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise GrammarError("it has a text that is not valid Unicode") from None
    return write_lark(_Reader(text).whole())


class _Reader:
    """Reads one grammar from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._used: set[str] = set()

    def whole(self) -> dict[str, Expr]:
        """The rules by their names."""
        defined: dict[str, Expr] = {}
        self._skip(_SPACE)
        while self._at < len(self._text):
            name = self._name()
            self._skip(_BLANK)
            if not self._take("::="):
                self._refuse("expected '::='")
            self._skip(_SPACE)
            defined[name] = self._alternatives()
            if self._text[self._at : self._at + 1] not in ("", "\n", "\r"):
                self._refuse("expected the end of the rule")
            self._skip(_SPACE)
        if "root" not in defined:
            raise GrammarError("there is no rule named root")
        for name in sorted(self._used - defined.keys()):
            raise GrammarError(f"there is no rule named {name!r:.60}")
        return defined

    def _alternatives(self) -> Expr:
        options = [self._sequence()]
        while self._take("|"):
            self._skip(_SPACE)
            options.append(self._sequence())
        return alt(options)

    def _sequence(self) -> Expr:
        parts: list[Expr] = []
        while True:
            self._skip(_SPACE if self._depth else _BLANK)
            item = self._item()
            if item is None:
                return seq(parts)
            parts.append(self._counted(item))

    def _item(self) -> Expr | None:
        character = self._text[self._at : self._at + 1]
        if character == '"':
            return self._literal()
        if character == "[":
            return self._class()
        if character == "(":
            return self._group()
        if character == ".":
            self._at += 1
            return Chars(UNICODE)
        if found := _TOKEN.match(self._text, self._at):
            return self._token(found)
        if _NAME.match(self._text, self._at):
            name = self._name()
            self._used.add(name)
            return Ref(name)
        return None

    def _group(self) -> Expr:
        self._at += 1
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse(f"groups nested more than {_MAX_DEPTH} deep")
        inner = self._alternatives()
        if not self._take(")"):
            self._refuse("expected ')'")
        self._depth -= 1
        return inner

    def _token(self, found: re.Match[str]) -> Expr:
        self._at = found.end()
        negative, number, name = found.groups()
        if negative and number is None:
            self._refuse("a token to leave out that is not given by its number")
        return Token(f"<{name}>" if number is None else f"<[{'^' * bool(negative)}{number}]>")

    def _counted(self, item: Expr) -> Expr:
        repeated = 0
        while True:
            self._skip(_SPACE if self._depth else _BLANK)
            if self._take("*"):
                item = Repeat(item, 0, None)
            elif self._take("+"):
                item = Repeat(item, 1, None)
            elif self._take("?"):
                item = Repeat(item, 0, 1)
            elif bounds := _BOUNDS.match(self._text, self._at):
                self._at = bounds.end()
                item = self._bounded(item, bounds)
            else:
                return item
            repeated += 1
            if repeated > _MAX_DEPTH:
                self._refuse(f"more than {_MAX_DEPTH} repetitions of one thing")

    def _bounded(self, item: Expr, bounds: re.Match[str]) -> Expr:
        low = int(bounds[1])
        high = low if bounds[2] is None else None if bounds[3] is None else int(bounds[3])
        if high is not None and high < low:
            self._refuse("a repetition whose bounds are swapped")
        if max(low, high or 0) > _MAX_REPEATS:
            self._refuse(f"a repetition of more than {_MAX_REPEATS:,}")
        return Repeat(item, low, high)

    def _literal(self) -> Expr:
        self._at += 1
        characters = []
        while not self._take('"'):
            characters.append(self._character())
        return Lit("".join(characters))

    def _class(self) -> Expr:
        self._at += 1
        negative = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            first = last = ord(self._character())
            if self._text[self._at : self._at + 1] == "-" and (
                self._text[self._at + 1 : self._at + 2] != "]"
            ):
                self._at += 1
                last = ord(self._character())
            if last < first:
                self._refuse("a range whose ends are swapped")
            ranges.append((first, last))
        listed = charset.union(tuple(ranges))
        return Chars(
            charset.minus(UNICODE, listed) if negative else charset.common(listed, UNICODE)
        )

    def _character(self) -> str:
        character = self._text[self._at : self._at + 1]
        self._at += 1
        if character in ("", "\n", "\r"):
            self._refuse("a text or class without an end")
        if character != "\\":
            return character
        escape = self._text[self._at : self._at + 1]
        self._at += 1
        if escape in _ESCAPES:
            return _ESCAPES[escape]
        if escape not in _HEX_LENGTHS:
            self._refuse(f"the unknown escape '\\{escape}'")
        return self._code(_HEX_LENGTHS[escape])

    def _code(self, length: int) -> str:
        digits = self._text[self._at : self._at + length]
        self._at += length
        if not re.fullmatch(f"[0-9A-Fa-f]{{{length}}}", digits):
            self._refuse("an escape without its hexadecimal digits")
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            self._refuse("an escape that is no character")
        return chr(code)

    def _name(self) -> str:
        name = _NAME.match(self._text, self._at)
        if name is None:
            self._refuse("expected a name")
        self._at = name.end()
        return name[0]

    def _skip(self, what: re.Pattern[str]) -> None:
        if blank := what.match(self._text, self._at):
            self._at = blank.end()

    def _take(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _refuse(self, problem: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        raise GrammarError(f"line {line}: {problem}")
