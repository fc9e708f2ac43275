"""What an answer is taken apart into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...providers.base import LocalToolCall


@dataclass(frozen=True, slots=True)
class Thought:
    """A stretch of the model's thinking."""

    text: str


Piece: TypeAlias = str | Thought | LocalToolCall
"""Text of the answer, of the thinking, or a piece of a call."""


class Calls:
    """The calls of one answer, counted while they come."""

    def __init__(self, schemas: Mapping[str, Any], *, parallel: bool = True) -> None:
        """`schemas` are those of the arguments of the functions that may be called, by name."""
        self.schemas = schemas
        self._parallel = parallel
        self.count = 0
        """How many have begun."""
        self.complete = True
        """Whether the last one has ended."""

    @property
    def finished(self) -> bool:
        """Whether no more calls are wanted: one was to be made, and has been."""
        return not self._parallel and self.count > 0 and self.complete

    def begin(self, name: str, arguments: str = "") -> LocalToolCall:
        """The first piece of a call."""
        self.count += 1
        self.complete = False
        return LocalToolCall(self.count - 1, name, arguments)

    def more(self, arguments: str) -> LocalToolCall:
        """More of its arguments, as JSON text."""
        return LocalToolCall(self.count - 1, None, arguments)

    def end(self) -> None:
        """It is complete."""
        self.complete = True
