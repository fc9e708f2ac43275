"""Calls written as Python: `[get_weather(city="Paris"), now()]`."""

from __future__ import annotations

import re

from .named import NAME_CHARACTERS
from .pieces import Calls
from .source import Source, Steps
from .values import PYTHON, quoted, read_value

_KEY = re.compile(r"[\w\-]*")
_LITERALS = ("True", "False", "None", "true", "false", "null")


def read_pythonic(source: Source, calls: Calls) -> Steps[bool]:
    """Calls with keyword arguments, where a mark has said that calls come."""
    return (yield from _read(source, calls, sure=True))


def read_pythonic_list(source: Source, calls: Calls) -> Steps[bool]:
    """A list of such calls without a mark: it begins with a known function, and a literal."""
    if (yield from source.starts("[")) is None:
        return False
    return (yield from _read(source, calls, sure=False))


def _read(source: Source, calls: Calls, *, sure: bool) -> Steps[bool]:
    yield from source.space()
    yield from source.skip("[")
    if not (yield from _read_call(source, calls, sure=sure)):
        return False
    while not calls.finished:
        yield from source.space()
        if (yield from source.starts(",", ";")) is None:
            break
        source.begin_trial()
        source.take(1)
        if not (yield from _read_call(source, calls, sure=sure)):
            return True
    yield from source.skip("]")
    return True


def _read_call(source: Source, calls: Calls, *, sure: bool) -> Steps[bool]:
    yield from source.space()
    name = yield from source.word(NAME_CHARACTERS)
    if name not in calls.schemas:
        name = name.removesuffix(".call")  # as Llama writes its built-in tools
    if name not in calls.schemas or not (yield from source.skip("(")):
        return False
    yield from source.space()
    if not (yield from source.skip(")")):
        return (yield from _read_arguments(source, calls, name, sure=sure))
    source.accept()
    yield calls.begin(name, "{}")
    calls.end()
    return True


def _read_arguments(source: Source, calls: Calls, name: str, *, sure: bool) -> Steps[bool]:
    key = yield from _read_key(source)
    is_argument = key is not None and (sure or (yield from _comes_literal(source)))
    if not is_argument and not (sure and source.empty):
        return False
    source.accept()
    yield calls.begin(name, "{")
    comma = ""
    while key is not None:
        yield calls.more(f"{comma}{quoted(key)}: ")
        if not (yield from read_value(source, calls.more, PYTHON)):
            return True
        yield from source.space()
        if not (yield from source.skip(",")):
            break
        yield from source.space()
        comma, key = ", ", (yield from _read_key(source))
    if (yield from source.skip(")")) or not source.empty:
        yield calls.more("}")
        calls.end()
    return True


def _read_key(source: Source) -> Steps[str | None]:
    """A keyword and its sign; `None` if none comes."""
    key = yield from source.word(_KEY)
    yield from source.space()
    return key if key and (yield from source.skip("=")) else None


def _comes_literal(source: Source) -> Steps[bool]:
    yield from source.space()
    character = yield from source.peek()
    if character.isalpha():
        return (yield from source.starts(*_LITERALS)) is not None
    return character != "" and character in "\"'[{(-.0123456789"
