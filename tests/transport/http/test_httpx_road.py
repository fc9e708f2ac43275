"""When httpx carries the call: a client of the caller's, or a proxy from the environment."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from roads import open_road, post
from servers import OK, ScriptedServer

from llmroute.errors import APIConnectionError, APITimeoutError, BadRequestError
from llmroute.transport.http import AsyncHTTPTransport, HTTPTransport
from llmroute.transport.http.proxies import proxy_for
from llmroute.transport.http.target import target
from llmroute.transport.limits import Limits
from llmroute.types.request import TimeLimits


def limits() -> Limits:
    return Limits.begin(TimeLimits())


def _answer(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/slow":
        raise httpx.ReadTimeout("slow", request=request)
    if request.url.path == "/broken":
        raise httpx.ReadError("broken", request=request)
    return httpx.Response(200, json={"asked": json.loads(request.content)})


def test_a_mocked_client() -> None:
    with httpx.Client(transport=httpx.MockTransport(_answer)) as client:
        transport = HTTPTransport(client)
        assert transport.open(post("http://any/v1"), limits()).read() == b'{"asked":{}}'
        with pytest.raises(APITimeoutError, match="first_token"):
            transport.open(post("http://any/slow"), limits())
        with pytest.raises(APIConnectionError, match="broken"):
            transport.open(post("http://any/broken"), limits())


def test_a_mocked_async_client() -> None:
    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(_answer)) as client:
            transport = AsyncHTTPTransport(client)
            response = await transport.open(post("http://any/v1"), limits())
            assert await response.read() == b'{"asked":{}}'
            with pytest.raises(APITimeoutError, match="first_token"):
                await transport.open(post("http://any/slow"), limits())

    asyncio.run(run())


def test_the_callers_client_stays_open_and_a_closed_one_is_told() -> None:
    with ScriptedServer(OK) as server, httpx.Client() as client:
        HTTPTransport(client).open(post(server.url), limits()).read()
        HTTPTransport(client).close()
        assert not client.is_closed
        client.close()
        with pytest.raises(BadRequestError, match="closed"):
            HTTPTransport(client).open(post(server.url), limits())


@pytest.mark.parametrize("name", ["sync", "async"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment(
    name: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(OK) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        for road in open_road(name):
            assert road.read(post("http://model.example/v1")).body == b"ok"
            assert road.read(post("http://model.example/v1")).body == b"ok"
        assert proxy.requests[0].line == "POST http://model.example/v1 HTTP/1.1"
        assert proxy.connections == 1


@pytest.mark.parametrize("name", ["sync", "async"])
def test_a_proxy_that_is_not_there_is_thought_of(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for road in open_road(name):
        with pytest.raises(APIConnectionError, match="through the proxy set in HTTP_PROXY"):
            road.read(post("http://model.example/v1"))


@pytest.mark.parametrize("name", ["sync", "async"])
def test_no_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(OK) as proxy, ScriptedServer(OK) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.com, 127.0.0.1")
        for road in open_road(name):
            road.read(post(server.url))
        assert len(server.requests) == 1
        assert not proxy.requests


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("http://a.example/", "", True),
        ("https://a.example/", "", False),  # only HTTP_PROXY is set
        ("http://a.example/", "*", False),
        ("http://a.example/", "example", False),
        ("http://a.example/", ".example", False),
        ("http://a.example/", "a.example", False),
        ("http://a.example/", "b.example", True),
        ("http://ample/", "example", True),
    ],
)
def test_where_a_proxy_may_apply(
    url: str, no_proxy: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_for(target(url).origin) is not None) is expected
