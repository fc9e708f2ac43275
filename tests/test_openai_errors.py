"""`except openai.X` catches our X where openai is imported, and nothing else changes."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from servers import ScriptedServer

import llmroute
from llmroute import errors

ROOT = Path(__file__).parents[1]
SHARED = [
    name
    for name, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.APIError) and hasattr(openai, name) and name == cls.__name__
]
LIMIT = json.dumps({"error": {"message": "Slow down.", "type": "requests", "code": "limit"}})
LIMITED = (
    f"HTTP/1.1 429 Slow\r\ncontent-type: application/json\r\nx-request-id: r-1\r\n"
    f"x-ratelimit-reset: 7\r\ncontent-length: {len(LIMIT)}\r\n\r\n{LIMIT}"
).encode()


@pytest.mark.parametrize("name", SHARED)
def test_except_catches_the_class_of_the_same_name(name: str) -> None:
    ours, theirs = getattr(errors, name), getattr(openai, name)
    with pytest.raises(theirs) as caught:
        raise ours("went wrong", model="openai/m")
    assert type(caught.value) is ours
    assert str(caught.value) == "went wrong [openai/m]"
    assert isinstance(caught.value, errors.LLMRouteError)


def test_shared_names_are_all_of_openais() -> None:
    assert len(SHARED) == 13
    for name in ("RateLimitError", "APIStatusError", "APITimeoutError", "InternalServerError"):
        assert name in SHARED


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (errors.ContextWindowExceededError, openai.BadRequestError),
        (errors.ProviderRetiredError, openai.PermissionDeniedError),
        (errors.RequestTooLargeError, openai.APIStatusError),
        (errors.ServiceUnavailableError, openai.InternalServerError),
        (errors.StreamInterruptedError, openai.APIError),
    ],
)
def test_except_catches_classes_that_openai_has_not(ours: Any, theirs: type[Exception]) -> None:
    with pytest.raises(theirs):
        raise ours("went wrong")


def test_except_of_ours_catches_none_of_theirs() -> None:
    assert not issubclass(openai.RateLimitError, errors.RateLimitError)
    assert not issubclass(errors.RateLimitError, openai.AuthenticationError)


def test_error_of_a_call_has_what_openais_has() -> None:
    with ScriptedServer([LIMITED]) as server, pytest.raises(openai.RateLimitError) as caught:
        llmroute.completion("openai/m", "Hi", api_base=server.url, api_key="k", num_retries=0)
    error: Any = caught.value
    assert (error.status_code, error.code, error.type, error.param) == (
        (429, "limit", "requests", None)
    )
    assert error.request_id == "r-1"
    assert error.body == json.loads(LIMIT)
    assert error.response.status_code == 429
    assert error.response.headers["x-ratelimit-reset"] == "7"
    assert error.response.json() == json.loads(LIMIT)
    assert error.request.method == "POST"
    assert str(error.request.url) == error.url == str(error.response.request.url)
    for twin in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is errors.RateLimitError
        assert vars(twin) == vars(error)
        assert str(twin) == str(error)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (None, ""),
        ("<html>é", "<html>é"),
        ([1], "[1]"),
        ({"a": "é"}, '{"a": "é"}'),
        (7, "7"),
        ("\ud800", "?"),
        ({"a": "\ud800"}, '{"a": "?"}'),
    ],
)
def test_response_has_the_body_as_text(body: object, text: str) -> None:
    headers = {"content-encoding": "gzip", "content-length": "3", "x-a": "b", "x-b": "\ud800"}
    response = errors.BadRequestError("x", body=body, headers=headers).response
    assert response is not None
    assert response.text == text
    assert response.headers["x-a"] == "b"


@pytest.mark.parametrize("url", ["http://\ud800/", "http://[::1", "x" * 70_000, "\0", "/a b.gguf"])
def test_request_of_a_url_that_is_none(url: str) -> None:
    error = errors.BadRequestError("x", url=url)
    assert error.response is not None
    assert error.response.request.method == error.request.method == "POST"


def test_response_is_none_without_a_status() -> None:
    assert errors.APIConnectionError("x").response is None
    assert str(errors.APIConnectionError("x").request.url) == ""


SCRIPT = """
import {first}, {second}
import pickle
assert llmroute.RateLimitError.__module__ == "llmroute.errors"
try:
    slow = llmroute.RateLimitError("slow")
    llmroute.completion("mock/m", "Hi", num_retries=0, mock_response=slow)
except openai.RateLimitError as error:
    error = pickle.loads(pickle.dumps(error))
    print(type(error).__name__, error.message, error.response.status_code)
"""
CONFLICT = """
import llmroute, openai
class Odd(openai.APIError, llmroute.APIError): pass
error = llmroute.RateLimitError("slow")
assert not isinstance(error, openai.APIError) and isinstance(error, llmroute.APIError)
print(type(error).__name__, error, error.response.status_code)
"""
PARTIAL = """
import sys, types, llmroute
sys.modules["openai"] = types.ModuleType("openai")
error = llmroute.RateLimitError("slow")
del sys.modules["openai"]
import openai
assert isinstance(llmroute.BadRequestError("later"), openai.BadRequestError)
print(type(error).__name__, error, error.response.status_code)
"""


@pytest.mark.parametrize(
    "script",
    [
        SCRIPT.format(first="openai", second="llmroute"),
        SCRIPT.format(first="llmroute", second="openai"),
        CONFLICT,
        PARTIAL,
    ],
    ids=["openai first", "llmroute first", "a class of both", "openai half loaded"],
)
def test_adopt_in_a_program_of_its_own(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == "RateLimitError slow 429\n", done.stderr


def test_errors_do_not_load_openai() -> None:
    script = "import sys, llmroute; llmroute.RateLimitError('x'); print('openai' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "False\n"
