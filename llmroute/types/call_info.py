"""How an answer came to be: what was called, how often, what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import PrivateAttr

from .base import Model


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try of a call."""

    provider: str
    model: str
    url: str | None
    """Where it went, without query or key; a file path for a local model."""
    seconds: float
    """How long the try took."""
    status_code: int | None = None
    error: str | None = None
    """Class and message of what went wrong; `None` for the try that succeeded."""
    waited: float = 0.0
    """Seconds slept before this try."""


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Facts about a finished call that are not part of the provider's answer."""

    provider: str
    model: str
    """The model string as the caller wrote it."""
    url: str | None = None
    request_id: str | None = None
    """The provider's id of this request, for its support."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Response headers, names in lower case."""
    dropped_params: tuple[str, ...] = ()
    """Parameters that were left out because `unsupported="drop"` allowed it."""
    attempts: tuple[AttemptRecord, ...] = ()
    """Every try, the successful one last."""


class Answer(Model):
    """A complete answer; `call_info` tells how it was obtained."""

    _call_info: CallInfo | None = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, however they were obtained."""
        return (
            isinstance(other, type(self))
            and self.__dict__ == other.__dict__
            and self.__pydantic_extra__ == other.__pydantic_extra__
        )

    @property
    def call_info(self) -> CallInfo | None:
        """How this answer was obtained; `None` for one that no call produced."""
        return self._call_info
