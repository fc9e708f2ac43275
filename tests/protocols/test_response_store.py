"""Where conversations are kept for `previous_response_id`."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import llmroute
from llmroute import BadRequestError, MemoryResponseStore


def items(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "input_text", "text": text}]}]


def test_load_gives_what_was_saved() -> None:
    store = MemoryResponseStore()
    store.save("r1", items("a"))
    assert store.load("r1") == items("a")
    assert store.load("r2") is None


def test_save_forgets_what_was_used_longest_ago() -> None:
    store = MemoryResponseStore(max_responses=2)
    store.save("r1", items("a"))
    store.save("r2", items("b"))
    store.load("r1")
    store.save("r3", items("c"))
    assert [store.load(f"r{n}") is not None for n in (1, 2, 3)] == [True, False, True]


def test_save_bounds_the_characters() -> None:
    store = MemoryResponseStore(max_chars=100)
    store.save("r1", items("a" * 40))
    store.save("r1", items("a" * 40))  # the same response counts once
    assert store.load("r1") is not None
    store.save("r2", items("b" * 40))
    assert store.load("r1") is None
    store.save("r3", items("c" * 101))
    assert store.load("r3") is None


def test_save_from_many_threads_stays_within_bounds() -> None:
    store = MemoryResponseStore(max_responses=5)

    def save(thread: int) -> None:
        for n in range(200):
            store.save(f"{thread}-{n}", items("a"))

    threads = [threading.Thread(target=save, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [store.load(f"{t}-{n}") for t in range(4) for n in range(200)]
    assert sum(found is not None for found in kept) == 5


class Shelf:
    """A store of the caller's own."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def load(self, response_id: str) -> Any:
        return self.kept.get(response_id)

    def save(self, response_id: str, items: Any) -> None:
        self.kept[response_id] = items


def test_responses_uses_the_callers_store() -> None:
    shelf = Shelf()
    first = llmroute.responses("openai/m", "hi", mock_response="Hello", response_store=shelf)
    llmroute.responses("openai/m", "x", mock_response="y", response_store=shelf, store=False)
    assert list(shelf.kept) == [first.id]
    more = {"mock_response": "Yes", "previous_response_id": first.id}
    second = llmroute.responses("openai/m", "more", response_store=shelf, **more)
    texts = [item["content"] for item in shelf.kept[second.id] if item.get("role") == "user"]
    assert texts == ["hi", "more"]
    with pytest.raises(BadRequestError, match="not kept"):
        llmroute.responses("openai/m", "more", **more)
