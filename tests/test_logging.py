"""The logger `llmroute`: what was sent at DEBUG, what is tried again at INFO, a key never."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from servers import ScriptedServer

import llmroute
from llmroute.testing.openai_api import OpenAIServer

KEY = "sk-a-key-that-nobody-may-see"
BUSY = b"HTTP/1.1 503 Busy\r\nretry-after-ms: 1\r\ncontent-length: 0\r\n\r\n"


def _async(*args: Any, **given: Any) -> Any:
    return asyncio.run(llmroute.acompletion(*args, **given))


@pytest.fixture(params=[llmroute.completion, _async], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    chosen: Callable[..., Any] = request.param
    return chosen


def test_debug_says_what_was_sent(
    call: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="llmroute")
    with OpenAIServer() as server:
        base = server.base_url
        call("openai/m", "Hi", api_base=f"{base}?token={KEY}", api_key=KEY)
    sent, answered = caplog.messages
    assert sent.startswith(f"POST {base}/chat/completions: openai/m, ")
    assert answered.startswith("openai/m answered")
    assert KEY not in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def test_info_says_what_is_tried_again(
    call: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="llmroute")
    with (
        ScriptedServer([BUSY], [BUSY], [BUSY]) as server,
        pytest.raises(llmroute.ServiceUnavailableError),
    ):
        call("openai/m", "Hi", api_base=server.url, api_key=KEY)
    assert len(caplog.messages) == 2  # two more tries, each told once; the last error is raised
    assert all("ServiceUnavailableError" in message for message in caplog.messages)
    assert all(server.url in message for message in caplog.messages)
    assert KEY not in caplog.text


def test_nothing_is_logged_about_a_call_that_works(
    call: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="llmroute")
    assert call("mock/m", "Hi", mock_response="yes").text == "yes"
    assert caplog.messages == []
