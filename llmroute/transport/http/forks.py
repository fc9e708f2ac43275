"""What a forked child must not use: connections of its parent, and locks nobody there frees."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Shared(Protocol):
    """Something that the child of a fork gets a copy of, and must leave alone."""

    def abandon(self) -> None:
        """Called in the child, before anything else runs there. Must not disturb the parent."""


_shared: weakref.WeakSet[Shared] = weakref.WeakSet()


def abandon_in_children(shared: Shared) -> None:
    """Has `shared.abandon()` called in every child that is forked while `shared` is alive."""
    _shared.add(shared)


def _in_child() -> None:
    for shared in list(_shared):
        shared.abandon()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_child)
