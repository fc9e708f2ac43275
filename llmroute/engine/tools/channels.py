"""Answers in messages, each with a header that says whom it is for: gpt-oss, Muse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from .inline import Content
from .pieces import Calls
from .reasoning import Tags, Thinking
from .source import Emit, Source, Steps
from .syntax import ReadCall


class Kind(Enum):
    """What a message is."""

    TEXT = auto()
    THINKING = auto()
    CALL = auto()


Address: TypeAlias = Callable[[str], tuple[Kind, str]]
"""Reads a header: what the message is, and the function that it calls."""


@dataclass(frozen=True, slots=True)
class Channels:
    """How messages are written."""

    starts: tuple[str, ...]
    """What a header may begin with, behind white space; other text has no header."""
    header_end: str
    ends: tuple[str, ...]
    """What ends a message."""
    address: Address
    read_call: Callable[[str], ReadCall]
    """Reads the call of a function, behind the header."""

    def read_answer(
        self, source: Source, calls: Calls, tags: Tags | None, open: bool
    ) -> Steps[None]:
        """Read all messages; `open` says that the first one is thinking, without its header."""
        content = Content()
        if open:
            yield from self._body(source, Thinking().take)
        while (yield from source.peek()):
            space = yield from source.space()
            if (yield from source.starts(*self.starts)) is None:
                content.take(space)
                yield from self._body(source, content.take)
                continue
            header: list[str] = []
            yield from source.until((self.header_end,), header.append)
            yield from source.skip(self.header_end)
            kind, name = self.address("".join(header))
            if kind is Kind.THINKING:
                yield from self._body(source, Thinking().take)
            elif kind is Kind.TEXT:
                yield from self._body(source, content.take)
            else:
                yield from self._call(source, calls, name, content)
        if not calls.count and (rest := content.space()):
            yield rest

    def _body(self, source: Source, take: Emit) -> Steps[None]:
        """The text of a message, and its end."""
        end = yield from source.until((*self.ends, self.starts[0]), take)
        if end in self.ends:
            source.take(len(end or ""))

    def _call(self, source: Source, calls: Calls, name: str, content: Content) -> Steps[None]:
        """A call; one that was not offered is text if tools were, and else of no use to anyone."""
        source.begin_trial()
        is_call = name in calls.schemas and (yield from self.read_call(name)(source, calls))
        text = source.refuse()
        if is_call:
            content.begin()
        take: Emit = content.take if calls.schemas and not is_call else _drop
        if text and (piece := take(text)) is not None:
            yield piece
        yield from self._body(source, _drop if is_call else take)


def _drop(text: str) -> None:
    """Takes what stands behind a call in its message."""
