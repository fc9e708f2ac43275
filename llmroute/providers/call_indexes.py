"""Which tool call a piece of a stream belongs to, where a server's indexes do not tell."""

from __future__ import annotations

from ..types.chat_chunk import ToolCallDelta
from .repair import NO_INDEX


class CallIndexes:
    """Keeps the tool calls of one choice apart.

    Some servers leave the index out, others give every call index 0: a new id with a name is a new
    call, and so is another name once arguments have come. A new id without a name is the same call,
    to which some servers give an id with each piece.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        """What the id of a call begins with that came without one."""
        self._ids: dict[int, str] = {}
        self._by_id: dict[str, int] = {}
        self._moved: dict[int, int] = {}
        self._names: dict[int, str] = {}
        """The latest name of each call."""
        self._begun: set[int] = set()
        """The calls whose arguments have begun."""
        self._last = -1
        """The highest index so far."""

    def place(self, piece: ToolCallDelta) -> None:
        """Gives `piece` the index it really belongs to, and the id that its call has."""
        function = piece.function
        name = function.name if function else None
        named = bool(name)
        piece.index = index = self._index(piece.index, piece.id, name)
        if function and name:
            self._names[index] = name
        if function and function.arguments:
            self._begun.add(index)
        if index in self._ids:
            piece.id = piece.id if piece.id == self._ids[index] else None
        elif piece.id or named or (function and function.arguments):
            piece.id = piece.id or f"{self._prefix}_{index}"
            self._ids[index] = piece.id
            self._by_id.setdefault(piece.id, index)
            self._last = max(self._last, index)
        else:
            piece.id = None

    def _index(self, index: int, call_id: str | None, name: str | None) -> int:
        named = bool(name)
        if index == NO_INDEX:
            return self._find(call_id, named)
        latest = self._moved.get(index, index)
        if name and not call_id and latest in self._begun and self._names.get(latest) != name:
            self._moved[index] = self._last + 1
        elif call_id and self._ids.get(index, call_id) != call_id:
            if named or call_id in self._by_id:
                self._moved[index] = self._find(call_id, named)
        elif call_id:
            self._moved.pop(index, None)
        return self._moved.get(index, index)

    def _find(self, call_id: str | None, named: bool) -> int:
        """Where an id was seen; a new index for a new id or name, else the latest."""
        if call_id and call_id in self._by_id:
            return self._by_id[call_id]
        return self._last + 1 if call_id or named or self._last < 0 else self._last
