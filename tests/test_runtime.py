"""The object that holds what a process keeps between calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from llmroute.runtime import Runtime, shared, use


class Numbers(list[int]):
    """A part for these tests."""


def test_shared_part_is_made_once_and_is_the_same_in_all_threads() -> None:
    with use(Runtime()), ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(lambda _: shared(Numbers), range(64)))
    assert all(each is parts[0] for each in parts)


def test_use_puts_another_runtime_in_place_and_the_old_one_back() -> None:
    outside = shared(Numbers)
    with use(Runtime()):
        assert shared(Numbers) is not outside
    assert shared(Numbers) is outside


def test_put_replaces_a_part() -> None:
    mine = Numbers([1])
    with use(Runtime()) as runtime:
        runtime.put(mine)
        assert shared(Numbers) is mine
