"""Which errors are worth another try, and how long to wait before it."""

from __future__ import annotations

import functools
from collections.abc import Callable

from ..errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    ModelUnloadedError,
    ProviderRetiredError,
    StreamInterruptedError,
)

MAX_RETRY_AFTER = 60.0
"""Seconds; a server that asks for more is asked again after this long, as OpenAI's SDK does."""

_RETRIED_STATUSES = frozenset({408, 409, 429})


def is_retryable(error: APIError) -> bool:
    """Whether the same call may succeed a moment later.

    Connection errors, 408, 409, 429 and 5xx are; other statuses are not. A stream is retried only
    while nothing of it was delivered, which the driver sees to.
    """
    if isinstance(error, ProviderRetiredError | ModelUnloadedError):
        return False
    if isinstance(error, APIStatusError):
        status = error.status_code
        return status is not None and (status in _RETRIED_STATUSES or status >= 500)
    if isinstance(error, APITimeoutError):
        return not error.is_total
    return isinstance(error, APIConnectionError | StreamInterruptedError)


def pause_before(attempt: int, error: APIError) -> float:
    """Seconds to wait before try number `attempt` (the first retry is 2).

    The server's word goes first, up to `MAX_RETRY_AFTER`; else 0.5 s doubling to 8 s, plus up to
    half a second of jitter.
    """
    if error.retry_after is not None:
        return min(error.retry_after, MAX_RETRY_AFTER)
    return _exponential()(attempt - 1)


@functools.cache
def _exponential() -> Callable[[int], float]:
    # Here and not above: tenacity is needed only once something has failed, and loads asyncio.
    from tenacity import RetryCallState, Retrying, wait_exponential, wait_random

    wait = wait_exponential(multiplier=0.5, max=8.0) + wait_random(0.0, 0.5)

    def seconds(retries: int) -> float:
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = retries
        return wait(state)

    return seconds
