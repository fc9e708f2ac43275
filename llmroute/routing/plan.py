"""What to try next. A generator that is told what went wrong and never waits itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..deployments import Deployment
from ..errors import (
    APIError,
    BadRequestError,
    ContextWindowExceededError,
    UnprocessableEntityError,
)
from .backoff import Retries, is_retryable


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
) -> Plan:
    """Tries each deployment up to `retries` + 1 times, in order.

    After an `Attempt` send in the error it ended with, after a `Sleep` send `None`; on success
    just drop the generator. It raises the last error when nothing is left to try, and at once for
    an error that no deployment can mend, or when `deadline` (a reading of `clock`, in seconds) has
    passed. A deployment that would have to be waited for too long (see `Retries`) is left for the
    next one.

    A prompt that is too long for one model goes on to the deployments of other models only.
    """
    last: APIError | None = None
    too_small: set[str] = set()
    for deployment in deployments:
        if too_small and deployment.name in too_small:
            continue
        again: Retries | None = None
        while True:
            last = yield Attempt(deployment)
            if last is None:
                raise RuntimeError("after an attempt the plan must be sent its error")
            if not retries or not is_retryable(last):
                break
            again = again or Retries(retries, deadline=deadline, clock=clock)
            if (seconds := again.pause_after(last)) is None:
                break
            yield Sleep(seconds)
        if isinstance(last, ContextWindowExceededError):
            too_small.add(deployment.name)
        elif _is_callers_fault(last) or (deadline is not None and clock() >= deadline):
            break
    if last is None:
        raise ValueError("a plan needs at least one deployment")
    raise last


def _is_callers_fault(error: APIError) -> bool:
    """Whether every deployment would refuse the request in the same way."""
    return isinstance(error, BadRequestError | UnprocessableEntityError)
