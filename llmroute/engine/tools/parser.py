"""Reads the calls out of a model's text while it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...providers.base import LocalToolCall
from .calls import Head, Syntax, Verdict, Whole
from .scan import ObjectScanner, beginning_of

Piece = str | LocalToolCall
"""Text of the answer, or a piece of a call."""


class ToolCallParser:
    """Text in; text and calls out, as soon as they are certain.

    `names` are the functions that may be called, with the schemas of their arguments. A call of
    another one, and whatever only looks like a call, stays text: nothing is lost. Arguments are
    handed out as the model writes them; a call whose end never comes leaves `complete` at `False`.
    Nothing but white space before or between calls is no text.
    """

    def __init__(self, syntax: Syntax, names: Mapping[str, Any], *, parallel: bool = True) -> None:
        self._syntax = syntax
        self._names = names
        self._parallel = parallel
        self._text = ""
        """What is not handed out yet."""
        self._opening = ""
        """What led to the call being read; text again if it is none."""
        self._step = self._read_text
        self._at_start = True
        self._arguments = ObjectScanner()
        self._head = Head("", 0)
        self._closers: list[str] = []
        self.calls = 0
        """How many calls have begun."""
        self.complete = True
        """Whether the last one has ended."""
        self.finished = False
        """Whether nothing more is wanted: one call was to be made, and has been."""

    def feed(self, text: str) -> list[Piece]:
        """What is certain after `text`."""
        self._text += text
        return list(self._run())

    def finish(self) -> list[Piece]:
        """What was held back, at the end of the answer."""
        rest = self._opening + self._text
        self._text = self._opening = ""
        if self._step == self._read_closers and any(
            closer.startswith(rest.strip()) for closer in self._closers
        ):
            return []
        return [rest] if rest and (rest.strip() or not self.calls) else []

    def _run(self) -> Iterator[Piece]:
        """Take steps until one has to wait."""
        while not self.finished:
            before = self._step, len(self._text)
            yield from self._step()
            if before == (self._step, len(self._text)):
                return

    # Between calls

    def _read_text(self) -> Iterator[Piece]:
        stripped = self._text.lstrip()
        if self._at_start and (not stripped or stripped[0] in self._syntax.starters):
            if stripped:
                self._open(len(self._text) - len(stripped))
            return
        found = [(at, m) for m in self._syntax.markers if (at := self._text.find(m)) >= 0]
        if found:
            at, marker = min(found)
            yield from self._say(at)
            self._open(len(self._text) - len(self._text.lstrip()) + len(marker))
        else:
            yield from self._say(len(self._text) - beginning_of(self._text, self._syntax.markers))

    def _say(self, length: int) -> Iterator[Piece]:
        """Hand out text; white space at the start waits for what follows."""
        text = self._text[:length]
        if text.strip() or (text and not self._at_start):
            self._text = self._text[length:]
            self._at_start = False
            yield text

    def _open(self, length: int) -> None:
        self._opening = self._text[:length]
        self._text = self._text[length:]
        self._step = self._read_head

    # A call

    def _read_head(self) -> Iterator[Piece]:
        reading = self._syntax.read(self._text, self._names)
        match reading:
            case Verdict.MORE:
                return
            case Head():
                yield self._begin(reading.name)
                self._head = reading
                self._advance(reading.length)
                self._arguments = ObjectScanner()
                self._step = self._read_arguments
            case Whole():
                calls = reading.calls if self._parallel else reading.calls[:1]
                for name, arguments in calls:
                    yield self._begin(name, arguments)
                self._head = Head("", 0, False, reading.closers, reading.separator)
                self._advance(reading.length)
                self._end()
            case _:
                yield from self._not_a_call()

    def _not_a_call(self) -> Iterator[Piece]:
        """Its opening was text; what follows may still be anything, but not at the start."""
        opening = self._opening or self._text[:1]
        if not self._opening:
            self._text = self._text[1:]
        self._opening = ""
        self._at_start = False
        self._step = self._read_text
        yield opening

    def _begin(self, name: str, arguments: str = "") -> LocalToolCall:
        self.calls += 1
        self.complete = False
        return LocalToolCall(self.calls - 1, name, arguments)

    def _advance(self, length: int) -> None:
        self._text = self._text[length:]
        self._opening = ""

    def _read_arguments(self) -> Iterator[Piece]:
        length = self._arguments.feed(self._text)
        if length:
            piece, self._text = self._text[:length], self._text[length:]
            yield LocalToolCall(self.calls - 1, None, piece)
        if self._arguments.done:
            self.complete = True
            if self._head.in_object:
                self._step = self._read_object_end
            else:
                self._end()

    def _read_object_end(self) -> Iterator[Piece]:
        """The end of the object that the arguments stand in; more keys may come before it."""
        stripped = self._text.lstrip()
        if stripped and stripped[0] not in "},":
            self._end()
            return
        scanner = ObjectScanner(inside=True)
        length = scanner.feed(self._text)
        if scanner.done:
            self._advance(length)
            self._end()
        yield from ()

    def _end(self) -> None:
        self.complete = True
        self._closers = list(self._head.closers)
        self._step = self._read_closers
        self.finished = not self._parallel

    def _read_closers(self) -> Iterator[Piece]:
        stripped = self._text.lstrip()
        separator = self._head.separator
        if not stripped or any(
            closer.startswith(stripped) and closer != stripped for closer in self._closers
        ):
            return
        for number, closer in enumerate(self._closers):
            if stripped.startswith(closer):
                self._text = stripped.removeprefix(closer)
                del self._closers[: number + 1]
                if not self._closers:
                    self._rest()
                return
        if separator and stripped.startswith(separator):
            self._open(len(self._text) - len(stripped) + len(separator))
        else:
            self._rest()
        yield from ()

    def _rest(self) -> None:
        """Go on with what follows a call."""
        self._at_start = True
        self._step = self._read_text
