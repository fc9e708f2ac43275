"""The plan, driven by hand: no client, no clock, no waiting."""

from __future__ import annotations

from dataclasses import replace

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
    UnprocessableEntityError,
    error_class,
)
from llmroute.routing.backoff import MAX_RETRY_AFTER, Retries, is_retryable
from llmroute.routing.plan import Attempt, Plan, Sleep, plan

LLAMA = Deployment(provider="meta_llama", model="a")
LOCAL = Deployment(provider="llamacpp", model="b")


def rate_limited(retry_after: float | None = None) -> RateLimitError:
    return RateLimitError("429", retry_after=retry_after)


def test_plan_waits_as_long_as_the_server_asks_then_takes_the_next_deployment() -> None:
    p = plan([LLAMA, LOCAL], retries=1)
    assert next(p) == Attempt(LLAMA)
    assert p.send(rate_limited(retry_after=7.0)) == Sleep(7.0)
    assert next(p) == Attempt(LLAMA)
    assert p.send(rate_limited(retry_after=7.0)) == Attempt(LOCAL)
    assert p.send(rate_limited(retry_after=3.0)) == Sleep(3.0)
    assert next(p) == Attempt(LOCAL)
    error = rate_limited(retry_after=7.0)
    with pytest.raises(RateLimitError) as caught:
        p.send(error)
    assert caught.value is error


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_plan_makes_one_attempt_more_than_retries(retries: int) -> None:
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
def test_is_retryable_by_status(status: int) -> None:
    error = error_class(status)(str(status), status_code=status)
    expected = status in (408, 409, 429) or (status >= 500 and status != 501)
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
def test_is_retryable_by_class(error: APIError, expected: bool) -> None:
    assert is_retryable(error) is expected


@pytest.mark.parametrize("status", [400, 408, 429, 501, 503])
@pytest.mark.parametrize(("word", "expected"), [("true", True), ("false", False)])
def test_is_retryable_follows_x_should_retry(status: int, word: str, expected: bool) -> None:
    headers = {"x-should-retry": word}
    error = error_class(status)("told", status_code=status, headers=headers)
    assert is_retryable(error) is expected


def test_is_retryable_ignores_another_x_should_retry() -> None:
    assert is_retryable(RateLimitError("429", headers={"x-should-retry": "maybe"}))
    assert not is_retryable(BadRequestError("400", headers={"x-should-retry": ""}))


@pytest.mark.parametrize("where", ["code", "type"])
def test_is_retryable_not_when_the_quota_is_used_up(where: str) -> None:
    error = RateLimitError("429", **{"code": "x", where: "insufficient_quota"})  # type: ignore[arg-type]
    assert not is_retryable(error)
    p = plan([LLAMA, LOCAL])
    next(p)
    assert p.send(error) == Attempt(LOCAL)


def test_is_retryable_not_when_the_total_limit_passed() -> None:
    error = APITimeoutError("total")
    error.is_total = True
    assert not is_retryable(error)


def test_plan_stops_at_a_request_that_every_deployment_would_refuse() -> None:
    for error in (BadRequestError("400"), UnprocessableEntityError("422")):
        assert attempts(plan([LLAMA, LOCAL]), error) == 1


def test_plan_takes_another_model_when_the_context_window_is_too_small() -> None:
    elsewhere = replace(LLAMA, api_base="http://other/v1")
    p = plan([LLAMA, elsewhere, LOCAL])
    assert next(p) == Attempt(LLAMA)
    assert p.send(ContextWindowExceededError("too long")) == Attempt(LOCAL)
    last = ContextWindowExceededError("too long here, too")
    with pytest.raises(ContextWindowExceededError) as caught:
        p.send(last)
    assert caught.value is last


def test_plan_takes_the_next_deployment_when_a_key_is_refused() -> None:
    p = plan([LLAMA, LOCAL])
    assert next(p) == Attempt(LLAMA)
    assert p.send(AuthenticationError("401")) == Attempt(LOCAL)


@pytest.mark.parametrize(("retry_after", "waits"), [(4.9, True), (5.0, False), (3600.0, False)])
def test_plan_does_not_wait_past_the_deadline(retry_after: float, waits: bool) -> None:
    p = plan([LLAMA], retries=2, deadline=105.0, clock=lambda: 100.0)
    next(p)
    error = rate_limited(retry_after)
    if waits:
        assert p.send(error) == Sleep(retry_after)
        return
    with pytest.raises(RateLimitError) as caught:
        p.send(error)
    assert caught.value is error


def test_plan_tries_nothing_after_the_deadline() -> None:
    p = plan([LLAMA, LOCAL], deadline=105.0, clock=lambda: 105.0)
    next(p)
    error = APITimeoutError("total")
    error.is_total = True
    with pytest.raises(APITimeoutError) as caught:
        p.send(error)
    assert caught.value is error


@pytest.mark.parametrize("deadline", [None, 105.0])
def test_plan_takes_the_next_deployment_instead_of_a_long_wait(deadline: float | None) -> None:
    p = plan([LLAMA, LOCAL], deadline=deadline, clock=lambda: 100.0)
    next(p)
    assert p.send(rate_limited(retry_after=3600.0)) == Attempt(LOCAL)


def test_plan_waits_long_only_within_a_deadline() -> None:
    longer = MAX_RETRY_AFTER + 1
    p = plan([LLAMA], deadline=1000.0, clock=lambda: 0.0)
    next(p)
    assert p.send(rate_limited(retry_after=longer)) == Sleep(longer)
    p = plan([LLAMA])
    next(p)
    assert p.send(rate_limited(retry_after=MAX_RETRY_AFTER)) == Sleep(MAX_RETRY_AFTER)
    next(p)
    with pytest.raises(RateLimitError):
        p.send(rate_limited(retry_after=longer))


def test_plan_needs_a_deployment() -> None:
    with pytest.raises(ValueError, match="at least one"):
        next(plan([]))


def test_plan_must_be_sent_the_error_of_an_attempt() -> None:
    p = plan([LLAMA])
    next(p)
    with pytest.raises(RuntimeError):
        next(p)


def test_pause_after_doubles_and_is_bounded() -> None:
    again = Retries(9, deadline=None, clock=lambda: 0.0)
    for shortest in (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0):
        pause = again.pause_after(InternalServerError("500"))
        assert pause is not None
        assert shortest <= pause <= shortest + 0.5


def test_pause_after_has_jitter() -> None:
    pauses = {
        Retries(1, deadline=None, clock=lambda: 0.0).pause_after(InternalServerError("500"))
        for _ in range(20)
    }
    assert len(pauses) > 1


def test_pause_after_leaves_the_error_as_it_is() -> None:
    try:
        raise InternalServerError("500")
    except InternalServerError as raised:
        error = raised
    trace = error.__traceback__
    again = Retries(1, deadline=None, clock=lambda: 0.0)
    assert again.pause_after(error) is not None
    assert again.pause_after(error) is None
    assert error.__traceback__ is trace
