"""A text or a list of texts or token ids, as `prompt=` and `input=` take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import BadRequestError


def checked_inputs(value: object, name: str, model: str) -> Any:
    """`value`, a list made of any other sequence. Raises `BadRequestError` naming `name`."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and value and not isinstance(value, bytes):
        return list(value)
    raise BadRequestError(
        f"{name} must be a text or a list of at least one, not {value!r:.100}.",
        model=model,
        param=name,
    )
