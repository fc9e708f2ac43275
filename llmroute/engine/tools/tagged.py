"""Calls whose arguments stand in tags of their own.

<function=get_weather>                  get_weather
<parameter=city>                        <arg_key>city</arg_key>
Paris                                   <arg_value>Paris</arg_value>
</parameter>
</function>
"""

from __future__ import annotations

from dataclasses import dataclass

from .named import NAME_CHARACTERS
from .pieces import Calls, Piece
from .source import Source, Steps
from .syntax import ReadCall
from .typed import argument_schema, as_json, is_text, types_of
from .values import escaped, quoted

_TEXT_SIGNS = ('string="true"', 'type="string"')


@dataclass(frozen=True, slots=True)
class TagForm:
    """The tags of a call, from the function's name on."""

    name_end: str
    """What stands behind the function's name; `""`: white space or the next tag."""
    key: str
    """What stands before an argument's name."""
    key_end: str
    value_end: str
    call_end: str
    head_end: str = ""
    """What ends the tag of the function, behind other attributes."""
    key_tag_end: str = ""
    """What stands between the end of an argument's name and its value; anything may come before
    it."""
    lines: bool = False
    """Whether a value stands on lines of its own, whose breaks are not part of it."""
    also_after: tuple[str, ...] = ()
    """What else may follow a call whose end is missing."""
    quotes: tuple[str, str] = ("", "")
    """What may stand around a text, within its tags."""


def tagged(form: TagForm) -> ReadCall:
    """A reader of such calls, from the function's name on."""

    def read(source: Source, calls: Calls) -> Steps[bool]:
        return (yield from _Call(form, source, calls).read())

    return read


class _Call:
    """Reads one call; texts are handed out as they come, other values when they are whole."""

    def __init__(self, form: TagForm, source: Source, calls: Calls) -> None:
        self._form = form
        self._source = source
        self._calls = calls
        self._followers = (form.key, form.call_end, *form.also_after)
        self._schema: object = None

    def read(self) -> Steps[bool]:
        source, form, calls = self._source, self._form, self._calls
        name = yield from source.word(NAME_CHARACTERS)
        if name not in calls.schemas:
            return False
        if form.name_end and not (yield from source.skip(form.name_end)):
            return False
        if form.head_end:
            yield from self._pass(form.head_end)
        space = yield from source.space()
        tag = yield from source.starts(form.key, form.call_end)
        is_cut = source.empty and (space or form.name_end)
        if tag is None and not is_cut:
            return False
        source.accept()
        self._schema = calls.schemas[name]
        yield calls.begin(name)
        yield calls.more("{")
        if (yield from self._arguments()):
            yield calls.more("}")
            calls.end()
        return True

    def _pass(self, end: str) -> Steps[str]:
        """Take what stands before `end`, and `end`."""
        passed: list[str] = []
        if (yield from self._source.until((end,), passed.append)):
            self._source.take(len(end))
        return "".join(passed)

    def _arguments(self) -> Steps[bool]:
        """All arguments, and the end of the call; `False` if the text ends before it."""
        source, form = self._source, self._form
        comma = ""
        while True:
            yield from source.space()
            if not (yield from source.skip(form.key)):
                return (yield from source.skip(form.call_end)) or not source.empty
            key = (yield from self._pass(form.key_end)).strip()
            attributes = (yield from self._pass(form.key_tag_end)) if form.key_tag_end else ""
            if source.empty and source.ended:
                return False
            yield self._calls.more(f"{comma}{quoted(key)}: ")
            if not (yield from self._value(key, attributes)):
                return False
            comma = ", "

    def _value(self, key: str, attributes: str) -> Steps[bool]:
        types = types_of(argument_schema(self._schema, key), self._schema)
        told_text = any(sign in attributes for sign in _TEXT_SIGNS)
        end = self._form.value_end
        if self._form.quotes[0] and (yield from self._source.skip(self._form.quotes[0])):
            told_text, end = True, self._form.quotes[1] + end
        if is_text(types) or (told_text and (types is None or "string" in types)):
            text = _Text(self._calls, lines=self._form.lines)
            yield self._calls.more('"')
            if not (yield from self._raw(text, end)):
                return False
            yield self._calls.more('"')
            return True
        value = _Held(lines=self._form.lines)
        if not (yield from self._raw(value, end)):
            return False
        yield self._calls.more(as_json(value.text, types))
        return True

    def _raw(self, value: _Text | _Held, end: str) -> Steps[bool]:
        """What stands before the value's end, which counts only where a value can end."""
        source = self._source
        while (yield from source.until((end,), value.take)):
            if (yield from source.follows(end, self._followers)):
                source.take(len(end))
                return True
            if (piece := value.take(source.take(len(end)))) is not None:
                yield piece
        return False


class _Lines:
    """Takes the line breaks around a value away."""

    def __init__(self, *, lines: bool) -> None:
        self._lines = lines
        self._first = lines
        self._held = ""

    def without(self, text: str) -> str:
        """What is certain after `text`."""
        if not self._lines or not text:
            return text
        if self._first:
            text = text.removeprefix("\n")
            self._first = False
        text = self._held + text
        self._held = "\n" if text.endswith("\n") else ""
        return text.removesuffix("\n")


class _Text(_Lines):
    """A value that is text, handed out as it comes."""

    def __init__(self, calls: Calls, *, lines: bool) -> None:
        super().__init__(lines=lines)
        self._calls = calls

    def take(self, text: str) -> Piece | None:
        text = self.without(text)
        return self._calls.more(escaped(text)) if text else None


class _Held(_Lines):
    """A value whose type is known when it is whole."""

    def __init__(self, *, lines: bool) -> None:
        super().__init__(lines=lines)
        self._texts: list[str] = []

    def take(self, text: str) -> Piece | None:
        self._texts.append(self.without(text))
        return None

    @property
    def text(self) -> str:
        return "".join(self._texts)
