"""The chat that a request of Anthropic's Messages becomes, as it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..types.request import JSON

CACHE_CONTROL = "cache_control"
"""Anthropic's marker of a prefix to cache."""


@dataclass(slots=True)
class Chat:
    """A chat that asks the same."""

    keeps_marks: bool = False
    """Whether its provider takes `cache_control` on messages, parts and tools."""
    messages: list[dict[str, JSON]] = field(default_factory=list)
    params: dict[str, JSON] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    """What has no counterpart and was left out, by its name in the protocol."""

    def drop(self, name: str) -> None:
        """Writes down that `name` was left out."""
        if name not in self.dropped:
            self.dropped.append(name)

    def mark(self, block: Mapping[str, JSON]) -> dict[str, JSON]:
        """The marker on a block, to be put on what the block becomes; `{}` if it has none."""
        marker = block.get(CACHE_CONTROL)
        if marker is None:
            return {}
        if not self.keeps_marks:
            self.drop(CACHE_CONTROL)
            return {}
        return {CACHE_CONTROL: marker}
