"""Takes a model's text apart while it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...providers.base import LocalToolCall
from .inline import AnswerSteps
from .pieces import Calls, Piece, Thought
from .reasoning import Tags
from .source import Source
from .syntax import Syntax


class ToolCallParser:
    """Text in; text, thinking and calls out, as soon as they are certain.

    `names` are the functions that may be called, with the schemas of their arguments. A call of
    another one, and whatever only looks like a call, stays text: nothing is lost. Arguments are
    handed out as the model writes them; a call whose end never comes leaves `complete` at `False`.
    With `tags`, thinking at the beginning comes apart; `open` says that the prompt ended with the
    beginning tag, so the answer begins within.
    """

    def __init__(
        self,
        syntax: Syntax,
        names: Mapping[str, Any],
        *,
        parallel: bool = True,
        tags: Tags | None = None,
        open: bool = False,
    ) -> None:
        self._source = Source()
        self._calls = Calls(names, parallel=parallel)
        if syntax.read_answer is not None:
            self._steps = syntax.read_answer(self._source, self._calls, tags, open)
        else:
            self._steps = AnswerSteps(self._source, self._calls, syntax, tags, open=open).run()

    @property
    def calls(self) -> int:
        """How many calls have begun."""
        return self._calls.count

    @property
    def complete(self) -> bool:
        """Whether the last one has ended."""
        return self._calls.complete

    @property
    def finished(self) -> bool:
        """Whether nothing more is wanted: one call was to be made, and has been."""
        return self._calls.finished

    def feed(self, text: str) -> list[Piece]:
        """What is certain after `text`."""
        self._source.feed(text)
        return self._run()

    def finish(self) -> list[Piece]:
        """What was held back, at the end of the answer."""
        self._source.ended = True
        return self._run()

    def _run(self) -> list[Piece]:
        """Read until more text is needed, or no more is wanted."""
        pieces: list[Piece] = []
        if self._calls.finished:
            return pieces
        for piece in self._steps:
            if piece is None or self._calls.finished:
                break
            _add(pieces, piece)
        return pieces


def _add(pieces: list[Piece], piece: Piece) -> None:
    """Add a piece, to the last one if they are of one kind."""
    last = pieces[-1] if pieces else None
    match last, piece:
        case str(), str():
            pieces[-1] = last + piece
        case Thought(), Thought():
            pieces[-1] = Thought(last.text + piece.text)
        case LocalToolCall(), LocalToolCall(index, None, arguments) if last.name is None:
            pieces[-1] = LocalToolCall(index, None, last.arguments + arguments)
        case _:
            pieces.append(piece)
