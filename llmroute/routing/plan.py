"""What to try next. A generator that is told what went wrong and never waits itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..deployments import Deployment
from ..errors import APIError, BadRequestError, UnprocessableEntityError
from .backoff import is_retryable, pause_before


@dataclass(frozen=True, slots=True)
class Attempt:
    """Try this deployment now."""

    deployment: Deployment


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait `seconds`, then ask again."""

    seconds: float


Step: TypeAlias = Attempt | Sleep
Plan: TypeAlias = Generator[Step, APIError | None, None]


def plan(
    deployments: Sequence[Deployment],
    *,
    retries: int = 2,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[int, APIError], float] = pause_before,
) -> Plan:
    """Tries each deployment up to `retries` + 1 times, in order.

    After an `Attempt` send in the error it ended with, after a `Sleep` send `None`; on success
    just drop the generator. It raises the last error when nothing is left to try: at once for an
    error that no other try can mend, and instead of a wait that would pass `deadline` (a reading
    of `clock`, in seconds).
    """
    last: APIError | None = None
    for deployment in deployments:
        for number in range(1, retries + 2):
            last = yield Attempt(deployment)
            if last is None:
                raise RuntimeError("a plan that goes on after an attempt must be told its error")
            if not is_retryable(last) or number > retries:
                break
            seconds = pause(number + 1, last)
            if deadline is not None and clock() + seconds >= deadline:
                raise last
            yield Sleep(seconds)
        if _is_callers_fault(last):
            break
    if last is None:
        raise ValueError("a plan needs at least one deployment")
    raise last


def _is_callers_fault(error: APIError | None) -> bool:
    """Whether every deployment would refuse the request in the same way."""
    return isinstance(error, BadRequestError | UnprocessableEntityError)
