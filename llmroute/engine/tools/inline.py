"""Reads answers: thinking, text and calls, apart while they come."""

from __future__ import annotations

from .pieces import Calls
from .reasoning import Tags, Thinking
from .source import Emit, Source, Steps
from .syntax import Syntax


class Content:
    """Takes the text of the answer. White space before it, and beside calls, is no text."""

    def __init__(self) -> None:
        self.fresh = True
        """Whether nothing but white space has come since the start, or the last call."""
        self._space: list[str] = []

    def take(self, text: str) -> str | None:
        """What is certain after `text`."""
        if self.fresh and not text.strip():
            self._space.append(text)
            return None
        if self.fresh:
            text = "".join([*self._space, text])
            self.begin()
            self.fresh = False
        return text

    def begin(self) -> None:
        """A call came: what follows begins again."""
        self.fresh = True
        self._space = []

    def space(self) -> str:
        """The white space that is held back."""
        return "".join(self._space)


class AnswerSteps:
    """The steps of reading one answer of a family that writes calls within its text."""

    def __init__(
        self, source: Source, calls: Calls, syntax: Syntax, tags: Tags | None, *, open: bool
    ) -> None:
        self._source = source
        self._calls = calls
        self._syntax = syntax
        self._tags = tags
        self._open = open
        self._content = Content()
        self._openers = syntax.openers if calls.schemas else ()
        again = (tags.begin,) if tags and syntax.thinks_anywhere else ()
        self._markers = (*self._openers, *syntax.silent, *again)

    def run(self) -> Steps[None]:
        """Read to the end."""
        if self._tags is not None:
            yield from self._thinking_first(self._tags)
        while True:
            if self._content.fresh and self._calls.schemas and self._syntax.starters:
                yield from self._starter()
            marker = yield from self._source.until(self._markers, self._content.take)
            if marker is None:
                break
            if marker in self._openers:
                yield from self._call(marker, self._content.take)
                continue
            self._source.take(len(marker))
            if self._tags is not None and marker == self._tags.begin:
                yield from self._think(self._tags)
        if not self._calls.count and (space := self._content.space()):
            yield space

    # Thinking

    def _thinking_first(self, tags: Tags) -> Steps[None]:
        source = self._source
        if self._open:
            yield from self._think(tags)
            return
        space = yield from source.space()
        for known in (tags, *self._syntax.other_tags):
            if (yield from source.skip(known.begin.lstrip())):
                yield from self._think(known)
                return
            if (yield from source.skip(known.end)):
                yield from source.space()
                return
        self._content.take(space)

    def _think(self, tags: Tags) -> Steps[None]:
        """The thinking, its end, and the space behind it."""
        source, syntax, thinking = self._source, self._syntax, Thinking()
        ends = tuple(filter(None, (tags.end, syntax.around_text[0])))
        openers = self._openers if syntax.calls_in_thinking else ()
        while (marker := (yield from source.until((*ends, *openers), thinking.take))) is not None:
            if marker in ends:
                source.take(len(marker))
                yield from source.space()
                return
            if (yield from self._call(marker, thinking.take)):
                yield from source.skip(tags.end)
                return

    # Calls

    def _starter(self) -> Steps[None]:
        self._content.take((yield from self._source.space()))
        character = yield from self._source.peek()
        if character and character in self._syntax.starters:
            yield from self._call("", self._content.take)

    def _call(self, opener: str, otherwise: Emit) -> Steps[bool]:
        """What may be calls, and what closes them; text for `otherwise` if it is none."""
        source = self._source
        source.begin_trial()
        source.take(len(opener))
        is_call = yield from self._syntax.read(source, self._calls)
        if is_call:
            self._content.begin()
        if (text := source.refuse()) and (piece := otherwise(text)) is not None:
            yield piece
        if is_call:
            yield from self._close()
        return is_call

    def _close(self) -> Steps[None]:
        space = ""
        for closer in self._syntax.closers:
            space += yield from self._source.space()
            if (yield from self._source.skip(closer)):
                space = ""
            elif closer.startswith(rest := self._source.rest) and rest:  # cut
                self._source.take(len(rest))
        self._content.take(space)
