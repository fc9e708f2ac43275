"""How a family of models writes calls: data for its reader, and for a grammar that forces them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .pieces import Calls
from .reasoning import Tags
from .source import Source, Steps

ReadCall: TypeAlias = Callable[[Source, Calls], Steps[bool]]
"""Reads what follows a call's opening; gives whether it is a call. If not, nothing is yielded."""


def after(literal: str, read: ReadCall) -> ReadCall:
    """A reader that passes over `literal`, where it comes, and then reads as `read`."""

    def reader(source: Source, calls: Calls) -> Steps[bool]:
        yield from source.space()
        yield from source.skip(literal)
        return (yield from read(source, calls))

    return reader


@dataclass(frozen=True, slots=True)
class Pairs:
    """Arguments that are written one by one instead of as a JSON object."""

    before: str
    """What stands before a value. `{key}` is its name, `{type}` its JSON type, `{text}` is `true`
    for a text and else `false`."""
    after: str = ""
    """What stands behind a value, `{key}` being its name."""
    between: str = ""
    """What stands between two of them."""
    text: tuple[str, str] | None = None
    """What stands around a text, which is then written as it is, up to the second of these (or, if
    that is empty, up to `after`); `None`: texts are JSON as all other values."""

    def opening(self, key: str, kind: str) -> str:
        """What stands before a value of a JSON type."""
        before = self.before.replace("{text}", "true" if kind == "string" else "false")
        return before.replace("{type}", kind).replace("{key}", key)

    def closing(self, key: str) -> str:
        """What stands behind a value."""
        return self.after.replace("{key}", key)

    def written(self, key: str, value: Any) -> str:
        """An argument as the model writes it."""
        before, after = self.opening(key, json_type(value)), self.closing(key)
        if isinstance(value, str) and self.text is not None:
            return f"{before}{self.text[0]}{value}{self.text[1]}{after}"
        return f"{before}{json.dumps(value, ensure_ascii=False)}{after}"


def json_type(value: Any) -> str:
    """The JSON type of a value, as chat templates name it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
    return "array"


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a family of models writes answers with calls.

    Whole answers are `begin`, calls (`before`, the arguments, `after`) with `between` them, `end`.
    """

    openers: tuple[str, ...]
    """Texts that begin a call wherever they stand."""
    read: ReadCall
    before: str
    """What stands before a call's arguments; `{name}` is the function's, `{index}` the number of
    the call, from 0."""
    after: str = ""
    begin: str = ""
    between: str | None = ""
    """`None`: an answer has one call only."""
    end: str = ""
    pairs: Pairs | None = None
    """How arguments are written; `None`: as a JSON object."""
    closers: tuple[str, ...] = ()
    """What may stand behind a call, in this order; each may be missing."""
    starters: str = ""
    """Characters that begin a call at the beginning of the answer."""
    silent: tuple[str, ...] = ()
    """Marks that are no text wherever they stand."""
    other_tags: tuple[Tags, ...] = ()
    """What else may stand around thinking at the beginning, beside the tags of the template."""
    thinks_anywhere: bool = False
    """Whether thinking may come again within the answer."""
    calls_in_thinking: bool = False
    """Whether a call within the thinking ends it."""
    after_thinking: str = ""
    """What is written between thinking and answer."""
    around_text: tuple[str, str] = ("", "")
    """What is written before and behind an answer that is no call."""
    read_answer: Callable[[Source, Calls, Tags | None, bool], Steps[None]] | None = None
    """Reads whole answers, of families that write messages to recipients; `None`: as all others."""

    @property
    def marks(self) -> frozenset[str]:
        """All it writes that a model may have control tokens for."""
        calls = (self.before, self.after, self.begin, self.between or "", self.end)
        framing = (self.after_thinking, *self.around_text, *self.silent)
        texts = (*calls, *self.openers, *self.closers, *framing)
        pairs = (
            (self.pairs.before, self.pairs.after, *(self.pairs.text or ())) if self.pairs else ()
        )
        return frozenset(marks_in((*texts, *pairs)))

    @property
    def frames(self) -> tuple[str, ...]:
        """What it writes that is no text even where no tools are offered."""
        return (*self.silent, *self.openers, *self.closers) if self.read_answer else self.silent

    def around(self, name: str, index: int = 0) -> tuple[str, str]:
        """What stands before and behind the arguments of a call of a function."""
        before = self.before.replace("{name}", name).replace("{index}", str(index))
        return before, self.after

    def written(self, calls: Sequence[tuple[str, Any]]) -> str:
        """Calls as the model writes them, given names and arguments."""
        between = "\n" if self.between is None else self.between
        texts = (
            f"{before}{self._written_arguments(arguments)}{after}"
            for index, (name, arguments) in enumerate(calls)
            for before, after in [self.around(name, index)]
        )
        return self.begin + between.join(texts) + self.end

    def example(self) -> str:
        """A call with names in angle brackets, to show to a model."""
        before, after = self.around("<name>")
        arguments = "{...}"
        if self.pairs is not None:
            arguments = self.pairs.written("<argument>", "<value>")
        return f"{self.begin}{before}{arguments}{after}{self.end}"

    def _written_arguments(self, arguments: Any) -> str:
        if self.pairs is None or not isinstance(arguments, Mapping):
            return json.dumps(arguments, ensure_ascii=False)
        return self.pairs.between.join(
            self.pairs.written(key, value) for key, value in arguments.items()
        )


_MARK = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]|｜\w+｜|\]<\]\w+\[>\[")


def marks_in(texts: Iterable[str]) -> Iterator[str]:
    """Names that control tokens may have, and the texts themselves, as some are one token."""
    for text in texts:
        yield text
        yield from _MARK.findall(text)


@dataclass(frozen=True, slots=True)
class Family:
    """Models that write calls in one way."""

    name: str
    signs: tuple[tuple[str, ...], ...]
    """How its chat templates are recognised: all the texts of one of these stand in them."""
    syntax: Syntax

    @property
    def marks(self) -> frozenset[str]:
        """All it writes that a model may have control tokens for."""
        return self.syntax.marks

    def has(self, template: str) -> bool:
        """Whether a chat template (as Jinja text) is one of its own."""
        return any(all(sign in template for sign in signs) for signs in self.signs)
