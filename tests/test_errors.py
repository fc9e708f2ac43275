"""Errors: one class a status, whole after a trip through pickle, never a key in the text."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from llmroute import errors
from llmroute.deployments import Deployment
from llmroute.providers.failures import (
    choice_error,
    event_error,
    not_understood,
    retry_after,
    status_error,
    stream_error,
    tell_redirect,
)
from llmroute.providers.gateways import GATEWAYS
from llmroute.providers.words import words
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
def test_status_error_has_the_class_of_its_status(status: int) -> None:
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
def test_status_error_is_classed_by_code_and_never_by_wording(
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
        (b'{"code": 40013, "message": "siliconflow", "success": false}', "siliconflow"),
        (b'{"success": false, "errors": [{"code": 1, "message": "cloudflare"}]}', "cloudflare"),
        (b'{"errors": ["one", {"detail": "two"}]}', "one; two"),
        (b'{"errors": {"model": ["unknown"], "n": "too large"}}', "model: unknown; n: too large"),
        (b'{"code": 500, "msg": "zhipu", "success": false}', "zhipu"),
        (b'{"error": {"code": "1302", "message": "zhipu"}}', "zhipu"),
        (b'{"base_resp": {"status_code": 1004, "status_msg": "minimax"}}', "minimax"),
        (b'{"error": "Bad Request", "message": ["nest", "js"]}', "Bad Request: nest; js"),
        (b'{"error": "invalid_client", "error_description": "o"}', "invalid_client: o"),
        (b'{"error_code": 17, "error_msg": "baidu"}', "baidu"),
        (
            b'{"detail": [{"loc": ["body", "n"], "msg": "is low"}, {"loc": ["q"], "msg": "no"}]}',
            "body.n: is low; q: no",
        ),
        (b'{"object": "error", "message": {"detail": [{"msg": "mistral"}]}}', "mistral"),
        (
            b'{"type": "about:blank", "title": "Gone", "detail": "rfc 9457", "status": 502}',
            "rfc 9457",
        ),
        (
            b'{"error": {"message": "Provider returned error", "metadata": {"raw": "busy"}}}',
            "Provider returned error: busy",
        ),
        (
            b'{"error": {"message": "no", "metadata": {"raw": "{\\"error\\": \\"q\\"}"}}}',
            "no: q",
        ),
        (b'{"error": {"message": "no", "metadata": {"raw": {"detail": "full"}}}}', "no: full"),
        (b'{"error": {"message": "cut off here', "cut off here"),
        (b'{"error": {"status": 1}}', '{"error":{"status":1}}'),
        (b'{"a": null, "b": true}', '{"a":null,"b":true}'),
        (b"plain text", "plain text"),
        (b"<html>502</html>", "<html>502</html>"),
        (b"\xff\xfe", "��"),
        (b" ", "the answer has no body"),
        (b'"text"', "text"),
        (b"{}", "{}"),
        (b"null", "null"),
    ],
)
def test_status_error_has_the_providers_words(body: bytes, message: str) -> None:
    error = status_error(502, {}, body)
    assert str(error) == f"502: {message}"
    assert error.provider_message == ("" if message == "the answer has no body" else message)


def test_status_error_carries_what_the_answer_says() -> None:
    body = b'{"error": {"message": "m", "code": "c", "param": "p", "type": "t"}}'
    headers = {"x-request-id": "r-1", "retry-after": "7"}
    error = status_error(429, headers, body)
    assert (error.code, error.param, error.request_id, error.retry_after) == ("c", "p", "r-1", 7.0)
    assert error.type == "t"
    assert error.headers == headers
    assert error.body == {"error": {"message": "m", "code": "c", "param": "p", "type": "t"}}


def test_words_are_not_looked_for_in_the_depths() -> None:
    payload: object = {"message": "deep"}
    for _ in range(100):
        payload = [{"error": payload}]
    assert words(payload) == ""
    assert words(payload, otherwise=True).startswith('[{"error":[{"error":')
    assert words({"error": {"error": {"message": "near"}}}) == "near"


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


RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([{"@type": RETRY_INFO, "retryDelay": "39.5s"}], 39.5),
        ([{"@type": RETRY_INFO, "retryDelay": "39s"}], 39.0),
        ([{"@type": "x/google.rpc.Help"}, 1, {"@type": RETRY_INFO, "retryDelay": "0.1s"}], 0.1),
        ([{"@type": RETRY_INFO, "retryDelay": "39.5"}], None),
        ([{"@type": RETRY_INFO, "retryDelay": "-1s"}], None),
        ([{"@type": RETRY_INFO, "retryDelay": "\u0663s"}], None),
        ([{"@type": RETRY_INFO, "retryDelay": {"seconds": 3}}], None),
        ([{"@type": RETRY_INFO}], None),
        ([{"@type": "x/google.rpc.QuotaFailure", "retryDelay": "3s"}], None),
        ({"retryDelay": "3s"}, None),
        (None, None),
    ],
)
def test_retry_after_in_googles_body(details: object, seconds: float | None) -> None:
    body = json.dumps({"error": {"message": "m", "details": details}}).encode()
    assert status_error(429, {}, body).retry_after == seconds
    assert status_error(429, {}, b"[" + body + b"]").retry_after == seconds
    assert status_error(429, {"retry-after": "7"}, body).retry_after == 7.0


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
        ({"error": {"message": "x", "code": "\u00b2\u00b2\u00b2"}}, errors.InternalServerError),
        ({"error": {"message": "x", "code": "\u0664\u0662\u0669"}}, errors.InternalServerError),
        ({"error": {"message": "x", "code": "429"}}, errors.RateLimitError),
        ({"error": {"message": "x", "code": True}}, errors.InternalServerError),
        ({"error": {"message": "x", "code": 1302}}, errors.InternalServerError),
        ({"error": {"message": "x", "type": "invalid_request_error"}}, errors.BadRequestError),
        ({"error": {"code": "rate_limit_exceeded", "message": "x"}}, errors.RateLimitError),
        ({"error": {"status": "UNAVAILABLE", "message": "x"}}, errors.ServiceUnavailableError),
        (
            {"error": {"code": "context_length_exceeded", "message": "x"}},
            errors.ContextWindowExceededError,
        ),
        ({"type": "error", "error": {"type": "overloaded_error"}}, errors.ServiceUnavailableError),
        ({"code": 401, "message": "x", "success": False}, errors.AuthenticationError),
        (
            {"success": False, "errors": [{"code": 403, "message": "x"}]},
            errors.PermissionDeniedError,
        ),
        ({"success": False, "id": "1", "model": "m"}, errors.InternalServerError),
        ({"message": "x", "choices": []}, None),
        ({"base_resp": {"status_code": 1004, "status_msg": "x"}}, errors.InternalServerError),
        ({"base_resp": {"status_code": 0, "status_msg": ""}, "choices": []}, None),
        ({"message": "x"}, errors.InternalServerError),
        ({"msg": "x", "code": 429}, errors.RateLimitError),
        ({"detail": "x"}, errors.InternalServerError),
        ({"detail": [{"msg": "x"}]}, errors.InternalServerError),
        ({"errors": ["x"]}, errors.InternalServerError),
        ({"errors": [], "choices": []}, None),
        ([{"error": {"message": "x", "code": 429}}], errors.RateLimitError),
        ({"message": {"role": "assistant", "content": "x"}}, None),
        ({"model": "m", "message": "x", "done": True}, None),
        ({"type": "ping"}, None),
        ({"status": "processing"}, None),
        ({}, None),
        ({"error": None, "choices": []}, None),
        ({"choices": []}, None),
        ([], None),
        ("error", None),
    ],
)
def test_stream_error_knows_an_error_in_every_shape(
    payload: object, expected: type[errors.APIError] | None
) -> None:
    error = stream_error(payload)
    assert (type(error) if error else None) is expected


@pytest.mark.parametrize(
    ("choice", "expected", "message"),
    [
        ({"error": {"code": 502, "message": "died"}}, errors.BadGatewayError, "502: died"),
        ({"error": {"code": 400, "message": "a"}}, errors.BadRequestError, "400: a"),
        ({"error": "died", "finish_reason": "error"}, errors.InternalServerError, "500: died"),
        (
            {"finish_reason": "error", "delta": {}},
            errors.InternalServerError,
            "500: The choice ended with an error.",
        ),
        (
            {"error": {"code": 429, "message": "no", "metadata": {"raw": "slow down"}}},
            errors.RateLimitError,
            "429: no: slow down",
        ),
        ({"error": None, "finish_reason": "stop"}, None, ""),
        ({"delta": {"content": "error"}}, None, ""),
    ],
)
def test_choice_error_is_classed_by_its_code(
    choice: dict[str, object], expected: type[errors.APIError] | None, message: str
) -> None:
    error = choice_error(choice)
    assert (type(error) if error else None) is expected
    assert error is None or error.message == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"worker died", "500: worker died"),
        (b'{"error": {"message": "busy", "code": 503}}', "503: busy"),
        (b'{"code": 429}', '429: {"code":429}'),
        (b"", "500: the answer has no body"),
    ],
)
def test_event_error_is_an_error_whatever_its_data_is(data: bytes, message: str) -> None:
    assert event_error(data).message == message


def test_not_understood_adds_the_words_if_there_are_any() -> None:
    error = not_understood("No.", b"worker died", provider="openai", model="openai/m")
    assert (error.message, error.provider_message) == ("No. It says: worker died", "worker died")
    assert (error.provider, error.model, error.body) == ("openai", "openai/m", "worker died")
    assert not_understood("No.", b'{"choices": 1}').message == "No."


@pytest.mark.parametrize(
    ("status", "location", "expected"),
    [
        (302, "https://other.example/v1?key=k", "https://other.example/v1, which is another serv"),
        (307, "https://u:p@other.example/", "https://other.example/, which is another server"),
        (307, "http://host/v1/b", "which is another server"),
        (308, "/loop", "again and again, at last to https://host/loop. Check api_base="),
        (301, "./b/", "to https://host/v1/b/, and after a 301 a request's body is not sent again"),
        (303, "https://host:443/login", "to https://host:443/login, and after a 303"),
        (302, "http://[", "to no URL"),
    ],
)
def test_tell_redirect_says_where_it_leads(status: int, location: str, expected: str) -> None:
    error = status_error(status, {"location": location}, b"")
    error.url = "https://host/v1/a"
    tell_redirect(error)
    assert error.message.startswith(f"{status}: the server redirects")
    assert expected in error.message
    assert "p@" not in error.message
    assert "key=" not in error.message


@pytest.mark.parametrize(("status", "headers"), [(400, {"location": "/a"}), (302, {})])
def test_tell_redirect_leaves_other_errors(status: int, headers: dict[str, str]) -> None:
    error = status_error(status, headers, b"no")
    error.url = "https://host/v1/a"
    tell_redirect(error)
    assert error.message == f"{status}: no"


@pytest.mark.parametrize("given", ["total", "connect", "first_token", "idle", "read", "timeout"])
def test_timeout_with_a_limit_names_time_limits(given: str) -> None:
    with pytest.raises(TypeError, match=f"TimeLimits\\({given}="):
        errors.Timeout(**{given: 5})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="TimeLimits"):
        errors.Timeout(5.0)  # type: ignore[arg-type]


def test_timeout_is_the_error_of_a_time_limit() -> None:
    assert errors.Timeout is errors.APITimeoutError
    error = errors.Timeout("late", model="p/m")
    assert (error.message, error.model, error.status_code) == ("late", "p/m", 408)


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


def test_str_of_an_error_can_be_printed_whatever_the_caller_wrote() -> None:
    error = errors.APIError("no \ud800", model="openai/\ud800", url="http://\ud800/")

    assert str(error).encode() == b"no ? [openai/? at http://?/]"


def test_repr_says_what_str_says() -> None:
    error = errors.RateLimitError("Too many.", provider="openai", model="openai/m", url="http://h")
    assert repr(error) == "RateLimitError('Too many. [openai/m at http://h]')"
    assert repr(errors.MissingExtraError("llamacpp", "It")).startswith(
        'MissingExtraError("It needs'
    )


def test_llm_provider_is_the_provider() -> None:
    assert errors.APIError("x", provider="groq").llm_provider == "groq"
    assert pickle.loads(pickle.dumps(errors.APIError("x", provider="groq"))).llm_provider == "groq"
