"""Where this package was called from, so that a warning points at the caller's line."""

from __future__ import annotations

import sys


def callers_level() -> int:
    """The `stacklevel` of the first line outside of this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("llmroute."):
        level, frame = level + 1, frame.f_back
    return level
