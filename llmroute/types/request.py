"""What the requests of all operations share; each operation's own is beside its answer."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict

from .operation import Operation

JSON: TypeAlias = Any
"""Data that JSON can carry; checked where it is encoded."""

Unsupported: TypeAlias = Literal["raise", "drop", "pass"]
"""What to do with a parameter the provider does not take: raise `UnsupportedParamsError`, leave it
out with a warning and a record in `call_info.dropped_params`, or send it anyway."""

STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")
"""How the parameters of a call are checked."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a call may take, in seconds; `None` means no limit.

    The defaults wait ten minutes for a server that says nothing, as OpenAI's SDK does, and set no
    limit to a long answer that keeps coming.
    """

    total: float | None = None
    """The whole call: all attempts, the waits between them, and the whole stream."""
    connect: float | None = 10.0
    """Opening one connection."""
    first_token: float | None = 600.0
    """From sending a request to the first piece of its answer that says something: the first chunk
    with text, reasoning or a call of a stream, the first byte of a whole answer. Comments, pings
    and empty chunks do not count."""
    idle: float | None = 600.0
    """Between two such pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every operation shares. `params` hold only what the caller set (no `None`)."""

    row: ClassVar[Operation[Any, Any]]
    """The facts about its operation."""

    model: str
    """The model string as the caller wrote it, prefix included."""
    params: Mapping[str, JSON] = field(default_factory=dict)
    stream: bool = False
    extra_body: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    """Merged into the body last; its keys win. Not checked, and never shown, as options of a
    gateway may hold a key."""
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with the provider's own; may hold a key, so they are never shown."""
    unsupported: Unsupported = "raise"
    allow_missing_finish_reason: bool = False
    """Whether a stream may end without saying why, if its end mark came after some content."""
    call_id: str = field(default_factory=lambda: os.urandom(12).hex())
    """Stands in for an id where the provider gives none, so that providers stay pure."""
    created: int = field(default_factory=lambda: int(time.time()))
    """Unix time in seconds; stands in where the provider gives none."""

    @property
    def operation(self) -> str:
        """`"chat"`, `"text"`, `"embedding"` or `"rerank"`."""
        return self.row.name
