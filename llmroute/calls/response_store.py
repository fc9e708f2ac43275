"""Where the conversations are kept that `previous_response_id` goes on with."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

Items: TypeAlias = Sequence[Mapping[str, Any]]
"""The input and output items of a conversation, in order, as JSON-ready data."""


class ResponseStore(Protocol):
    """What `responses(..., response_store=)` takes. Its methods may be called from any thread.

    Whoever knows an id can go on with its conversation: give the callers of different users
    different stores.
    """

    def load(self, response_id: str) -> Items | None:
        """The conversation up to and with that response; `None` if it is not kept."""

    def save(self, response_id: str, items: Items) -> None:
        """Keeps a conversation."""


class MemoryResponseStore:
    """Keeps the latest conversations in this process, and forgets those used longest ago."""

    def __init__(self, max_responses: int = 1000, max_chars: int = 100_000_000) -> None:
        """Bounds the number of responses, and the characters of all their texts together.

        What two responses of a conversation share is counted twice.
        """
        self._max_responses = max_responses
        self._max_chars = max_chars
        self._chars = 0
        self._kept: OrderedDict[str, tuple[int, Items]] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, response_id: str) -> Items | None:
        """See `ResponseStore.load`."""
        with self._lock:
            if response_id not in self._kept:
                return None
            self._kept.move_to_end(response_id)
            return self._kept[response_id][1]

    def save(self, response_id: str, items: Items) -> None:
        """See `ResponseStore.save`. A conversation that is too long by itself is not kept."""
        size = _chars(items)
        with self._lock:
            self._chars += size - self._kept.pop(response_id, (0, ()))[0]
            self._kept[response_id] = size, items
            while self._kept and self._is_over():
                _, (freed, _) = self._kept.popitem(last=False)
                self._chars -= freed

    def _is_over(self) -> bool:
        return len(self._kept) > self._max_responses or self._chars > self._max_chars


def _chars(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_chars, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_chars, value))
    return 0
