"""How an answer came to be: what was called, how often, what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import PrivateAttr

from .base import Model

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-requestid", "cf-ray")


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of a request, from the headers of its answer."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if name in headers), None)


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt of a call."""

    provider: str
    model: str
    """The model's name at the provider, without the prefix."""
    url: str | None
    """The URL that was called, without query or key; a file path for a local model."""
    seconds: float
    """How long the attempt took."""
    status_code: int | None = None
    error: str | None = None
    """Class and message of what went wrong; `None` for the attempt that succeeded."""
    waited: float = 0.0
    """Seconds slept before this attempt."""
    deployment_id: str = ""
    """The `id` of the deployment; `""` if it has none."""


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Facts about a finished call that are not part of the provider's answer."""

    provider: str
    model: str
    """`provider/model` of the deployment that answered."""
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Response headers, names in lower case; secrets of the call that stood in them are `***`."""
    deployment_id: str = ""
    """The `id` of the deployment; `""` if it has none."""
    dropped_params: tuple[str, ...] = ()
    """Parameters that were left out because `unsupported="drop"` allowed it."""
    attempts: tuple[AttemptRecord, ...] = ()
    """Every attempt, the successful one last."""

    @property
    def request_id(self) -> str | None:
        """The provider's id of this request, for its support; `None` if it gave none."""
        return request_id(self.headers)


class Answer(Model):
    """A complete answer; `call_info` says how it was obtained."""

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
