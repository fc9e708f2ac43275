"""Fields of streamed deltas that OpenAI's shape leaves open, joined over all pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# An unknown text is joined if its name has one of these words; else it may be a constant, such as a
# name that is repeated in every delta.
_TEXT_WORDS = ("content", "reasoning", "text", "thinking", "transcript")


class GrowingFields:
    """An object that comes in pieces: some of its texts go on, its other values replace each
    other."""

    def __init__(self, growing: Iterable[str] = ()) -> None:
        self._growing = frozenset(growing)
        self._values: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}

    def add(self, piece: Mapping[str, Any]) -> None:
        """Takes the next piece."""
        for name, value in piece.items():
            if name in self._growing and isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            else:
                merge(self._values, {name: value})

    def get(self, name: str) -> Any:
        """The value so far of a field that does not grow; `None` if there is none."""
        return self._values.get(name)

    def joined(self) -> dict[str, Any]:
        """All of it so far."""
        return {**self._values, **{name: "".join(texts) for name, texts in self._texts.items()}}


class ReasoningDetails:
    """OpenRouter's `reasoning_details`, which come in pieces: those of one index, type and id are
    one entry (https://openrouter.ai/docs/use-cases/reasoning-tokens)."""

    def __init__(self) -> None:
        self._entries: list[GrowingFields | object] = []
        self._latest: dict[object, GrowingFields] = {}

    def add(self, pieces: Iterable[Any]) -> None:
        """Takes the entries of the next delta."""
        for piece in pieces:
            if not isinstance(piece, dict):
                self._entries.append(piece)
                continue
            index, kind = piece.get("index"), piece.get("type")
            entry = self._latest.get((repr(index), repr(kind or None)))
            if entry is None or index is None or _differ(entry.get("id"), piece.get("id")):
                entry = GrowingFields(("text", "summary", "data"))
                self._entries.append(entry)
            entry.add(piece)
            self._latest[repr(index), repr(kind or None)] = entry
            self._latest[repr(index), repr(None)] = entry  # for pieces that do not say their type

    def joined(self) -> list[Any]:
        """All entries so far."""
        return [e.joined() if isinstance(e, GrowingFields) else e for e in self._entries]


class ThinkingBlocks:
    """LiteLLM's `thinking_blocks`, which come in pieces: the signature ends a block
    (https://docs.litellm.ai/docs/reasoning_content)."""

    def __init__(self) -> None:
        self._blocks: list[GrowingFields | object] = []
        self._open: GrowingFields | None = None

    def add(self, pieces: Iterable[Any]) -> None:
        """Takes the blocks of the next delta."""
        for piece in pieces:
            if not isinstance(piece, dict) or piece.get("type") != "thinking":
                self._blocks.append(piece)
                self._open = None
                continue
            if self._open is None:
                self._open = GrowingFields(("thinking", "signature"))
                self._blocks.append(self._open)
            self._open.add(piece)
            if piece.get("signature"):
                self._open = None

    def joined(self) -> list[Any]:
        """All blocks so far."""
        return [b.joined() if isinstance(b, GrowingFields) else b for b in self._blocks]


_IN_PIECES: dict[str, type[ReasoningDetails | ThinkingBlocks]] = {
    "reasoning_details": ReasoningDetails,
    "thinking_blocks": ThinkingBlocks,
}
"""The lists whose entries come in pieces."""


class ExtraFields:
    """The fields of a choice's deltas that OpenAI's shape does not have."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._in_pieces: dict[str, ReasoningDetails | ThinkingBlocks] = {}

    def add(self, extra: Mapping[str, Any]) -> None:
        """Takes the unknown fields of the next delta."""
        for name, value in extra.items():
            if isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            elif name in _IN_PIECES and isinstance(value, list):
                if name not in self._in_pieces:
                    self._in_pieces[name] = _IN_PIECES[name]()
                self._in_pieces[name].add(value)
            elif isinstance(value, list) and isinstance(self._values.get(name), list):
                self._values[name].extend(value)
            elif isinstance(value, list):
                self._values[name] = list(value)
            elif value is not None:
                merge(self._values, {name: value})

    def joined(self) -> dict[str, Any]:
        """All of them so far."""
        joined = {**self._values, **{name: _joined(name, t) for name, t in self._texts.items()}}
        return {**joined, **{name: lists.joined() for name, lists in self._in_pieces.items()}}


def merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Takes values that do not grow: the latest that is not null stands, objects are merged."""
    for name, value in new.items():
        old = into.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            into[name] = merged = dict(old)
            merge(merged, value)
        elif value is not None or name not in into:
            into[name] = value


def _joined(name: str, pieces: list[str]) -> str:
    distinct = {piece for piece in pieces if piece}
    if len(distinct) <= 1 and not any(word in name for word in _TEXT_WORDS):
        return next(iter(distinct), "")
    return "".join(pieces)


def _differ(old: object, new: object) -> bool:
    return old is not None and new is not None and old != new
