"""From an error answer to an error: by status, then by the provider's code, never by wording.

Nothing is redacted or cut here: `redaction.redact` does both, in this order, once it is known which
secrets the call had.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

from pydantic_core import from_json

from ..deployments import origin, shown
from ..errors import (
    APIError,
    APIResponseValidationError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    error_class,
)
from ..redaction import MASK
from ..types.call_info import request_id
from .words import words

# OpenAI's error codes, and those of llama.cpp's server and of the gateways that add to them.
_CLASS_BY_CODE: dict[str, type[APIError]] = {
    "context_length_exceeded": ContextWindowExceededError,
    "exceed_context_size_error": ContextWindowExceededError,
    "string_above_max_length": ContextWindowExceededError,
    "content_policy_violation": ContentPolicyViolationError,
    "content_filter": ContentPolicyViolationError,
    "ResponsibleAIPolicyViolation": ContentPolicyViolationError,  # Azure's, in `innererror`
}

# For an error without a number, as streams have them: OpenAI's codes and types, Anthropic's types
# (docs.anthropic.com/en/api/errors), Google's status names (google.rpc.Code).
_STATUS_BY_CODE = {
    **dict.fromkeys(_CLASS_BY_CODE, 400),
    "invalid_request_error": 400,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "UNAUTHENTICATED": 401,
    "billing_error": 402,
    "permission_error": 403,
    "PERMISSION_DENIED": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "NOT_FOUND": 404,
    "request_too_large": 413,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "RESOURCE_EXHAUSTED": 429,
    "overloaded_error": 503,
    "UNAVAILABLE": 503,
    "timeout_error": 504,
    "DEADLINE_EXCEEDED": 504,
}
_STATUS_KEYS = ("status", "code", "status_code", "statusCode")
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


def status_error(status: int, headers: Mapping[str, str], body: bytes) -> APIError:
    """The error for an answer of `status`; what the body says goes into the message."""
    return payload_error(status, _decode_error(body), headers)


def payload_error(
    status: int, payload: object, headers: Mapping[str, str] | None = None
) -> APIError:
    """The error for a decoded body, as it also comes in the middle of a stream."""
    headers = headers or {}
    detail = _detail(payload)
    code, kind = _text(detail.get("code")), _text(detail.get("type"))
    named = (code, kind, _inner_code(detail))
    by_code = next((_CLASS_BY_CODE[name] for name in named if name in _CLASS_BY_CODE), None)
    cls = by_code if by_code and 400 <= status < 500 else error_class(status)
    said = words(payload, otherwise=True)
    return cls(
        f"{status}: {said or 'the answer has no body'}",
        status_code=status,
        code=code or kind,
        type=kind,
        param=_text(detail.get("param")),
        request_id=request_id(headers),
        retry_after=retry_after(headers, detail),
        headers=headers,
        body=payload,
        provider_message=said,
    )


def stream_error(payload: object) -> APIError | None:
    """The error that an event of a stream, or an answer of status 200, stands for.

    `None` if it is not an error. The status is the one the payload names, by number or by a code
    that is known; a failure that names none counts as the server's (500).
    """
    return payload_error(_status(payload), payload) if _is_error(payload) else None


def event_error(data: bytes) -> APIError:
    """The error that an event named `error` stands for, whatever its data is."""
    payload = _decode_error(data)
    return payload_error(_status(payload), payload)


def choice_error(choice: Mapping[str, Any]) -> APIError | None:
    """The error inside a choice, as OpenRouter sends it; `None` if there is none.

    (https://openrouter.ai/docs/api-reference/errors, 2026-11: `error` beside `finish_reason:
    "error"`.)
    """
    if choice.get("error"):
        return stream_error({"error": choice["error"]})
    if str(choice.get("finish_reason")).lower() == "error":
        return payload_error(500, {"error": {"message": "The choice ended with an error."}})
    return None


def not_understood(
    what: str, body: bytes, *, provider: str | None = None, model: str | None = None
) -> APIResponseValidationError:
    """The error for an answer or event that does not follow the protocol; `what` says how.

    If the body has words for people (an error that nobody foresaw), they go into the message.
    """
    payload = decode(body)
    said = words(payload)
    return APIResponseValidationError(
        f"{what} It says: {said}" if said else what,
        provider=provider,
        model=model,
        body=payload,
        provider_message=said,
    )


def tell_redirect(error: APIError) -> None:
    """Says in the message of a redirect that was not followed where it leads; needs `url`."""
    status, location = error.status_code, error.headers.get("location")
    if status is None or not 300 <= status < 400 or location is None or error.url is None:
        return
    try:
        there = urljoin(error.url, location)
    except ValueError:
        there = location
    where = shown(there)
    if location == MASK or origin(there) is None:  # what is no URL is hidden as a whole
        error.message = f"{status}: the server redirects, but to no URL. Check api_base=."
    elif origin(there) != origin(error.url):
        error.message = (
            f"{status}: the server redirects to {where}, which is another server; the key must not "
            "travel there. If that is the right one, pass it as api_base=."
        )
    elif status in (307, 308):
        error.message = (
            f"{status}: the server redirects again and again, at last to {where}. Check api_base=."
        )
    else:
        error.message = (
            f"{status}: the server redirects to {where}, and after a {status} a request's body is "
            "not sent again. If the API is there, correct api_base=."
        )


def decode(body: bytes) -> object:
    """A body as JSON if it is JSON, else as text."""
    try:
        payload: object = from_json(body)
    except ValueError:
        return body.decode("utf-8", "replace")
    return payload


def _decode_error(body: bytes) -> object:
    """As `decode`; of JSON whose end is missing, what is there. Only errors may be read so."""
    payload = decode(body)
    if not isinstance(payload, str) or body.lstrip()[:1] not in (b"{", b"["):
        return payload
    try:
        beginning: object = from_json(body, allow_partial="trailing-strings")
    except ValueError:
        return payload
    return beginning or payload


def retry_after(
    headers: Mapping[str, str], detail: Mapping[str, Any] | None = None
) -> float | None:
    """Seconds the server asks to wait; `None` if it did not say, or in no form that is known.

    Forms are `retry-after-ms`, `retry-after` in seconds or as a date, and in the body Google's
    `RetryInfo`. A date counts from the answer's own `date` (RFC 9110, section 10.2.3), so a wrong
    local clock does no harm.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return next(_retry_infos((detail or {}).get("details")), None)
    seconds = _number(value)
    if seconds is not None:
        return seconds
    until = _timestamp(value)
    if until is None:
        return None
    now = _timestamp(headers.get("date", "")) or time.time()
    return max(0.0, until - now)


def _retry_infos(details: object) -> Iterator[float]:
    """The waits in an error's `details` (google.rpc.RetryInfo): seconds, written as `"39.5s"`."""
    for item in details if isinstance(details, list) else ():
        if isinstance(item, Mapping) and str(item.get("@type")).endswith("google.rpc.RetryInfo"):
            found = _SECONDS.fullmatch(str(item.get("retryDelay")))
            if found:
                yield float(found[1])


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
    for key in ("error", "base_resp"):
        if isinstance(payload.get(key), Mapping):
            return payload[key]  # type: ignore[no-any-return]  # JSON
    errors = payload.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return {**payload, **first} if isinstance(first, Mapping) else payload


def _is_error(payload: object) -> bool:
    """Whether this is an error, in any of the shapes providers have for one.

    `error` (OpenAI and most), `errors` (Cloudflare), `success: false`, `base_resp` (MiniMax),
    `{status, title}` (the Llama API, RFC 9457), `object: "error"` (vLLM), `type: "error"`
    (Anthropic), or words where an answer should be (FastAPI's `detail`, `message`, Zhipu's `msg`).
    """
    if isinstance(payload, list):
        return bool(payload) and _is_error(payload[0])
    if not isinstance(payload, Mapping):
        return False
    if payload.get("error") or payload.get("errors") or payload.get("success") is False:
        return True
    if payload.get("object") == "error" or payload.get("type") == "error":
        return True
    base = payload.get("base_resp")
    if isinstance(base, Mapping) and base.get("status_code") not in (None, 0, "0"):
        return True
    if payload.keys() & {"choices", "data", "usage", "delta"}:
        return False
    return bool(words(payload)) and not payload.keys() & {"id", "model"}


def _status(payload: object) -> int:
    """The status that an error in a body names."""
    detail = _detail(payload)
    for key in _STATUS_KEYS:
        text = _text(detail.get(key)) or ""
        if len(text) == 3 and text.isascii() and text.isdecimal() and 400 <= int(text) <= 599:
            return int(text)
    for key in ("code", "type", "status"):
        known = _STATUS_BY_CODE.get(_text(detail.get(key)) or "")
        if known is not None:
            return known
    return _STATUS_BY_CODE.get(_inner_code(detail) or "", 500)


def _inner_code(detail: Mapping[str, Any]) -> str | None:
    """The code of `innererror`, where Azure says what an error is about."""
    inner = detail.get("innererror")
    return _text(inner.get("code")) if isinstance(inner, Mapping) else None


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None
