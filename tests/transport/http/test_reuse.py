"""A connection is used again only when nothing of one call can reach another."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from roads import Road, open_road, post
from servers import CLOSE, HOLD, OK, Pause, ScriptedServer, Step

from llmroute.transport.http import AsyncHTTPTransport
from llmroute.transport.limits import Limits
from llmroute.types.request import TimeLimits

REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno"
LARGE = b"x" * 20_000_000


async def _idle(first: list[bytes | Step]) -> tuple[bytes, int]:
    """The second answer, where no turn of the loop shows what came after the first."""
    transport = AsyncHTTPTransport()

    async def ask() -> bytes:
        response = await transport.open(post(server.url), Limits.begin(TimeLimits()))
        return await response.read()

    with ScriptedServer(first, OK) as server:
        assert await ask() == b"1"
        time.sleep(0.1)  # noqa: ASYNC251 (a caller who computes)
        answer = await ask()
        await transport.aclose()
        return answer, server.connections


FIRST = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1"
UNASKED = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
AFTER: list[list[bytes | Step]] = [[CLOSE], [Pause(0.02), UNASKED]]


@pytest.mark.parametrize("after", AFTER, ids=["closed", "unasked"])
def test_acquire_asks_the_socket_though_the_loop_had_no_turn(after: list[bytes | Step]) -> None:
    assert asyncio.run(_idle([FIRST, *after])) == (b"ok", 2)


@pytest.mark.parametrize("after", AFTER, ids=["closed", "unasked"])
def test_acquire_leaves_out_connections_that_said_something(
    road: Road, after: list[bytes | Step]
) -> None:
    with ScriptedServer([FIRST, *after], OK) as server:
        assert road.read(post(server.url)).body == b"1"
        time.sleep(0.1)
        assert road.read(post(server.url)).body == b"ok"
        assert server.connections == 2


def test_read_sees_an_early_answer_while_it_uploads(direct: Road) -> None:
    with ScriptedServer([REFUSED, HOLD], early=True) as server:
        assert direct.read(post(server.url, LARGE), total=20).status == 401


def test_read_sees_an_early_answer_of_a_server_that_closes(direct: Road) -> None:
    """With the rest of the request unread, which resets the connection."""
    with ScriptedServer([REFUSED, CLOSE], early=True) as server:
        for _ in range(5):
            assert direct.read(post(server.url, LARGE), total=20).status == 401


def test_release_wants_the_whole_request_gone(direct: Road) -> None:
    """A server that answers before it has read all takes the rest for requests."""
    smuggled = LARGE + b"GET /smuggled HTTP/1.1\r\n\r\n"
    with ScriptedServer([REFUSED], [UNASKED], early=True) as server:
        assert direct.read(post(server.url, smuggled), total=20).body == b"no"
        assert direct.read(post(server.url), total=20).status == 200
        assert server.connections == 2


def test_an_interim_answer_does_not_end_the_upload(direct: Road) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    with ScriptedServer(
        [interim, b"HTTP/1.1 200 OK\r\n", b"content-length: 2\r\n\r\nok"]
    ) as server:
        assert direct.read(post(server.url, LARGE)).body == b"ok"
        assert server.requests[0].body == LARGE


@pytest.mark.parametrize("name", ["sync", "async"])
def test_proxied_calls_keep_no_cookies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 200 OK\r\nset-cookie: session=of-one-caller\r\ncontent-length: 2\r\n\r\nok"
    with ScriptedServer([answer]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        for road in open_road(name):
            road.read(post("http://model.example/v1"))
            road.read(post("http://model.example/v1"))
    assert proxy.connections == 1
    assert [request.headers.get("cookie") for request in proxy.requests] == [None, None]


def test_the_callers_client_keeps_its_cookies() -> None:
    """They are the caller's own: nobody else uses the client."""
    answer = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 2\r\n\r\nok"
    with ScriptedServer([answer]) as server, httpx.Client() as client:
        from llmroute.transport.http import HTTPTransport

        for _ in range(2):
            call = HTTPTransport(client).open(post(server.url), Limits.begin(TimeLimits()))
            call.read()
        assert server.requests[1].headers["cookie"] == "a=b"
