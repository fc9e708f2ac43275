"""Sets of characters as sorted ranges of code points."""

from __future__ import annotations

from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""First and last code point of each range, in order, none touching the next."""

UNICODE: Ranges = ((0x00, 0xD7FF), (0xE000, 0x10FFFF))
"""Every character; surrogates are none."""


def of(characters: str) -> Ranges:
    """The characters of a text."""
    return union(tuple((ord(character), ord(character)) for character in characters))


def union(*sets: Ranges) -> Ranges:
    """All characters of all sets."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(range_ for ranges in sets for range_ in ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def minus(ranges: Ranges, without: Ranges) -> Ranges:
    """The characters of `ranges` that are not in `without`."""
    result = []
    for first, last in ranges:
        start = first
        for low, high in without:
            if high < start or low > last:
                continue
            if low > start:
                result.append((start, low - 1))
            start = high + 1
        if start <= last:
            result.append((start, last))
    return tuple(result)


def common(one: Ranges, other: Ranges) -> Ranges:
    """The characters that are in both."""
    return minus(one, minus(UNICODE, other))
