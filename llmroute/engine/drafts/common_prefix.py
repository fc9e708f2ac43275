"""How far two lists of tokens agree."""

from __future__ import annotations

from collections.abc import Sequence


def common_length(one: Sequence[int], other: Sequence[int], most: int) -> int:
    """How many tokens two lists have in common at their beginning, at most `most`."""
    low, high = 0, min(len(one), len(other), most)
    while low < high:  # comparing slices is done in C
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
