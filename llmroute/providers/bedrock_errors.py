"""Errors of Bedrock: refused calls, and exceptions within a stream, by their names.

Written from https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
and https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html (2026-11-28).
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import (
    APIError,
    AuthenticationError,
    BadGatewayError,
    RateLimitError,
    ServiceUnavailableError,
)
from ..types.request import JSON
from .failures import payload_error, status_error

_STATUSES = {
    "AccessDeniedException": 403,
    "InternalServerException": 500,
    "ModelErrorException": 424,
    "ModelNotReadyException": 429,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
# Where the status alone says too little: 424 is the model's failure and not the caller's, 403 is
# what a wrong key gets, and a quota that is exceeded is 400.
_CLASSES: dict[str, type[APIError]] = {
    "ExpiredTokenException": AuthenticationError,
    "IncompleteSignature": AuthenticationError,
    "InvalidClientTokenId": AuthenticationError,
    "InvalidSignatureException": AuthenticationError,
    "MissingAuthenticationToken": AuthenticationError,
    "MissingAuthenticationTokenException": AuthenticationError,
    "ModelErrorException": BadGatewayError,
    "ModelNotReadyException": ServiceUnavailableError,
    "ModelStreamErrorException": BadGatewayError,
    "ServiceQuotaExceededException": RateLimitError,
    "SignatureDoesNotMatch": AuthenticationError,
    "UnrecognizedClientException": AuthenticationError,
}


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> APIError:
    """The error that an answer with an error's status stands for."""
    error = status_error(status, headers, body)
    named = headers.get("x-amzn-errortype") or ""
    if not named and isinstance(error.body, Mapping):
        named = str(error.body.get("__type") or "")
    # Such as `com.amazonaws.bedrock#ThrottlingException:http://internal.amazon.com/...`.
    return _typed(error, named.partition(":")[0].rpartition("#")[2])


def exception(name: str, payload: JSON) -> APIError:
    """The error that an event of a stream stands for; one that is not known is the server's."""
    name = name[:1].upper() + name[1:]
    match payload:
        case {"originalStatusCode": int(original)} if original >= 400:
            error = payload_error(original, payload)  # the model's own, which says more
            error.code = error.code or name
            return error
    return _typed(payload_error(_STATUSES.get(name, 500), payload), name)


def exception_in(name: str, payload: JSON) -> APIError | None:
    """The error in an event that is one by its name; `None` if it is none."""
    return exception(name, payload) if name.endswith("Exception") else None


def _typed(error: APIError, name: str) -> APIError:
    error.code = error.code or name or None
    kind = _CLASSES.get(name)
    return error if kind is None else error.recast(kind, error.message)
