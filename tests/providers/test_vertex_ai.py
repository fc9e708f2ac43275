"""Gemini at Vertex AI: where calls go, and with which credential."""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from google.auth import crypt, jwt

import llmroute
from llmroute.deployments import Deployment
from llmroute.errors import (
    AuthenticationError,
    BadRequestError,
    MissingExtraError,
    UnsupportedParamsError,
)
from llmroute.providers.base import HTTPCall
from llmroute.providers.google_tokens import SCOPE
from llmroute.providers.vertex_ai import provider
from llmroute.testing.anthropic_api import AnthropicEmulator
from llmroute.testing.gemini_api import KEY, GeminiServer
from llmroute.types.chat_request import ChatRequest
from tests.servers import ScriptedServer

MODEL = "gemini-3-flash-preview"
NOW = 1_700_000_000.0
PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def pem(key: Any) -> str:
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


ACCOUNT = {
    "type": "service_account",
    "project_id": "p-1",
    "private_key_id": "key-1",
    "private_key": pem(PRIVATE),
    "client_email": "me@p-1.iam.gserviceaccount.com",
}


def build(
    api_key: str | None = KEY,
    model: str = MODEL,
    base: str = "https://aiplatform.googleapis.com",
    options: Any = None,
    **given: Any,
) -> HTTPCall:
    request = ChatRequest(
        model=f"vertex_ai/{model}",
        messages=[{"role": "user", "content": "Hi"}],
        params={"vertex_project": "p-1", **given},
    )
    deployment = Deployment(
        provider="vertex_ai",
        model=model,
        api_base=base,
        api_key=api_key,
        model_kwargs=options or {},
    )
    return provider.build(request, deployment)


def signed(call: HTTPCall, now: float = NOW) -> str:
    """The token that a call has when it is sent."""
    sent = call if call.sign is None else call.sign(call, now)
    return sent.headers["authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize(
    ("location", "host"),
    [
        (None, "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_build_goes_to_the_host_of_the_location(location: str | None, host: str) -> None:
    given = {} if location is None else {"vertex_location": location}
    where = f"projects/p-1/locations/{location or 'global'}/publishers/google/models/{MODEL}"
    assert build(**given).url == f"https://{host}/v1beta1/{where}:generateContent"
    assert "vertex" not in build(**given).body.decode()


def test_build_calls_tuned_models_and_other_bases() -> None:
    assert build(model="123").url.endswith("/locations/global/endpoints/123:generateContent")
    other = build(base="http://127.0.0.1:1/v1", vertex_location="us-central1").url
    assert other.startswith("http://127.0.0.1:1/v1/projects/p-1/locations/us-central1/")
    kept = build(options={"vertex_location": "us-central1"}).url
    assert kept.startswith("https://us-central1-aiplatform.googleapis.com/")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"vertex_project": None}, "needs a project"),
        ({"vertex_location": "evil.example/"}, "vertex_location"),
        ({"vertex_project": "../x"}, "vertex_project"),
    ],
)
def test_build_refuses_what_leads_nowhere(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        build(**given)


@pytest.mark.parametrize("kind", ["json", "file"])
def test_build_signs_with_a_service_account(kind: str, tmp_path: Path) -> None:
    """Google's own library checks the token."""
    text = json.dumps(ACCOUNT)
    path = tmp_path / "account.json"
    path.write_text(text, "utf-8")
    call = build(text if kind == "json" else str(path), vertex_project=None)
    assert "/projects/p-1/" in call.url
    bearer = signed(call)
    claims = jwt.decode(bearer, certs=PUBLIC, verify=False)
    assert claims["iss"] == claims["sub"] == ACCOUNT["client_email"]
    assert claims["scope"] == SCOPE
    assert claims["iat"] <= NOW
    assert NOW + 1800 <= claims["exp"] <= NOW + 3600
    head = jwt.decode_header(bearer)
    assert (head["alg"], head["kid"]) == ("RS256", "key-1")
    message, _, signature = bearer.rpartition(".")
    made_by = crypt.RSAVerifier.from_string(PUBLIC)
    padded = signature + "=" * (-len(signature) % 4)
    assert made_by.verify(message.encode(), urlsafe_b64decode(padded))
    assert signed(call, NOW + 60) == bearer
    assert signed(call, NOW + 3600) != bearer


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "needs credentials"),
        ("/no/such/file.json", "cannot be read"),
        (json.dumps({"type": "authorized_user"}), "authorized_user"),
        ("{broken", "not JSON"),
    ],
)
def test_build_refuses_credentials_that_make_no_token(key: str | None, words: str) -> None:
    with pytest.raises(AuthenticationError, match=words):
        build(key)


