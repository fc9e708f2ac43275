"""Errors of Google's APIs: google.rpc.Status in JSON (https://google.aip.dev/193)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import APIError, AuthenticationError
from .failures import status_error, stream_error

# Google answers a key that it does not know with 400 INVALID_ARGUMENT; only the reason of the
# error tells it from a wrong parameter (https://ai.google.dev/gemini-api/docs/troubleshooting).
_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"})


def failure(status: int, headers: Mapping[str, str], body: bytes) -> APIError:
    """The error for an answer of `status`, with Google's name for it (`NOT_FOUND`) as `code`."""
    return _named(status_error(status, headers, body))


def payload_failure(payload: object) -> APIError | None:
    """The error that an event, or an answer of status 200, stands for; `None` if it is none."""
    if isinstance(payload, Mapping) and "error" not in payload:
        return None
    error = stream_error(payload)
    return None if error is None else _named(error)


def _named(error: APIError) -> APIError:
    payload = error.body[0] if isinstance(error.body, list) and error.body else error.body
    said = payload.get("error") if isinstance(payload, Mapping) else None
    if not isinstance(said, Mapping):
        return error
    if isinstance(said.get("status"), str):
        error.code = said["status"]
    if _KEY_REASONS.intersection(_reasons(said)) and not isinstance(error, AuthenticationError):
        return error.recast(AuthenticationError, error.message)
    return error


def _reasons(said: Mapping[str, Any]) -> Iterator[str]:
    """The reasons in an error's details (google.rpc.ErrorInfo)."""
    details = said.get("details")
    for item in details if isinstance(details, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("reason"), str):
            yield item["reason"]
