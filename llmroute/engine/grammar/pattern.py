"""Regular expressions (a subset of JSON Schema's `pattern`) as grammar of a JSON string.

Taken: literal characters, `.`, classes, `\\d \\w \\s` and their opposites, escapes of characters
(`\\n`, `\\x41`, `\\u0041`, `\\.`), groups, `|`, `? * + {m,n}` (a lazy mark changes nothing), `^` at
the beginning and `$` at the end of the pattern or of an alternative outside groups. As the standard
says, a pattern without them may match anywhere in the string.

Refused: look-around, back references, named groups, word borders, `\\p{...}`, flags.

Where languages disagree about expressions (`\\w` in Unicode), the grammar writes only what matches
in all of them.
"""

from __future__ import annotations

from typing import NoReturn

from . import charset
from .charset import UNICODE, Ranges
from .gbnf import Rules
from .strings import any_character, one_of, spelled
from .tree import Expr, GrammarError, Lit, alt, seq

_MAX_LENGTH = 2_000
_MAX_DEPTH = 30
_MAX_COUNT_DIGITS = 6
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


def string_like(rules: Rules, pattern: str) -> Expr:
    """A JSON string, with its quotes, in which `pattern` is found.

    Raises `GrammarError` for what is not taken, with its place.
    """
    if len(pattern) > _MAX_LENGTH:
        raise GrammarError(f"the pattern is longer than {_MAX_LENGTH:,} characters")
    return seq('"', _Parser(rules, pattern).whole(), '"')


class _Parser:
    """Reads one pattern from left to right."""

    def __init__(self, rules: Rules, pattern: str) -> None:
        self._rules = rules
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> Expr:
        options = [self._anchored()]
        while self._take("|"):
            options.append(self._anchored())
        if self._at < len(self._pattern):
            self._refuse("an unmatched ')'")
        return alt(options)

    def _anchored(self) -> Expr:
        anything = self._rules.repeat(any_character(self._rules), 0, None)
        before = [] if self._take("^") else [anything]
        middle = self._sequence()
        after = [] if self._take("$") else [anything]
        if self._peek() not in ("", "|", ")"):
            self._refuse("'$' before the end")
        return seq(*before, middle, *after)

    def _alternatives(self) -> Expr:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return alt(options)

    def _sequence(self) -> Expr:
        parts: list[Expr] = []
        while self._peek() not in ("", "|", ")", "$"):
            parts.append(self._counted(self._atom()))
        return seq(*parts)

    def _atom(self) -> Expr:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return one_of(self._class())
        if character == ".":
            return one_of(charset.minus(UNICODE, _LINE_ENDS))
        if character == "\\":
            escaped = self._escaped()
            return Lit(spelled(escaped)) if isinstance(escaped, str) else one_of(escaped)
        if character in "*+?{":
            self._refuse(f"nothing before {character!r} to repeat")
        if character == "^":
            self._refuse("'^' behind the beginning")
        return Lit(spelled(character))

    def _group(self) -> Expr:
        if self._take("?") and not self._take(":"):
            self._refuse("a group of the kind '(?'")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse(f"groups nested more than {_MAX_DEPTH} deep")
        inner = self._alternatives()
        if self._peek() == "$":
            self._refuse("'$' in a group")
        if not self._take(")"):
            self._refuse("a group without an end")
        self._depth -= 1
        return inner

    def _counted(self, item: Expr) -> Expr:
        bounds = self._bounds()
        if bounds is None:
            return item
        self._take("?")
        if self._peek() in ("*", "+", "{"):
            self._refuse("a repetition of a repetition")
        low, high = bounds
        if high is not None and high < low:
            self._refuse("a repetition whose bounds are swapped")
        return self._rules.repeat(item, low, high)

    def _bounds(self) -> tuple[int, int | None] | None:
        if self._take("*"):
            return 0, None
        if self._take("+"):
            return 1, None
        if self._take("?"):
            return 0, 1
        if not self._take("{"):
            return None
        low = self._count()
        high = (self._count() if self._peek() != "}" else None) if self._take(",") else low
        if low is None or not self._take("}"):
            self._refuse("a '{' that begins no repetition (write \\{)")
        return low, high

    def _count(self) -> int | None:
        start = self._at
        while self._peek() in tuple("0123456789"):
            self._at += 1
        if self._at - start > _MAX_COUNT_DIGITS:
            self._refuse("a repetition that is too large")
        return int(self._pattern[start : self._at]) if self._at > start else None

    def _class(self) -> Ranges:
        negative = self._take("^")
        parts: list[Ranges] = []
        while not self._take("]"):
            if self._peek() in ("", "["):
                self._refuse("a class without an end, or a '[' in one (write \\[)")
            parts.append(self._class_part(negative))
        if not parts:
            self._refuse("an empty class")
        listed = charset.union(*parts)
        return charset.minus(UNICODE, listed) if negative else listed

    def _class_part(self, negative: bool) -> Ranges:
        first = self._class_character(negative)
        following = self._pattern[self._at + 1 : self._at + 2]
        if self._peek() != "-" or following == "]":
            return charset.of(first) if isinstance(first, str) else first
        self._next()
        last = self._class_character(negative)
        if not (isinstance(first, str) and isinstance(last, str) and first <= last):
            self._refuse("a range in a class that is none")
        return charset.common(((ord(first), ord(last)),), UNICODE)

    def _class_character(self, negative: bool) -> str | Ranges:
        character = self._next()
        if character != "\\":
            return character
        if self._take("b"):
            return "\b"
        if negative and self._peek() in tuple(_OUTSIDE):
            return _OUTSIDE[self._next()]
        return self._escaped()

    def _escaped(self) -> str | Ranges:
        """What follows a backslash."""
        character = self._next()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character in _HEX_LENGTHS:
            return self._hex(_HEX_LENGTHS[character])
        if not character or (character.isalnum() and character.isascii()):
            self._refuse(f"the escape '\\{character}'")
        return character

    def _hex(self, length: int) -> str:
        digits = self._pattern[self._at : self._at + length]
        if len(digits) != length or not set(digits) <= set("0123456789abcdefABCDEF"):
            self._refuse("an escape without its hexadecimal digits")
        self._at += length
        return chr(int(digits, 16))

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        self._at += len(character)
        return character

    def _take(self, character: str) -> bool:
        if self._peek() != character:
            return False
        self._at += 1
        return True

    def _refuse(self, what: str) -> NoReturn:
        raise GrammarError(f"the pattern has {what} (character {self._at})")
