"""From an error answer to an error: by status, then by the provider's code, never by wording."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic_core import from_json

from ..errors import (
    APIError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    error_class,
)

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-requestid", "cf-ray")

# OpenAI's error codes, and those of llama.cpp's server and of the gateways that add to them.
_CLASS_BY_CODE: dict[str, type[APIError]] = {
    "context_length_exceeded": ContextWindowExceededError,
    "exceed_context_size_error": ContextWindowExceededError,
    "string_above_max_length": ContextWindowExceededError,
    "content_policy_violation": ContentPolicyViolationError,
    "content_filter": ContentPolicyViolationError,
}


def status_error(status: int, headers: Mapping[str, str], body: bytes) -> APIError:
    """The error for an answer of `status`; what the body says goes into the message."""
    error = payload_error(status, decode(body), headers)
    if 300 <= status < 400 and "location" in headers:
        where = headers["location"].partition("?")[0]
        error.message = (
            f"{status}: the server redirects to {where}, which is another server; the key must not "
            "travel there. If that is the right one, pass it as api_base=."
        )
    return error


def payload_error(
    status: int, payload: object, headers: Mapping[str, str] | None = None
) -> APIError:
    """The error for a decoded body, as it also comes in the middle of a stream."""
    headers = headers or {}
    detail = _detail(payload)
    code, kind = _text(detail.get("code")), _text(detail.get("type"))
    by_code = _CLASS_BY_CODE.get(code or "") or _CLASS_BY_CODE.get(kind or "")
    cls = by_code if by_code and 400 <= status < 500 else error_class(status)
    return cls(
        f"{status}: {_message(detail, payload)}",
        status_code=status,
        code=code or kind,
        param=_text(detail.get("param")),
        request_id=request_id(headers),
        retry_after=retry_after(headers),
        headers=headers,
        body=payload,
    )


def stream_error(payload: object) -> APIError | None:
    """The error an event of a stream stands for; `None` if it is none.

    Its status is the one the payload names; a failure without one is taken for the server's (500).
    """
    detail = _detail(payload)
    if not isinstance(payload, Mapping) or not (payload.get("error") or _is_problem(payload)):
        return None
    for value in (detail.get("status"), detail.get("code"), detail.get("status_code")):
        if isinstance(value, int | str) and str(value).isdigit() and 400 <= int(value) <= 599:
            return payload_error(int(value), payload)
    return payload_error(500, payload)


def decode(body: bytes) -> object:
    """A body as JSON if it is JSON, else as text (at most 2,000 characters)."""
    try:
        payload: object = from_json(body)
    except ValueError:
        return body[:8000].decode("utf-8", "replace")[:2000]
    return payload


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of the request."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if name in headers), None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.

    A date counts from the answer's own `date` (RFC 9110, section 10.2.3), so a wrong local clock
    does no harm. `None` if the server did not say, or not in a form that can be read.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _number(value)) is not None:
        return seconds if value is not None else None
    until = _timestamp(value)
    if until is None:
        return None
    now = _timestamp(headers.get("date", "")) or time.time()
    return max(0.0, until - now)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _timestamp(value: str) -> float | None:
    try:
        date = parsedate_to_datetime(value)
        # A date without a zone (the old asctime form) is in UTC: RFC 9110, section 5.6.7.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _detail(payload: object) -> Mapping[str, Any]:
    """The object that describes the error, wherever the provider put it."""
    if isinstance(payload, list) and payload:
        return _detail(payload[0])
    if not isinstance(payload, Mapping):
        return {}
    inner = payload.get("error")
    if isinstance(inner, Mapping):
        return inner
    return {**payload, "message": inner} if isinstance(inner, str) else payload


def _is_problem(payload: Mapping[str, Any]) -> bool:
    """Whether this is an error without an `error` key.

    The Llama API sends `{title, detail, status}` (as in RFC 9457), vLLM `{object: "error", ...}`.
    """
    return ("status" in payload and "title" in payload) or payload.get("object") == "error"


def _message(detail: Mapping[str, Any], payload: object) -> str:
    for key in ("message", "detail", "title"):
        if isinstance(detail.get(key), str) and detail[key]:
            return str(detail[key])
    text = str(payload).strip()
    return text[:500] if text else "the answer has no body"


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None
