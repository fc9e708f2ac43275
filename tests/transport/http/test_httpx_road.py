"""When httpx carries the call: a client of the caller's, or a proxy from the environment."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import traceback

import httpx
import pytest
from roads import Road, open_road, post
from servers import CLOSE, HOLD, OK, ScriptedServer, chunked

from llmroute.errors import APIConnectionError, APITimeoutError, BadRequestError
from llmroute.transport.http import AsyncHTTPTransport, HTTPTransport
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


def test_client_may_be_a_mock() -> None:
    with httpx.Client(transport=httpx.MockTransport(_answer)) as client:
        transport = HTTPTransport(client)
        assert transport.open(post("http://any/v1"), limits()).read() == b'{"asked":{}}'
        with pytest.raises(APITimeoutError, match="first_token"):
            transport.open(post("http://any/slow"), limits())
        with pytest.raises(APIConnectionError, match="broken"):
            transport.open(post("http://any/broken"), limits())


def test_async_client_may_be_a_mock() -> None:
    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(_answer)) as client:
            transport = AsyncHTTPTransport(client)
            response = await transport.open(post("http://any/v1"), limits())
            assert await response.read() == b'{"asked":{}}'
            with pytest.raises(APITimeoutError, match="first_token"):
                await transport.open(post("http://any/slow"), limits())

    asyncio.run(run())


def test_client_of_the_caller_stays_open_and_a_closed_one_is_refused() -> None:
    with ScriptedServer(OK) as server, httpx.Client() as client:
        HTTPTransport(client).open(post(server.url), limits()).read()
        HTTPTransport(client).close()
        assert not client.is_closed
        client.close()
        with pytest.raises(BadRequestError, match="closed"):
            HTTPTransport(client).open(post(server.url), limits())


@pytest.mark.parametrize("name", ["sync", "async"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy_of_the_environment_is_called(
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
def test_proxy_that_refuses_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for road in open_road(name):
        with pytest.raises(APIConnectionError, match="through the proxy set in HTTP_PROXY"):
            road.read(post("http://model.example/v1"))


@pytest.mark.parametrize("name", ["sync", "async"])
def test_no_proxy_goes_straight(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(OK) as proxy, ScriptedServer(OK) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.com, 127.0.0.1")
        for road in open_road(name):
            road.read(post(server.url))
        assert len(server.requests) == 1
        assert not proxy.requests


BEGUN = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunked(b"x"), HOLD]


def test_close_from_another_thread_wakes_the_reader() -> None:
    with ScriptedServer(BEGUN) as server, httpx.Client() as client:
        response = HTTPTransport(client).open(post(server.url), limits())
        assert next(response) == b"x"
        closer = threading.Timer(0.05, response.close)
        closer.start()
        with pytest.raises(APIConnectionError, match="closed"):
            next(response)
        closer.join()
        assert server.gone.wait(5)


def test_aclose_from_another_task_wakes_the_reader() -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as client:
            response = await AsyncHTTPTransport(client).open(post(server.url), limits())
            assert await anext(response) == b"x"
            reader = asyncio.create_task(response.read())
            await asyncio.sleep(0.01)
            await response.aclose()
            with pytest.raises(APIConnectionError):
                await reader
            assert await asyncio.to_thread(server.gone.wait, 5)

    with ScriptedServer(BEGUN) as server:
        asyncio.run(run())


def test_cancelled_task_closes_its_connection() -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as client:
            response = await AsyncHTTPTransport(client).open(post(server.url), limits())
            reader = asyncio.create_task(response.read())
            await asyncio.sleep(0.05)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            assert await asyncio.to_thread(server.gone.wait, 5)

    with ScriptedServer(BEGUN) as server:
        asyncio.run(run())


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of httpx, on sockets of the first loop
def test_client_of_another_loop_is_a_typed_error() -> None:
    async def ask(client: httpx.AsyncClient) -> bytes:
        response = await AsyncHTTPTransport(client).open(post(server.url), limits())
        return await response.read()

    client = httpx.AsyncClient()
    with ScriptedServer(OK) as server:
        assert asyncio.run(ask(client)) == b"ok"
        try:  # httpx may notice that the connection's loop has ended, or fall over it
            assert asyncio.run(ask(client)) == b"ok"
        except APIConnectionError as error:
            assert "loop" in error.message  # noqa: PT017
    del client
    gc.collect()


@pytest.mark.parametrize(
    "line", [b"x-key secret-key: 1", b"secret-key", b"content-length: secret-key"]
)
def test_errors_quote_nothing_a_server_sent(line: bytes, road: Road) -> None:
    script = [b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n", CLOSE]
    with ScriptedServer(script) as server, pytest.raises(APIConnectionError) as caught:
        road.read(post(server.url))
    chain: list[BaseException | None] = [caught.value]
    while (error := chain.pop()) is not None:
        assert "secret-key" not in "".join(traceback.format_exception(error))
        chain = [error.__cause__ or error.__context__]
