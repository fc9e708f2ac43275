"""Values as models write them, made into valid JSON while they come.

What is JSON stays as it is written. The rest is what models do write: line breaks within strings,
single quotes, Python's names, keys without quotes, a comma too many or too few.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from json.encoder import encode_basestring

from .pieces import Piece
from .source import Emit, Source, Steps

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NAMES = {"true": "true", "false": "false", "null": "null"}
_PYTHON_NAMES = {"True": "true", "False": "false", "None": "null"}


def quoted(text: str) -> str:
    """`text` as a JSON string."""
    return encode_basestring(text)


def escaped(text: str) -> str:
    """`text` as it stands within a JSON string."""
    return quoted(text)[1:-1]


def literal(word: str) -> str | None:
    """A number, or a name of JSON or Python, as JSON; `None` if `word` is neither."""
    if _NUMBER.fullmatch(word):
        return word
    return _NAMES.get(word) or _PYTHON_NAMES.get(word)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How values are written."""

    quotes: tuple[str, ...] = ('"', "'")
    """What may stand around a string with escapes."""
    raw_quotes: tuple[str, ...] = ()
    """What may stand around a string without any."""
    brackets: str = "{}[]"
    """Opening and closing, by pairs; other than `{` each begins a list."""
    between: str = ":"
    """What may stand between key and value."""
    escape: Callable[[Source], Steps[str]] | None = None
    """Reads what follows a backslash in a string, as JSON text; `None`: as JSON has it."""

    @property
    def key(self) -> re.Pattern[str]:
        """A key without quotes."""
        return re.compile(rf"[^\s,{re.escape(self.brackets + self.between)}]+")

    @property
    def bare(self) -> re.Pattern[str]:
        """A value without quotes."""
        return re.compile(rf"[^,{re.escape(self.brackets)}]+")


_HEX = re.compile(r"[0-9a-fA-F]{0,8}")


def _json_escape(source: Source) -> Steps[str]:
    character = yield from source.peek()
    if character in ("'", ""):
        return source.take(1)
    if character not in '"\\/bfnrtu':
        return "\\\\"  # a path, or a pattern: the backslash is meant
    source.take(1)
    return f"\\{character}" if character != "u" else (yield from _hex(source, 4, "u"))


def _hex(source: Source, length: int, kind: str) -> Steps[str]:
    """The character whose code follows; what is written, if none does."""
    digits = ""
    while len(digits) < length:
        character = yield from source.peek()
        if not character or not _HEX.fullmatch(character):
            return escaped(f"\\{kind}{digits}")
        digits += source.take(1)
    if kind == "u":
        return f"\\u{digits}"
    code = int(digits, 16)
    return escaped(chr(code)) if code < 0x110000 else escaped(f"\\{kind}{digits}")


_PYTHON_ESCAPES = {
    **{"n": "\\n", "r": "\\r", "t": "\\t", "b": "\\b", "f": "\\f", "a": "\\u0007", "v": "\\u000b"},
    **{"\\": "\\\\", '"': '\\"', "'": "'", "\n": "", "0": "\\u0000"},
}
_PYTHON_CODES = {"x": 2, "u": 4, "U": 8}


def _python_escape(source: Source) -> Steps[str]:
    character = yield from source.peek()
    if length := _PYTHON_CODES.get(character):
        source.take(1)
        return (yield from _hex(source, length, character))
    if character not in _PYTHON_ESCAPES:
        return "\\\\"
    source.take(1)
    return _PYTHON_ESCAPES[character]


JSON = Dialect()
PYTHON = Dialect(
    quotes=('"""', "'''", '"', "'"),
    brackets="{}[]()",
    between=":=",
    escape=_python_escape,
)


class _Next(Enum):
    """What a value reader waits for."""

    VALUE = auto()
    KEY = auto()
    BETWEEN = auto()
    COMMA = auto()


def read_value(source: Source, emit: Emit, dialect: Dialect = JSON) -> Steps[bool]:
    """Give a value to `emit` as valid JSON, piece by piece; `False` if the text ended before it."""
    return (yield from _Values(source, emit, dialect).run())


