"""Which errors are worth another attempt, how often, and how long to wait before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    ModelUnloadedError,
    ProviderRetiredError,
    StreamInterruptedError,
)

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying

MAX_RETRY_AFTER = 60.0
"""Seconds; a server that asks for more is not asked again, unless the call has a total limit that
leaves so much time. OpenAI's SDK has the same bound."""

_RETRIED_STATUSES = frozenset({408, 409, 429})
_NEVER_RETRIED = frozenset({501})  # the server lacks the function: RFC 9110, section 15.6.2


def is_retryable(error: APIError) -> bool:
    """Whether the same call may succeed a moment later.

    Connection errors, 408, 409, 429 and 5xx but 501 are; other statuses are not, and neither is a
    quota that is used up (`insufficient_quota`), though its status is 429. The server's own word
    (`x-should-retry`, which OpenAI's SDK follows) goes before all that. A stream is retried only
    while nothing of it was delivered, which the driver sees to.
    """
    if isinstance(error, ProviderRetiredError | ModelUnloadedError):
        return False
    if isinstance(error, APITimeoutError) and error.is_total:
        return False
    word = error.headers.get("x-should-retry")
    if word in ("true", "false"):
        return word == "true"
    if "insufficient_quota" in (error.code, error.type):
        return False
    if isinstance(error, APIStatusError):
        status = error.status_code or 0
        return status in _RETRIED_STATUSES or (status >= 500 and status not in _NEVER_RETRIED)
    return isinstance(error, APIConnectionError | StreamInterruptedError)


class Retries:
    """The retries of one deployment in one call. tenacity counts and computes; nothing waits."""

    def __init__(self, retries: int, *, deadline: float | None, clock: Callable[[], float]) -> None:
        self._retries = retries
        self._deadline = deadline
        self._clock = clock
        self._retrying: Retrying | None = None
        self._state: RetryCallState | None = None

    def pause_after(self, error: APIError) -> float | None:
        """Seconds to wait before another attempt after `error`; `None`: there is none.

        The server's word goes first (`retry_after`); else half a second, doubling to 8 s, plus up
        to half a second of jitter. There is none after the last retry, if the wait would pass the
        deadline, or, without one, if it were longer than `MAX_RETRY_AFTER`.
        """
        if self._retrying is None or self._state is None:
            self._retrying, self._state = self._begin()
        self._state.set_exception((type(error), error, error.__traceback__))
        step = self._retrying.iter(self._state)
        self._state.prepare_for_next_attempt()
        return float(step) if isinstance(step, float) else None

    def _begin(self) -> tuple[Retrying, RetryCallState]:
        # Here and not above: tenacity is needed only once something has failed, and loads asyncio.
        import tenacity

        backoff = tenacity.wait_exponential(0.5, max=8.0) + tenacity.wait_random(0.0, 0.5)

        def wait(state: RetryCallState) -> float:
            error = state.outcome and state.outcome.exception()
            asked = error.retry_after if isinstance(error, APIError) else None
            return backoff(state) if asked is None else asked

        used_up = tenacity.stop_after_attempt(self._retries + 1)
        retrying = tenacity.Retrying(
            stop=lambda state: used_up(state) or self._is_long(state),
            wait=wait,
            retry_error_callback=lambda state: None,  # instead of raising the error
        )
        retrying.begin()
        # As `Retrying` itself does to step through the attempts of a `with` block.
        return retrying, tenacity.RetryCallState(retrying, fn=None, args=(), kwargs={})

    def _is_long(self, state: RetryCallState) -> bool:
        if self._deadline is None:
            return state.upcoming_sleep > MAX_RETRY_AFTER
        return self._clock() + state.upcoming_sleep >= self._deadline
