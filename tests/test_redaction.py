"""What counts as a secret of a call, and how it is taken out of texts, data and errors."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, ValidationError

from llmroute.errors import APIConnectionError, APIError, APIResponseValidationError
from llmroute.providers.failures import status_error
from llmroute.redaction import MASK, MAX_BODY, MAX_MESSAGE, Secrets, redact

KEY = "sk-4f00-ba11/Xy+z=0123456789"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"key {KEY}!", "key ***!"),
        (f"{KEY}{KEY}", "******"),
        (KEY.upper(), "***"),
        (quote(KEY, safe=""), "***"),
        (quote(KEY, safe="").lower(), "***"),
        (quote(KEY), "***"),
        ("".join(f"\\u{ord(c):04X}" for c in KEY), "***"),
        ("".join(f"&#{ord(c)};" for c in KEY), "***"),
        (json.dumps(KEY).replace("/", "\\/"), '"***"'),
        (f"{KEY[:8]} is cut", "*** is cut"),
        (f"{KEY[:20]}...", "***..."),
        (f"...{KEY[-12:]}", "...***"),
        (f"...{KEY[-20:]}", "...***"),
        (f"{KEY[:12]}...{KEY[-12:]}", "***...***"),
        (KEY[:7], KEY[:7]),
        (KEY[-11:], KEY[-11:]),
        ("nothing", "nothing"),
        ("100%25 & \\", "100%25 & \\"),
        ("", ""),
    ],
)
def test_hide_takes_a_secret_out_of_a_text(said: str, expected: str) -> None:
    assert Secrets([KEY]).hide(said) == expected


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("password123", "the password is wrong"),
        ("Password-2026", "Password missing"),
        ("no-key-is-required", "Field required"),
        ("my-authorization", "authorization missing"),
    ],
)
def test_hide_leaves_words_that_a_secret_begins_or_ends_with(secret: str, said: str) -> None:
    assert Secrets([secret]).hide(said) == said
    assert Secrets([secret]).hide(f"{said}: {secret}") == f"{said}: {MASK}"


def test_hide_knows_a_blank_as_forms_write_it() -> None:
    assert Secrets(["two words of it"]).hide("p=two+words+of+it;q=1") == "p=***;q=1"


def test_hide_takes_the_longest_secret_first() -> None:
    assert Secrets(["tenant-1", "tenant-1-key-2"]).hide("tenant-1-key-2 tenant-1") == "*** ***"


def test_hide_leaves_short_secrets_to_hide_said() -> None:
    secrets = Secrets(["x7"])
    assert secrets.hide("x7") == "x7"
    assert secrets.hide_said("x7, x7y, x-x7, 'x7'") == "***, x7y, x-x7, '***'"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({KEY: 1}, {MASK: 1}),
        ({KEY[:20]: 1}, {MASK: 1}),
        ({"a": [{"b": (KEY,)}]}, {"a": [{"b": [MASK]}]}),
        ([None, True, 1, 2.5], [None, True, 1, 2.5]),
        ([12345678, 1234567], [MASK, 1234567]),
        ({"x-7": "7"}, {"x-7": MASK}),
        ({"7": "seven"}, {MASK: "seven"}),
        (7, MASK),
        (None, None),
    ],
)
def test_hide_said_goes_through_data(said: Any, expected: Any) -> None:
    assert Secrets([KEY, "12345678", "7"]).hide_said(said) == expected


def test_hide_in_headers_returns_headers_without_secrets_as_they_are() -> None:
    headers = {"date": "Sun, 22 Nov 2026 10:00:00 GMT"}
    assert Secrets([KEY, "x"]).hide_in_headers(headers) is headers
    assert Secrets().hide_in_headers(headers) is headers


def test_hide_in_headers_hides_in_names_and_values() -> None:
    headers = {"x-7": "7", f"x-{KEY.lower()}": "a", "x-a": quote(KEY, safe="")}
    hidden = Secrets([KEY, "7"]).hide_in_headers(headers)
    assert hidden == {"x-7": MASK, f"x-{MASK}": "a", "x-a": MASK}


def test_hide_in_headers_leaves_names_that_begin_like_a_secret() -> None:
    headers = {"x-tenant-limit": "x-tenant-4711"}
    hidden = Secrets(["x-tenant-4711"]).hide_in_headers(headers)
    assert hidden == {"x-tenant-limit": MASK}


@pytest.mark.parametrize(
    ("given", "secret"),
    [
        ({"api_key": KEY}, KEY),
        ({"extra_headers": {"X-Tenant": KEY}}, KEY),
        ({"extra_headers": {"Authorization": f"Token {KEY}"}}, KEY),
        ({"extra_headers": {"Cookie": f"a=b; session={KEY}; c"}}, KEY),
        ({"headers": {"x-goog-api-key": KEY}}, KEY),
        ({"headers": {"authorization": f"Bearer {KEY}"}}, KEY),
        ({"headers": {"authorization": f"Basic {b64encode(f'u:{KEY}'.encode()).decode()}"}}, KEY),
        ({"urls": [f"https://u:{quote(KEY, safe='')}@h/v1"]}, KEY),
        ({"urls": [f"https://{quote(KEY, safe='')}@h/v1"]}, KEY),
        ({"urls": [f"https://u-is-long:{KEY[:9]}@h/v1"]}, "u-is-long"),
        ({"urls": ["https://u:p%40ss@h"]}, b64encode(b"u:p@ss").decode()),
        ({"urls": [None, f"https://h/v1?key={quote(KEY, safe='')}"]}, KEY),
        ({"urls": [f"https://h/v1?{quote(KEY, safe='')}"]}, KEY),
        ({"urls": [f"https://h/v1#{quote(KEY, safe='')}"]}, KEY),
        ({"urls": [f"https://user:pass/{KEY}@h"]}, f"https://user:pass/{KEY}@h"),
        ({"urls": ["https://user:password@[::1"]}, "https://user:password@[::1"),
    ],
)
def test_of_call_finds_each_secret(given: dict[str, Any], secret: str) -> None:
    assert Secrets.of_call(**given).hide(f"It said {secret}.") == "It said ***."


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"api_key": None, "urls": [None], "extra_headers": {}, "headers": {}},
        {"api_key": "", "headers": {"authorization": "Bearer "}},
        {"extra_headers": {"Accept": "application/json", "user-agent": "my-program/1"}},
        {"headers": {"idempotency-key": "0123456789abcdef"}},
        {"headers": {"http-referer": "https://me.example/page", "content-type": "text/plain-old"}},
        {"urls": ["https://host.example/v1/path?api-version=2024-02-01-preview"]},
    ],
)
def test_of_call_takes_nothing_else(given: dict[str, Any]) -> None:
    assert not Secrets.of_call(**given)


def test_of_call_takes_a_short_user_with_a_password_for_no_secret() -> None:
    assert Secrets.of_call(urls=["http://admin:geheim@h"]).hide_said("admin geheim") == "admin ***"


def test_secrets_show_nothing() -> None:
    assert repr(Secrets([KEY, "x"])) == "Secrets(2)"


@given(st.text(min_size=8, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_hide_leaves_no_secret_in_any_text(secret: str, before: str, after: str) -> None:
    hidden = Secrets([secret]).hide(before + secret.strip() + after)
    assert len(secret.strip()) < 8 or secret.strip() not in hidden or secret.strip() in MASK * 9


@pytest.mark.parametrize("start", range(MAX_MESSAGE - len(KEY) - 6, MAX_MESSAGE + 2))
def test_redact_cuts_no_message_through_a_secret(start: int) -> None:
    error = status_error(500, {}, ("y" * start + f" {KEY} " + "z" * 2000).encode())
    redact(error, Secrets([KEY]))
    assert "sk-" not in error.message
    assert error.message.startswith("500: yyy")
    assert len(error.message) == MAX_MESSAGE + len("500: ")


@pytest.mark.parametrize("start", range(MAX_BODY - len(KEY) - 6, MAX_BODY + 2))
def test_redact_cuts_no_body_through_a_secret(start: int) -> None:
    error = status_error(500, {}, ("y" * start + f" {KEY} " + "z" * 2000).encode())
    redact(error, Secrets([KEY]))
    assert isinstance(error.body, str)
    assert "sk-" not in error.body
    assert len(error.body) == MAX_BODY


def test_redact_bounds_everything() -> None:
    huge = "x" * 3_000_000
    payload = {"error": {"message": huge, "code": huge, "type": huge, "param": huge}}
    error = status_error(500, {"x-request-id": "r" * 1000}, json.dumps(payload).encode())
    redact(error, Secrets())
    assert error.message == "500: " + "x" * (MAX_MESSAGE - 1) + "…"
    assert error.args == (error.message,)
    assert isinstance(error.body, str)
    assert len(error.body) == MAX_BODY
    for fact in (error.code, error.type, error.param, error.request_id):
        assert fact is not None
        assert len(fact) == 200


def test_redact_may_be_done_twice() -> None:
    error = status_error(500, {"x-a": KEY}, f"{'y' * 5000} {KEY}".encode())
    redact(error, Secrets([KEY]))
    once = dict(vars(error))
    redact(error, Secrets([KEY]))
    assert vars(error) == once


def test_redact_leaves_model_and_provider() -> None:
    error = APIError("to openai/gpt-4o", provider="openai/gpt-4o", model="openai/gpt-4o")
    redact(error, Secrets(["openai/gpt-4o"]))
    assert (error.provider, error.model) == ("openai/gpt-4o", "openai/gpt-4o")
    assert error.message == "to ***"


def test_redact_cleans_notes_and_what_a_provider_adds() -> None:
    error = APIError("no")
    error.add_note(f"sent {KEY}")
    vars(error)["header"] = KEY
    redact(error, Secrets([KEY]))
    assert error.__notes__ == ["sent ***"]
    assert vars(error)["header"] == MASK


class Answer(BaseModel):
    count: int


def test_redact_drops_errors_that_hold_what_they_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        Answer.model_validate({"count": "a" * 60 + KEY + "z" * 60})
    assert "sk-" not in str(refused.value)
    error = APIResponseValidationError("no answer")
    error.__cause__ = error.__context__ = refused.value
    redact(error, Secrets([KEY]))
    assert (error.__cause__, error.__context__) == (None, None)


def test_redact_keeps_causes_that_are_clean() -> None:
    refused, damaged = ConnectionRefusedError(111, "refused"), APIConnectionError(f"was {KEY}")
    error = APIConnectionError("no")
    error.__cause__ = damaged
    damaged.__cause__ = refused
    refused.__context__ = OSError(KEY)
    redact(error, Secrets([KEY]))
    assert error.__cause__ is damaged
    assert damaged.message == "was ***"
    assert damaged.__cause__ is refused
    assert refused.__context__ is None


def test_redact_drops_a_context_that_is_hidden_anyway() -> None:
    error = APIError("no")
    error.__context__ = KeyError(KEY)
    error.__suppress_context__ = True
    redact(error, Secrets())
    assert error.__context__ is None
    assert error.__suppress_context__


def test_redact_ends_where_errors_come_from_each_other() -> None:
    first, second = APIError(KEY), APIError(KEY)
    first.__cause__, second.__cause__ = second, first
    redact(first, Secrets([KEY]))
    assert (first.message, second.message) == (MASK, MASK)