class _Values:
    """Reads one value with all that it holds, without recursion."""

    def __init__(self, source: Source, emit: Emit, dialect: Dialect) -> None:
        self._source = source
        self._emit = emit
        self._dialect = dialect
        self._closers: list[str] = []
        self._next = _Next.VALUE
        self._comma = ""
        """A comma, with the space behind it, that is written if another item comes."""
        self._cut = False
        """Whether the text ended within a string."""

    def run(self) -> Steps[bool]:
        source, brackets = self._source, self._dialect.brackets
        while True:
            space = yield from source.space()
            character = yield from source.peek()
            if not character:
                return False
            if space:
                yield from self._space(space)
            if character == "," and self._closers:
                source.take(1)
                missing = self._missing()
                yield from self._write(missing)
                if missing or self._next is _Next.COMMA:
                    self._comma = ","
                    self._expect_item()
            elif character in brackets[1::2]:
                yield from self._close()
            elif self._next is _Next.COMMA:
                self._comma = ","  # left out
                self._expect_item()
            elif self._next is _Next.KEY:
                yield from self._key(character)
            elif self._next is _Next.BETWEEN:
                if character in self._dialect.between:
                    source.take(1)
                yield from self._write(": " if character == "=" else ":")
                self._next = _Next.VALUE
            else:
                yield from self._value(character)
            if not self._closers and self._next is _Next.COMMA:
                return not self._cut

    def _write(self, text: str) -> Steps[None]:
        if text and (piece := self._emit(text)) is not None:
            yield piece

    def _space(self, space: str) -> Steps[None]:
        space = space if not space.strip(" \t\r\n") else " "
        if self._comma:
            self._comma += space
        elif self._closers:
            yield from self._write(space)

    def _missing(self) -> str:
        """What a member of an object lacks here."""
        if self._next is _Next.BETWEEN:
            return ":null"
        return "null" if self._next is _Next.VALUE and self._closers[-1] == "}" else ""

    def _expect_item(self) -> None:
        self._next = _Next.KEY if self._closers[-1] == "}" else _Next.VALUE

    def _close(self) -> Steps[None]:
        self._source.take(1)
        if not self._closers:  # a bracket where a value is wanted
            yield from self._write("null")
        else:
            yield from self._write(self._missing() + self._closers[-1])
            self._closers.pop()
        self._comma = ""
        self._next = _Next.COMMA

    def _key(self, character: str) -> Steps[None]:
        yield from self._write(self._comma)
        self._comma = ""
        if not (yield from self._string()):
            word = yield from self._source.word(self._dialect.key)
            yield from self._write(quoted(word or self._source.take(1)))
        self._next = _Next.BETWEEN

    def _value(self, character: str) -> Steps[None]:
        yield from self._write(self._comma)
        self._comma = ""
        brackets = self._dialect.brackets
        if character in brackets[::2]:
            self._source.take(1)
            is_object = character == "{"
            self._closers.append("}" if is_object else "]")
            self._next = _Next.KEY if is_object else _Next.VALUE
            yield from self._write("{" if is_object else "[")
            return
        if not (yield from self._string()):
            word = yield from self._source.word(self._dialect.bare)
            bare = word.rstrip() or self._source.take(1)
            yield from self._write(literal(bare) or quoted(bare))
            if self._closers:
                yield from self._space(word[len(bare) :])
        self._next = _Next.COMMA

    def _string(self) -> Steps[bool]:
        """A string in quotes, if one comes next; the text may end within it."""
        source, dialect = self._source, self._dialect
        quote = yield from source.starts(*dialect.raw_quotes, *dialect.quotes)
        if quote is None:
            return False
        source.take(len(quote))
        yield from self._write('"')
        markers = (quote,) if quote in dialect.raw_quotes else (quote, "\\")
        while found := (yield from source.until(markers, self._emit_escaped)):
            source.take(len(found))
            if found == quote:
                yield from self._write('"')
                return True
            yield from self._write((yield from (dialect.escape or _json_escape)(source)))
        self._cut = True
        return True

    def _emit_escaped(self, text: str) -> Piece | None:
        return self._emit(escaped(text))
