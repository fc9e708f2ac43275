"""From what can go wrong on the way to a server to the error the caller sees; the only place."""

from __future__ import annotations

import socket

from ...errors import APIConnectionError, APIError, APITimeoutError, BadRequestError
from ..limits import Limits, timeout_error
from .body import DamagedBodyError
from .framing import BrokenAnswerError
from .http1 import IllegalHeaderError
from .target import Target

FAULTS = (OSError, BrokenAnswerError, DamagedBodyError, IllegalHeaderError)
"""What `network_error` can translate. (`TimeoutError` and TLS errors are `OSError`s.)"""


def network_error(
    exc: BaseException, target: Target, limits: Limits, *, answered: bool
) -> APIError:
    """The error for `exc`, one of `FAULTS`; `answered`: whether the answer's head had come."""
    if isinstance(exc, TimeoutError) and exc.errno is None:
        return timeout_error(limits, target.url)
    if isinstance(exc, TimeoutError):
        return APITimeoutError(f"The operating system gave up waiting: {exc}.", url=target.url)
    if isinstance(exc, IllegalHeaderError):
        return BadRequestError(str(exc), url=target.url)
    return APIConnectionError(_explain(exc, target, limits, answered=answered), url=target.url)


def _explain(exc: BaseException, target: Target, limits: Limits, *, answered: bool) -> str:
    origin = target.origin
    reason = getattr(exc, "strerror", None) or str(exc)
    if isinstance(exc, socket.gaierror):
        return f"The host {origin.host!r} cannot be found ({reason}). Check api_base."
    if hasattr(exc, "verify_message"):  # ssl.SSLCertVerificationError, without loading ssl for it
        return (
            f"The certificate of {origin} is not trusted ({exc.verify_message}). "
            "Set SSL_CERT_FILE to the certificates of its issuer."
        )
    if isinstance(exc, ConnectionRefusedError):
        return f"Nothing listens at {origin}: start the server, or check api_base ({reason})."
    if limits.phase == "connect":
        return f"No connection to {origin}: {reason[:300]}. Check api_base."
    if not answered:
        return f"The connection broke before the answer: {reason[:300]}."
    return f"The connection broke in the middle of the answer: {reason[:300]}."
