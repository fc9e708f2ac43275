"""Why a schema, a pattern or a grammar cannot be used."""

from __future__ import annotations


class GrammarError(ValueError):
    """A schema or grammar that cannot be used; the message says why."""

    path: str | None = None
    """Where in a schema, as a pointer such as `#/properties/age`."""