def test_build_refuses_a_private_key_that_is_no_rsa_key() -> None:
    for private in ("nonsense", pem(ec.generate_private_key(ec.SECP256R1()))):
        call = build(json.dumps({**ACCOUNT, "private_key": private}))
        with pytest.raises(AuthenticationError, match="no RSA key"):
            signed(call)


def test_build_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    call = build(json.dumps({**ACCOUNT, "private_key_id": "not signed before"}))
    with pytest.raises(MissingExtraError, match=r"llmroute\[vertex\]"):
        signed(call)


def test_build_takes_tokens_keys_and_functions() -> None:
    assert signed(build("ya29.token")) == "ya29.token"
    express = build("AIzaKey", vertex_project=None)
    assert express.headers["x-goog-api-key"] == "AIzaKey"
    assert express.url.endswith(f".com/v1beta1/publishers/google/models/{MODEL}:generateContent")
    tokens = iter(["first", "second"])
    call = build(None, options={"vertex_token_provider": lambda: next(tokens)})
    assert [signed(call), signed(call)] == ["first", "second"]
    with pytest.raises(AuthenticationError, match="NoneType"):
        signed(build(None, options={"vertex_token_provider": lambda: None}))


def test_build_sends_what_only_vertex_takes() -> None:
    armor = {"prompt_template_name": "t"}
    function = {"type": "function", "function": {"name": "f"}}
    sent = json.loads(build(model_armor_config=armor, tools=[function, {"googleSearch": {}}]).body)
    assert sent["modelArmorConfig"] == armor
    assert "toolConfig" not in sent
    assert "generationConfig" not in sent


def test_build_sends_claude_anthropics_body() -> None:
    call = build(
        model="claude-sonnet-4-5@20250929",
        vertex_location="europe-west1",
        max_tokens=5,
        context_management={"edits": []},
    )
    assert call.url == (
        "https://europe-west1-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west1/"
        "publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"
    )
    assert json.loads(call.body) == {
        "anthropic_version": "vertex-2023-10-16",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "max_tokens": 5,
        "context_management": {"edits": []},
    }
    assert call.headers["anthropic-beta"] == "context-management-2025-06-27"
    with pytest.raises(UnsupportedParamsError, match="safety_settings"):
        build(model="claude-sonnet-4-5", safety_settings=[])


CLAUDES = [
    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
    {"type": "text", "text": "a"},
]


@pytest.mark.parametrize("stream", [False, True])
def test_completion_answers_with_claude(stream: bool) -> None:
    """The protocol is Anthropic's own, and so is its emulator's answer."""
    with AnthropicEmulator() as claude:
        claude.script(CLAUDES, CLAUDES)
        asked = {"model": "m", "max_tokens": 5, "messages": [], "stream": stream}
        asked["messages"] = [{"role": "user", "content": "Hi"}]
        head = {"x-api-key": claude.api_key, "anthropic-version": "2023-06-01"}
        recorded = httpx.post(f"{claude.url}/v1/messages", json=asked, headers=head)
    kind, data = recorded.headers["content-type"], recorded.content
    answer = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n"
    with ScriptedServer([answer.encode() + data]) as server:
        call: dict[str, Any] = {"api_base": server.url, "api_key": KEY, "vertex_project": "p-1"}
        model = "vertex_ai/claude-sonnet-4-5"
        got = llmroute.completion(model, "Hi", **call)
        if stream:
            got = llmroute.completion(model, "Hi", stream=True, **call).get_final_completion()
    assert got.text == "a"
    assert got.choices[0].message.reasoning_content == "Hm."
    assert got.choices[0].message["provider_content"] == {"format": "anthropic", "blocks": CLAUDES}
    assert got.choices[0].finish_reason == "stop"


@pytest.fixture
def server() -> Iterator[GeminiServer]:
    with GeminiServer("One two three") as server:
        yield server


def test_completion_answers(server: GeminiServer) -> None:
    call: dict[str, Any] = {"api_base": server.url, "api_key": KEY, "vertex_project": "p-1"}
    got = llmroute.completion(f"vertex_ai/{MODEL}", "Hi", **call)
    assert got.text == "One two three"
    assert llmroute.completion_cost(got) is not None

    async def streamed() -> str:
        stream = await llmroute.acompletion(f"vertex_ai/{MODEL}", "Hi", stream=True, **call)
        return (await stream.get_final_completion()).text

    assert asyncio.run(streamed()) == "One two three"
    assert server.requests[-1].path.endswith(":streamGenerateContent?alt=sse")
    with pytest.raises(AuthenticationError) as caught:
        llmroute.completion(f"vertex_ai/{MODEL}", "Hi", **{**call, "api_key": "wrong-token"})
    assert "wrong-token" not in str(caught.value)
