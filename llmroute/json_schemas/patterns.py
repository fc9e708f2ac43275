"""Regular expressions of JSON Schema's `pattern`, as expressions that mean the same everywhere.

Taken: literal characters, `.`, classes, `\\d \\w \\s` and their opposites, `\\p{...}`, escapes of
characters (`\\n`, `\\x41`, `\\u0041`, `\\.`), groups, `|`, `? * + {m,n}` (a lazy mark changes
nothing), `^` and `$` where the text may begin or end, look-aheads `(?=...)` and `(?!...)` at the
beginning, behind `^`.
As the standard says, a pattern without `^` and `$` may match anywhere in the text.

Refused: other look-around, back references, word borders, flags.

Where languages disagree about expressions (`\\w` in Unicode), the result matches only what matches
in all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, TypeAlias

from . import charset
from .charset import UNICODE, Ranges
from .refusal import GrammarError

_MAX_LENGTH = 5_000
_MAX_DEPTH = 50
_MAX_COUNT = 100_000
_ASCII: Ranges = ((0x20, 0x7E),)
_DIGITS: Ranges = ((0x30, 0x39),)
_WORD = charset.union(_DIGITS, ((0x41, 0x5A), (0x61, 0x7A)), charset.of("_"))
_SPACE = charset.of(" \t\n\r\f")
_LINE_ENDS = charset.of("\n\r\u2028\u2029")
# The union of what is a space to Python and to JavaScript.
_ANY_SPACE = charset.union(
    ((0x09, 0x0D), (0x1C, 0x20), (0x2000, 0x200A)),
    charset.of("\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"),
)
_CLASSES: dict[str, Ranges] = {
    "d": _DIGITS,
    "w": _WORD,
    "s": _SPACE,
    "D": charset.minus(_ASCII, _DIGITS),
    "W": charset.minus(_ASCII, _WORD),
    "S": charset.minus(UNICODE, _ANY_SPACE),
}
_OUTSIDE: dict[str, Ranges] = {
    # What `[^\\d]` leaves out may be more than what `\\d` takes.
    "d": charset.minus(UNICODE, _CLASSES["D"]),
    "w": charset.minus(UNICODE, _CLASSES["W"]),
    "s": _ANY_SPACE,
    "D": charset.minus(UNICODE, _DIGITS),
    "W": charset.minus(UNICODE, _WORD),
    "S": charset.minus(UNICODE, _SPACE),
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_HEX_LENGTHS = {"x": 2, "u": 4}
_ANYTHING = "(?s:.*)"
_NUL = "\\x{0}"


class WholeText(NamedTuple):
    """What a whole text must be for a pattern to be found in it.

    The expressions are in the syntax of Rust's `regex` crate, without anchors.
    """

    all_of: tuple[str, ...]
    """It matches every one of these."""
    none_of: tuple[str, ...] = ()
    """It matches none of these."""


@functools.lru_cache(maxsize=512)
def whole_text(pattern: str) -> WholeText:
    """What a text must be for `pattern` to be found in it.

    No class takes the character 0: llguidance takes one with all control characters for one of any
    characters. Raises `GrammarError` for what is not taken, with its place.
    """
    if len(pattern) > _MAX_LENGTH:
        raise GrammarError(f"the pattern is longer than {_MAX_LENGTH:,} characters")
    return _Parser(pattern).whole()


def class_text(ranges: Ranges) -> str:
    """A set of characters as a class; `ranges` are not empty."""
    return f"[{_listed(ranges)}]"


@dataclass(frozen=True, slots=True)
class _Text:
    """An expression without anchors."""

    text: str


@dataclass(frozen=True, slots=True)
class _Anchor:
    """`^` or `$`."""

    sign: str


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A look-ahead."""

    inner: _Node
    negative: bool


@dataclass(frozen=True, slots=True)
class _Seq:
    items: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Alt:
    options: tuple[_Seq, ...]


_Node: TypeAlias = _Text | _Anchor | _Ahead | _Seq | _Alt
_BEGIN, _END = _Anchor("^"), _Anchor("$")


