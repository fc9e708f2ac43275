"""Calls that are JSON objects: `{"name": ..., "arguments": {...}}`, alone or in lists."""

from __future__ import annotations

import json
from typing import Any

from .pieces import Calls
from .source import Source, Steps
from .typed import repaired
from .values import read_value

_NAME_KEYS = ("name", "tool_name")
_ARGUMENT_KEYS = ("arguments", "parameters", "args")
_OTHER_KEYS = ("type", "id", "tool_call_id", "index")


def read_objects(source: Source, calls: Calls) -> Steps[bool]:
    """One call, or several with commas, semicolons or white space between them."""
    return (yield from _read_list(source, calls, by_name=False))


def read_objects_by_name(source: Source, calls: Calls) -> Steps[bool]:
    """As `read_objects`, for calls written as `{"<name>": {...}}`."""
    return (yield from _read_list(source, calls, by_name=True))


def _read_list(source: Source, calls: Calls, *, by_name: bool) -> Steps[bool]:
    yield from source.space()
    yield from source.skip("[")
    if not (yield from _Call(source, calls, by_name=by_name).read()):
        return False
    while not calls.finished:
        yield from source.space()
        if (yield from source.starts(",", ";", "{")) is None:
            break
        source.begin_trial()
        _ = (yield from source.skip(",")) or (yield from source.skip(";"))
        if not (yield from _Call(source, calls, by_name=by_name).read()):
            return True
    yield from source.skip("]")
    return True


class _Call:
    """Reads one call. Nothing is certain before its name is."""

    def __init__(self, source: Source, calls: Calls, *, by_name: bool) -> None:
        self._source = source
        self._calls = calls
        self._by_name = by_name
        self._name: str | None = None
        self._held: str | None = None
        """Arguments that came before the name."""
        self._begun = False
        self._nested = False
        """Whether the call stands in a member `function`."""

    def read(self) -> Steps[bool]:
        yield from self._source.space()
        if not (yield from self._source.skip("{")):
            return False
        yield from self._members()
        if self._name is not None and not self._begun and self._source.empty:
            self._source.accept()
            self._begun = True
            yield self._calls.begin(self._name)  # the text ends within the call
        return self._begun

    def _members(self) -> Steps[None]:
        """All members, and the end of the object; less if it is no call."""
        source = self._source
        while True:
            yield from source.space()
            character = yield from source.peek()
            if character == ",":
                source.take(1)
            elif character == "}":
                source.take(1)
                yield from self._end()
                return
            elif character not in ('"', "'") or not (yield from self._member()):
                return

    def _member(self) -> Steps[bool]:
        """One member; whether the object may still be a call."""
        source = self._source
        key = yield from self._text()
        yield from source.space()
        if not (yield from source.skip(":")):
            return self._begun
        yield from source.space()
        character = yield from source.peek()
        if self._begun or key in _OTHER_KEYS:
            return (yield from read_value(source, _drop))
        if key in _NAME_KEYS or (key == "function" and character in ('"', "'")):
            return (yield from self._named((yield from self._text())))
        if key == "function" and character == "{" and not self._nested:
            self._nested = True
            source.take(1)
            yield from self._members()
            return self._begun
        if key in _ARGUMENT_KEYS:
            return (yield from self._arguments(character))
        if self._by_name and key in self._calls.schemas:
            self._name = key
            return (yield from self._arguments(character))
        return False

    def _text(self) -> Steps[str]:
        written: list[str] = []
        if not (yield from read_value(self._source, written.append)):
            return ""
        text = _loaded("".join(written))
        return text if isinstance(text, str) else ""

    def _named(self, name: str) -> Steps[bool]:
        if name not in self._calls.schemas:
            return False
        self._name = name
        if self._held is not None:
            yield from self._whole(self._held)
        return True

    def _arguments(self, character: str) -> Steps[bool]:
        if character == "{" and self._name is not None:
            self._source.accept()
            self._begun = True
            yield self._calls.begin(self._name)
            if (yield from read_value(self._source, self._calls.more)):
                self._calls.end()
                return True
            return False
        written: list[str] = []
        if not (yield from read_value(self._source, written.append)):
            return False
        self._held = _as_object("".join(written))
        if self._held is None:
            self._name = None
            return False
        if self._name is not None:
            yield from self._whole(self._held)
        return True

    def _whole(self, arguments: str) -> Steps[None]:
        assert self._name is not None
        self._source.accept()
        self._begun = True
        yield self._calls.begin(self._name, arguments)
        self._calls.end()

    def _end(self) -> Steps[None]:
        if self._name is not None and not self._begun:
            yield from self._whole("{}")


def _drop(text: str) -> None:
    """Takes what nobody wants."""


def _as_object(written: str) -> str | None:
    """Arguments as JSON text: an object, the text of one, or nothing at all."""
    found = _loaded(written)
    if found in (None, ""):
        return "{}" if written.strip() in ("null", '""') else None
    if isinstance(found, str):
        written = found if isinstance(_loaded(found), dict) else repaired(found.strip())
    return written if isinstance(_loaded(written), dict) else None


def _loaded(text: str) -> Any:
    """What JSON text says; `None` for what is none, or is nested too deeply."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
