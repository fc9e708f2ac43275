"""The plan, driven by hand: no client, no clock, no waiting."""

from __future__ import annotations

import pytest

from llmroute.deployments import Deployment
from llmroute.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ContextWindowExceededError,
    InternalServerError,
    ProviderRetiredError,
    RateLimitError,
    StreamInterruptedError,
    error_class,
)
from llmroute.routing.backoff import MAX_RETRY_AFTER, is_retryable, pause_before
from llmroute.routing.plan import Attempt, Plan, Sleep, plan

LLAMA = Deployment(provider="meta_llama", model="a")
LOCAL = Deployment(provider="llamacpp", model="b")


def rate_limited(retry_after: float | None = None) -> RateLimitError:
    return RateLimitError("429", retry_after=retry_after)


def test_rate_limit_waits_as_told_then_tries_the_next_deployment() -> None:
    p = plan([LLAMA, LOCAL], retries=1)
    assert next(p) == Attempt(LLAMA)
    assert p.send(rate_limited(retry_after=7.0)) == Sleep(7.0)
    assert next(p) == Attempt(LLAMA)
    assert p.send(rate_limited(retry_after=7.0)) == Attempt(LOCAL)


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_exactly_retries_plus_one_attempts(retries: int) -> None:
    assert attempts(plan([LLAMA], retries=retries), InternalServerError("500")) == retries + 1


def attempts(p: Plan, error: APIError) -> int:
    """How often `p` tries when every try ends in `error`."""
    count = 0
    step = next(p)
    while True:
        if isinstance(step, Sleep):
            step = next(p)
            continue
        count += 1
        try:
            step = p.send(error)
        except type(error):
            return count


@pytest.mark.parametrize("status", range(400, 600))
def test_which_statuses_are_tried_again(status: int) -> None:
    error = error_class(status)(str(status), status_code=status)
    expected = status in (408, 409, 429) or status >= 500
    assert is_retryable(error) is expected
    assert attempts(plan([LLAMA], retries=2), error) == (3 if expected else 1)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (APIConnectionError("refused"), True),
        (APITimeoutError("no answer"), True),
        (StreamInterruptedError("before the first chunk"), True),
        (ProviderRetiredError("gone"), False),
        (APIStatusError("a redirect", status_code=302), False),
        (APIError("unknown"), False),
    ],
)
def test_which_other_errors_are_tried_again(error: APIError, expected: bool) -> None:
    assert is_retryable(error) is expected


def test_the_total_limit_is_not_tried_again() -> None:
    error = APITimeoutError("total")
    error.is_total = True
    assert not is_retryable(error)


def test_a_request_every_deployment_would_refuse_is_not_sent_on() -> None:
    for error in (BadRequestError("400"), ContextWindowExceededError("too long")):
        assert attempts(plan([LLAMA, LOCAL]), error) == 1


def test_a_refused_key_leads_to_the_next_deployment() -> None:
    p = plan([LLAMA, LOCAL])
    assert next(p) == Attempt(LLAMA)
    assert p.send(AuthenticationError("401")) == Attempt(LOCAL)


def test_a_wait_past_the_deadline_raises_instead() -> None:
    p = plan([LLAMA, LOCAL], retries=2, deadline=105.0, clock=lambda: 100.0)
    next(p)
    error = rate_limited(retry_after=5.0)
    with pytest.raises(RateLimitError) as caught:
        p.send(error)
    assert caught.value is error


def test_no_deployment_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="at least one"):
        next(plan([]))


def test_an_attempt_must_be_answered_with_its_error() -> None:
    p = plan([LLAMA])
    next(p)
    with pytest.raises(RuntimeError):
        next(p)


def test_pauses_grow_and_are_bounded() -> None:
    error = InternalServerError("500")
    for attempt, shortest in ((2, 0.5), (3, 1.0), (4, 2.0), (5, 4.0), (6, 8.0), (30, 8.0)):
        assert shortest <= pause_before(attempt, error) <= shortest + 0.5


def test_retry_after_is_capped() -> None:
    assert pause_before(2, rate_limited(retry_after=0.25)) == 0.25
    assert pause_before(2, rate_limited(retry_after=1e9)) == MAX_RETRY_AFTER
