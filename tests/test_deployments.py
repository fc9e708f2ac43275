"""Deployments: what they show, and what a call does with their parameters and limits."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from servers import HOLD, ScriptedServer

from llmroute.deployments import Deployment, DeploymentLimits, origin, shown, shown_server
from llmroute.errors import APITimeoutError
from llmroute.providers.base import HTTPCall
from llmroute.transport.drive import Job, complete
from llmroute.transport.http.target import target
from llmroute.transport.limits import Limits
from llmroute.types.chat_request import CHAT, ChatRequest
from llmroute.types.request import TimeLimits

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi"},
            "finish_reason": "stop",
        }
    ],
}
BODY = json.dumps(ANSWER).encode()
OK = [
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY),
    BODY,
]
SECRET = "a-secret-of-the-call"


def deployment(server: ScriptedServer, **given: Any) -> Deployment:
    return Deployment(provider="hosted_vllm", model="m", api_base=server.url, **given)


def job(
    *deployments: Deployment, time_limits: TimeLimits | None = None, **params: Any
) -> Job[Any, Any]:
    request = ChatRequest(
        model="a group", params=params, messages=[{"role": "user", "content": "Hi"}]
    )
    return Job(CHAT, request, deployments, 0, time_limits or TimeLimits())


def test_params_of_a_deployment_are_defaults() -> None:
    with ScriptedServer(OK) as server:
        place = deployment(server, params={"temperature": 0.5, "top_p": 0.9}, id="first")
        answer = complete(job(place, temperature=0.1))
    (sent,) = server.requests
    body = json.loads(sent.body)
    assert (body["temperature"], body["top_p"]) == (0.1, 0.9)
    info = answer.call_info
    assert (info.model, info.provider, info.deployment_id) == (
        "hosted_vllm/m",
        "hosted_vllm",
        "first",
    )
    assert [a.deployment_id for a in info.attempts] == ["first"]


def test_time_limits_of_a_deployment_are_those_of_an_attempt() -> None:
    with ScriptedServer([HOLD]) as slow, ScriptedServer(OK) as quick:
        first = deployment(slow, time_limits=TimeLimits(total=0.2), id="slow")
        answer = complete(
            job(first, deployment(quick, id="quick"), time_limits=TimeLimits(total=20))
        )
    assert answer.text == "Hi"
    assert [a.deployment_id for a in answer.call_info.attempts] == ["slow", "quick"]
    assert "0.2 seconds" in (answer.call_info.attempts[0].error or "")


def test_time_limits_of_a_deployment_end_with_the_total_of_the_call() -> None:
    with ScriptedServer([HOLD]) as server, ScriptedServer(OK) as other:
        first = deployment(server, time_limits=TimeLimits(total=20.0))
        with pytest.raises(APITimeoutError, match=r"0\.3 seconds \(timeout: total\)") as caught:
            complete(job(first, deployment(other), time_limits=TimeLimits(total=0.3)))
    assert other.requests == []
    assert caught.value.model == "hosted_vllm/m"


def test_limits_of_an_attempt_never_pass_those_of_the_call() -> None:
    call = Limits.begin(TimeLimits(total=1.0))
    longer = call.attempt(TimeLimits(total=20.0, idle=3.0))
    assert (longer.deadline, longer.total, longer.idle) == (call.deadline, 1.0, 3.0)
    assert longer.wait_deadline == call.deadline
    shorter = call.attempt(TimeLimits(total=0.5))
    assert shorter.total == 0.5
    assert shorter.deadline is not None
    assert call.deadline is not None
    assert shorter.deadline < call.deadline
    endless = call.attempt(TimeLimits(total=None))
    assert (endless.deadline, endless.wait_deadline) == (call.deadline, call.deadline)
    assert Limits.begin(TimeLimits()).attempt(TimeLimits(total=2.0)).total == 2.0


def test_a_deployment_is_frozen_and_limits_nothing_by_default() -> None:
    place = Deployment(provider="openai", model="m")
    with pytest.raises(dataclasses.FrozenInstanceError):
        place.weight = 2.0  # type: ignore[misc]
    assert place.limits == DeploymentLimits(rpm=None, tpm=None, max_parallel=None)
    assert (place.weight, place.order, place.id, place.group, place.time_limits) == (
        1,
        0,
        "",
        "",
        None,
    )


def test_reprs_show_no_secret() -> None:
    url = f"https://me:{SECRET}@host/v1?key={SECRET}"
    place = Deployment(
        provider="openai",
        model="m",
        api_base=url,
        api_key=SECRET,
        model_kwargs={"secret_key": SECRET},
    )
    request = ChatRequest(
        model="m", messages=[], extra_body={"key": SECRET}, extra_headers={"x": SECRET}
    )
    call = HTTPCall("POST", url, {"authorization": SECRET}, SECRET.encode())
    assert repr(call) == f"HTTPCall(POST https://host/v1, {len(SECRET)} bytes)"
    for value in (place, request, call, target(url), Job(CHAT, request, [place], 0, TimeLimits())):
        assert SECRET not in repr(value) + str(value)


@pytest.mark.parametrize(
    ("url", "expected", "server"),
    [
        ("https://host/v1", "https://host/v1", "https://host"),
        ("HTTPS://Host:8443/v1/", "https://host:8443/v1/", "https://host"),
        ("https://u:p@host/v1?a=b#c", "https://host/v1", "https://host"),
        ("https://u:p@[::1]:80/v1", "https://[::1]:80/v1", "https://[::1]"),
        ("https://user:1/word@host/v1", "https://user:1", "https://user"),
        ("ftp://host/x", "ftp://host/x", "ftp://host"),
        ("https://user:word/x@host", "", ""),
        ("user:word@host/v1", "", ""),
        ("https:///v1", "", ""),
        ("https://host:0/v1", "", ""),
        ("https://[::1", "", ""),
        ("sk-key", "", ""),
        ("", "", ""),
    ],
)
def test_shown_shows_no_credentials(url: str, expected: str, server: str) -> None:
    assert shown(url) == expected
    assert shown_server(url) == server


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Host/v1", ("https", "host", 443)),
        ("https://host:443", ("https", "host", 443)),
        ("http://u:p@host/v1", ("http", "host", 80)),
        ("http://host:8080", ("http", "host", 8080)),
        ("ftp://host", None),
        ("https://host:x", None),
        ("https://host:0", None),
        ("https://", None),
        ("host", None),
    ],
)
def test_origin_is_scheme_host_and_port(url: str, expected: tuple[str, str, int] | None) -> None:
    assert origin(url) == expected
