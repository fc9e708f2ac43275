"""Signature Version 4, with botocore's signer as the judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from llmroute.providers.base import HTTPCall
from llmroute.providers.sigv4 import Credentials, sign

NOW = 1_795_000_000.75
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"


def theirs(call: HTTPCall, monkeypatch: pytest.MonkeyPatch, token: str | None) -> str:
    """What botocore signs the headers with that ours signs."""
    headers = {
        name: value
        for name, value in call.headers.items()
        if name == "content-type" or name.startswith("x-amz")
    }
    request = AWSRequest(call.method, call.url, headers=headers, data=call.body)
    now = datetime.fromtimestamp(NOW, UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now.replace(tzinfo=None))
    signer = botocore.auth.SigV4Auth(
        BotoCredentials("AKIDEXAMPLE", "wJalr/secret+KEY", token), "bedrock", "us-east-1"
    )
    signer.add_auth(request)
    assert request.headers["X-Amz-Date"] == sent(call, token).headers["x-amz-date"]
    return str(request.headers["Authorization"])


def sent(call: HTTPCall, token: str | None) -> HTTPCall:
    signer = Credentials("AKIDEXAMPLE", "wJalr/secret+KEY", token)
    return sign(call, NOW, credentials=signer, region="us-east-1", service="bedrock")


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize(
    "path",
    [
        "/model/amazon.nova-lite-v1%3A0/converse",
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile"
        "%2Fabc/converse-stream",
        "/",
        "",
        "/a%20b/~x_y-z.0",
        "/model/x/converse?b=2&a=1&a=%20&c=%2F&e=",
        "/%E4%B8%AD/é",
    ],
)
@pytest.mark.parametrize("body", [b"", b'{"messages": []}', "ü".encode()])
def test_sign_agrees_with_botocore(
    path: str, body: bytes, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {
        "content-type": "application/json",
        "accept": "application/json",
        "x-amzn-bedrock-trace": "  a   b ",
        "user-agent": "us",
    }
    call = HTTPCall("POST", HOST + path, headers, body)
    assert sent(call, token).headers["authorization"] == theirs(call, monkeypatch, token)


@pytest.mark.parametrize(
    "host",
    ["http://127.0.0.1:8123", "https://h.example:443", "http://h.example:80", "http://[::1]:9"],
)
def test_sign_takes_the_host_as_it_is_sent(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call = HTTPCall("POST", f"{host}/model/x/converse", {"content-type": "a/b"}, b"{}")
    assert sent(call, None).headers["authorization"] == theirs(call, monkeypatch, None)


@pytest.mark.parametrize(
    "change",
    [{"method": "GET"}, {"body": b"{ }"}, {"url": f"{HOST}/other"}, {"headers": {"x-amz-a": "1"}}],
)
def test_sign_covers_everything(change: dict[str, Any]) -> None:
    call = HTTPCall("POST", f"{HOST}/model", {}, b"{}")
    first, second = sent(call, None), sent(replace(call, **change), None)
    assert first.headers["authorization"] != second.headers["authorization"]


def test_sign_sends_and_shows_no_secret() -> None:
    call = sent(HTTPCall("POST", HOST, {}, b"{}"), "a-session-token")
    assert "secret" not in str(call.headers)
    assert "secret" not in repr(Credentials("id", "a-secret", "a-token"))
    assert "a-token" not in repr(Credentials("id", "a-secret", "a-token"))
