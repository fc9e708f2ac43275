"""What a caller asks for with `responses()` where the provider itself speaks that protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from .operation import Operation
from .request import JSON, Request
from .responses import Response, ResponseEvent, ResponsesParams

RESPONSES = Operation(
    name="responses",
    params=ResponsesParams,
    content=("input",),
    path="/responses",
    answer=Response,
    chunk=ResponseEvent,
    id_prefix="resp_",
    by_host=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesRequest(Request):
    """A request in the Responses protocol, sent as it is."""

    row: ClassVar[Operation[Response, ResponseEvent]] = RESPONSES

    input: Sequence[Mapping[str, JSON]]
    """The items."""
