"""Errors: one class a status, whole after a trip through pickle, never a key in the text."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from llmroute import errors
from llmroute.deployments import Deployment
from llmroute.providers.failures import retry_after, status_error, stream_error
from llmroute.providers.gateways import GATEWAYS
from llmroute.types.call_info import AttemptRecord
from llmroute.types.chat import ChatCompletion
from llmroute.types.chat_request import ChatRequest

BY_STATUS = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    408: errors.APITimeoutError,
    409: errors.ConflictError,
    413: errors.RequestTooLargeError,
    422: errors.UnprocessableEntityError,
    429: errors.RateLimitError,
    500: errors.InternalServerError,
    502: errors.BadGatewayError,
    503: errors.ServiceUnavailableError,
    504: errors.GatewayTimeoutError,
}


@pytest.mark.parametrize("status", [*range(300, 600), 777])
def test_every_status_has_its_class(status: int) -> None:
    error = status_error(status, {}, b"")
    if status in BY_STATUS:
        assert type(error) is BY_STATUS[status]
    elif status < 400:
        assert type(error) is errors.APIStatusError
    elif status < 500:
        assert type(error) is errors.BadRequestError
    else:
        assert type(error) is errors.InternalServerError
    assert error.status_code == status
    assert str(error) == f"{status}: the answer has no body"


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"code": "context_length_exceeded"}, errors.ContextWindowExceededError),
        (400, {"type": "exceed_context_size_error"}, errors.ContextWindowExceededError),
        (400, {"code": "content_filter"}, errors.ContentPolicyViolationError),
        (400, {"code": "content_policy_violation"}, errors.ContentPolicyViolationError),
        (400, {"message": "context_length_exceeded"}, errors.BadRequestError),
        (400, {"code": 400, "type": "invalid_request_error"}, errors.BadRequestError),
        (500, {"code": "context_length_exceeded"}, errors.InternalServerError),
        (429, {"code": "insufficient_quota"}, errors.RateLimitError),
    ],
)
def test_a_code_decides_within_the_callers_faults_and_wording_never_does(
    status: int, error: dict[str, object], expected: type[errors.APIError]
) -> None:
    body = repr({"error": error}).replace("'", '"').encode()
    assert type(status_error(status, {}, body)) is expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "openai"}}', "openai"),
        (b'{"error": "gateway"}', "gateway"),
        (b'{"title": "Forbidden", "detail": "llama", "status": 403}', "llama"),
        (b'{"title": "Forbidden", "status": 403}', "Forbidden"),
        (b'{"detail": "fastapi"}', "fastapi"),
        (b'{"message": "mistral"}', "mistral"),
        (b'[{"error": {"message": "gemini", "status": "X"}}]', "gemini"),
        (b"plain text", "plain text"),
        (b"<html>502</html>", "<html>502</html>"),
        (b"\xff\xfe", "��"),
        (b" ", "the answer has no body"),
        (b'"text"', "text"),
        (b"{}", "{}"),
        (b"null", "null"),
    ],
)
def test_the_message_is_the_providers_wherever_it_put_it(body: bytes, message: str) -> None:
    assert str(status_error(502, {}, body)) == f"502: {message}"


def test_what_the_answer_tells_is_on_the_error() -> None:
    body = b'{"error": {"message": "m", "code": "c", "param": "p", "type": "t"}}'
    headers = {"x-request-id": "r-1", "retry-after": "7"}
    error = status_error(429, headers, body)
    assert (error.code, error.param, error.request_id, error.retry_after) == ("c", "p", "r-1", 7.0)
    assert error.headers == headers
    assert error.body == {"error": {"message": "m", "code": "c", "param": "p", "type": "t"}}


@given(st.binary(max_size=200), st.integers(300, 599))
def test_any_body_makes_an_error(body: bytes, status: int) -> None:
    assert str(status_error(status, {}, body)).startswith(f"{status}: ")


NOW = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": NOW}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT", "date": NOW}, 0.0),
        ({"retry-after": "Sun Nov 22 10:00:30 2026", "date": NOW}, 30.0),
        ({"retry-after": "Sunday, 22-Nov-26 10:00:30 GMT", "date": NOW}, 30.0),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
    ],
)
def test_retry_after_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_retry_after_is_a_wait_or_none(value: str, date: str) -> None:
    seconds = retry_after({"retry-after": value, "date": date})
    assert seconds is None or 0 <= seconds < float("inf")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"error": {"message": "x", "code": 429}}, errors.RateLimitError),
        ({"error": {"message": "x", "status": 503}}, errors.ServiceUnavailableError),
        ({"error": {"message": "x", "code": "server_error"}}, errors.InternalServerError),
        ({"error": "x"}, errors.InternalServerError),
        ({"error": {"message": "x", "code": 200}}, errors.InternalServerError),
        ({"title": "Too Many", "detail": "x", "status": 429}, errors.RateLimitError),
        ({"object": "error", "message": "x", "code": 400}, errors.BadRequestError),
        ({"error": None, "choices": []}, None),
        ({"choices": []}, None),
        ([], None),
        ("error", None),
    ],
)
def test_an_event_of_a_stream_can_be_an_error(
    payload: object, expected: type[errors.APIError] | None
) -> None:
    error = stream_error(payload)
    assert (type(error) if error else None) is expected


def classes(base: type[errors.LLMRouteError]) -> Iterator[type[errors.LLMRouteError]]:
    yield base
    for cls in base.__subclasses__():
        yield from classes(cls)


OURS = sorted(
    {cls for cls in classes(errors.LLMRouteError) if cls.__module__ == errors.__name__},
    key=lambda cls: cls.__name__,
)
TRIPS = {"pickle": lambda error: pickle.loads(pickle.dumps(error)), "deepcopy": copy.deepcopy}


def example(cls: type[errors.LLMRouteError]) -> errors.LLMRouteError:
    if cls is errors.MissingExtraError:
        return errors.MissingExtraError("llamacpp", "A model here")
    if not issubclass(cls, errors.APIError):
        return cls("told")
    error = cls(
        "told",
        provider="openai",
        model="openai/m",
        url="http://h/v1",
        status_code=418,
        code="c",
        param="p",
        request_id="r",
        retry_after=1.5,
        headers={"a": "b"},
        body={"k": [1]},
    )
    error.attempts = (AttemptRecord("openai", "m", "http://h/v1", 0.1, error="x"),)
    if isinstance(error, errors.StreamInterruptedError):
        error.partial = ChatCompletion.model_validate(
            {"id": "1", "created": 1, "model": "m", "choices": [{"message": {"content": "Hel"}}]}
        )
    return error


@pytest.mark.parametrize("trip", TRIPS)
@pytest.mark.parametrize("cls", OURS)
def test_every_error_survives_a_copy(cls: type[errors.LLMRouteError], trip: str) -> None:
    error = example(cls)
    back = TRIPS[trip](error)
    assert type(back) is cls
    assert str(back) == str(error)
    assert back.args == error.args
    assert vars(back) == vars(error)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    told = errors.__doc__ or ""
    assert [cls.__name__ for cls in OURS if cls.__name__ not in told] == []


def test_an_error_of_several_tries_says_how_many() -> None:
    error = errors.RateLimitError("429: slow down", model="p/m", url="http://h/v1")
    assert str(error) == "429: slow down [p/m at http://h/v1]"
    error.attempts = (AttemptRecord("p", "m", None, 0.1),) * 3
    assert str(error) == "429: slow down [p/m at http://h/v1, 3 attempts]"


KEY = "sk-very-secret"


@pytest.mark.parametrize("name", GATEWAYS)
def test_no_key_is_shown(name: str) -> None:
    deployment = Deployment(provider=name, model="m", api_base="http://h/v1", api_key=KEY)
    call = GATEWAYS[name].build(
        ChatRequest(model=f"{name}/m", messages=[{"role": "user", "content": "Hi"}]), deployment
    )
    assert call.headers["authorization"] == f"Bearer {KEY}"
    error = GATEWAYS[name].explain(status_error(401, {}, b"no"), deployment)
    shown = f"{deployment!r} {deployment} {call!r} {call} {error!r} {error} {vars(error)}"
    assert KEY not in shown