class _Parser:
    """Reads one pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> WholeText:
        tree = self._alternatives()
        if self._at < len(self._pattern):
            self._refuse("an unmatched ')'")
        must: list[_Node] = []
        must_not: list[_Node] = []
        if len(tree.options) == 1 and tree.options[0].items[:1] == (_BEGIN,):
            items = list(tree.options[0].items)
            while len(items) > 1 and isinstance(found := items[1], _Ahead):
                (must_not if found.negative else must).append(_Seq((_BEGIN, found.inner)))
                del items[1]
            tree = _Alt((_Seq(tuple(items)),))
        all_of, none_of = (
            tuple(self._full(node, before=True, after=True) for node in nodes)
            for nodes in ([tree, *must], must_not)
        )
        return WholeText(all_of, none_of)

    def _full(self, node: _Node, *, before: bool, after: bool) -> str:
        """`node` as text, with anything before and after it unless an anchor is there."""
        match node:
            case _Alt(options):
                return _group(self._full(each, before=before, after=after) for each in options)
            case _Seq(items):
                return self._full_seq(items, before=before, after=after)
            case _Text(text):
                return f"{_ANYTHING if before else ''}{text}{_ANYTHING if after else ''}"
            case _Ahead():
                what = "a look-ahead that is not at its beginning, behind '^'"
            case _Anchor(sign):
                what = f"a '{sign}' where no text can begin or end"
        return self._refuse(what)

    def _full_seq(self, items: tuple[_Node, ...], *, before: bool, after: bool) -> str:
        while items[:1] == (_BEGIN,):
            before, items = False, items[1:]
        while items[-1:] == (_END,):
            after, items = False, items[:-1]
        if not items:
            return _ANYTHING if before or after else "(?:)"
        last = len(items) - 1
        return "".join(
            self._full(item, before=before and at == 0, after=after and at == last)
            for at, item in enumerate(items)
        )

    def _alternatives(self) -> _Alt:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return _Alt(tuple(options))

    def _sequence(self) -> _Seq:
        items: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            items.append(self._counted(self._atom()))
        return _Seq(tuple(items))

    def _atom(self) -> _Node:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return _Text(self._class())
        if character in "^$":
            return _Anchor(character)
        if character == ".":
            return _Text(class_text(charset.minus(UNICODE, _LINE_ENDS)))
        if character == "\\":
            escaped = self._escaped()
            return _Text(_literal(escaped) if len(escaped) == 1 else f"[{escaped}]")
        if character in "*+?":
            self._refuse(f"nothing before {character!r} to repeat")
        if character == "{" and self._bounds_from(self._at - 1):
            self._refuse("nothing before '{' to repeat")
        return _Text(_literal(character))

    def _group(self) -> _Node:
        negative = self._take("?!")
        ahead = negative or self._take("?=")
        if not ahead and self._take("?") and not self._take(":"):
            self._named()
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse(f"groups nested more than {_MAX_DEPTH} deep")
        inner = self._alternatives()
        if not self._take(")"):
            self._refuse("a group without an end")
        self._depth -= 1
        return _Ahead(inner, negative) if ahead else inner

    def _named(self) -> None:
        """The name of a group, which means nothing without references to it."""
        self._take("P")
        end = self._pattern.find(">", self._at)
        if not self._take("<") or not self._pattern[self._at : end].isidentifier():
            self._refuse("a group of the kind '(?'")
        self._at = end + 1

    def _counted(self, item: _Node) -> _Node:
        bounds = self._bounds()
        if bounds is None:
            return item
        self._take("?")
        if self._peek() in ("*", "+", "?") or self._bounds_from(self._at):
            self._refuse("a repetition of a repetition")
        if isinstance(item, _Anchor | _Ahead):
            self._refuse("a repetition of what is no text")
        low, high = bounds
        text = self._full(item, before=False, after=False)
        one = text if isinstance(item, _Text) else _group([text])
        return _Text(f"{one}{{{low},{'' if high is None else high}}}")

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        found = self._bounds_from(self._at)
        if found is None:
            return None
        self._at = found[2]
        low, high = found[:2]
        if high is not None and high < low:
            self._refuse("a repetition whose bounds are swapped")
        return low, high

    def _bounds_from(self, at: int) -> tuple[int, int | None, int] | None:
        """`{m}`, `{m,}` or `{m,n}`, and where it ends; any other `{` is a character."""
        end = self._pattern.find("}", at)
        if self._pattern[at : at + 1] != "{" or end < 0:
            return None
        first, comma, second = self._pattern[at + 1 : end].partition(",")
        if not _is_digits(first) or (second and not _is_digits(second)):
            return None
        numbers = [int(digits[:9]) for digits in (first, second) if digits]
        if max(numbers) > _MAX_COUNT or max(len(first), len(second)) > 9:
            self._refuse(f"a repetition of more than {_MAX_COUNT:,}")
        return numbers[0], numbers[-1] if second or not comma else None, end + 1

    def _class(self) -> str:
        negative = self._take("^")
        parts: list[str] = []
        while not self._take("]"):
            if not self._peek():
                self._refuse("a class without an end")
            parts.append(self._class_part(negative))
        if not any(parts):
            self._refuse("an empty class")
        return f"[{'^' + _NUL if negative else ''}{''.join(parts)}]"

    def _class_part(self, negative: bool) -> str:
        first = self._class_character(negative)
        following = self._pattern[self._at + 1 : self._at + 2]
        if self._peek() != "-" or following in ("]", ""):
            return _listed(charset.of(first)) if len(first) == 1 else first
        if len(first) > 1:  # `[\w-.]`: a set has no range, so the hyphen is one
            return first
        self._next()
        last = self._class_character(negative)
        if len(last) > 1:
            return _listed(charset.of(f"{first}-")) + last
        if last < first:
            self._refuse("a range in a class whose ends are swapped")
        return _listed(charset.common(((ord(first), ord(last)),), UNICODE))

    def _class_character(self, negative: bool) -> str:
        """One character, or the text of a set."""
        character = self._next()
        if character != "\\":
            return character
        if self._take("b"):
            return "\b"
        if negative and self._peek() in tuple(_OUTSIDE):
            return _listed(_OUTSIDE[self._next()])
        return self._escaped()

    def _escaped(self) -> str:
        """What follows a backslash: one character, or the text of a set within a class."""
        character = self._next()
        if character in _CLASSES:
            return _listed(_CLASSES[character])
        if character in ("p", "P"):
            return self._property(character)
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character in _HEX_LENGTHS:
            return self._hex(_HEX_LENGTHS[character])
        if not character or (character.isalnum() and character.isascii()):
            self._refuse(f"the escape '\\{character}'")
        return character

    def _property(self, kind: str) -> str:
        end = self._pattern.find("}", self._at)
        name = self._pattern[self._at + 1 : end]
        if not self._take("{") or end < 0 or not name.replace("=", "").isidentifier():
            self._refuse(f"the escape '\\{kind}'")
        self._at = end + 1
        return f"\\{kind}{{{name}}}"

    def _hex(self, length: int) -> str:
        if length == 4 and self._take("{"):
            length = max(0, self._pattern.find("}", self._at) - self._at)
            code = self._code(length)
            self._take("}")
        else:
            code = self._code(length)
        if 0xD800 <= code <= 0xDBFF and self._take("\\u"):  # two escapes of one character
            code = 0x10000 + ((code - 0xD800) << 10) + self._code(4) - 0xDC00
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            self._refuse("an escape of what is no character")
        return chr(code)

    def _code(self, length: int) -> int:
        digits = self._pattern[self._at : self._at + length]
        if not 0 < length < 7 or len(digits) != length or not _is_hex(digits):
            self._refuse("an escape without its hexadecimal digits")
        self._at += length
        return int(digits, 16)

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        self._at += len(character)
        return character

    def _take(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _refuse(self, what: str) -> NoReturn:
        raise GrammarError(f"the pattern has {what} (character {self._at})")


def _group(options: Iterable[str]) -> str:
    return f"(?:{'|'.join(options)})"


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _is_hex(text: str) -> bool:
    return set(text) <= set("0123456789abcdefABCDEF")


def _literal(character: str) -> str:
    if 0xD800 <= ord(character) <= 0xDFFF:
        raise GrammarError("the pattern has half a character")
    return character if character.isalnum() else f"\\x{{{ord(character):X}}}"


def _listed(ranges: Ranges) -> str:
    """Ranges as they stand within a class, without the character 0."""
    ranges = charset.minus(ranges, ((0, 0),))
    return "".join(
        f"\\x{{{first:X}}}" if first == last else f"\\x{{{first:X}}}-\\x{{{last:X}}}"
        for first, last in ranges
    )
