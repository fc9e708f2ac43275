"""What is told of a loaded model. Importing it loads nothing of llama.cpp."""

from __future__ import annotations

from dataclasses import dataclass

from .options.load import LoadOptions


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is loaded, or being loaded."""

    path: str
    n_ctx: int | None
    """The context window in tokens; `None` while loading."""
    options: LoadOptions
    active: int
    """How many answers are being generated."""
    waiting: int
    """How many answers wait for that."""
