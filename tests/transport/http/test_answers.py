"""Answers of every legal shape, on every road."""

from __future__ import annotations

import gzip
import zlib

import pytest
from roads import Road, post
from servers import CLOSE, HOLD, OK, ScriptedServer, chunked

from llmroute.errors import APIConnectionError

EVENTS = [b'data: {"n": 1}\n\n', b'data: {"n": 2}\n\n', b"data: [DONE]\n\n"]


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(b"%b\r\n" % line for line in lines) + b"\r\n"


@pytest.mark.parametrize(
    ("script", "body"),
    [
        ([head(b"content-length: 5"), b"hel", b"lo"], b"hello"),
        ([head(b"content-length: 0")], b""),
        ([head(b"transfer-encoding: chunked"), chunked(b"he", b"llo"), b"0\r\n\r\n"], b"hello"),
        ([head(b"transfer-encoding: chunked"), chunked(b"x") + b"0\r\nx-end: 1\r\n\r\n"], b"x"),
        ([head(), b"until the end", CLOSE], b"until the end"),
        ([head(b"connection: close", b"content-length: 2"), b"ok", CLOSE], b"ok"),
        ([b"HTTP/1.0 200 OK\r\n\r\nold", CLOSE], b"old"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" + head(b"content-length: 2") + b"ok"], b"ok"),
        ([head(status=b"204 No Content")], b""),
        ([head(b"x: " + b"y" * 60_000, b"content-length: 2"), b"ok"], b"ok"),
        ([head(b"content-length: 300000"), b"z" * 300_000], b"z" * 300_000),
    ],
    ids=[
        "length",
        "empty",
        "chunked",
        "trailers",
        "to-the-end",
        "close",
        "1.0",
        "continue",
        "none",
        "headers",
        "large",
    ],
)
def test_read_takes_every_legal_shape(road: Road, script: list[bytes], body: bytes) -> None:
    with ScriptedServer(script) as server:
        assert road.read(post(server.url)).body == body
        assert road.stream(post(server.url)).body == body


@pytest.mark.parametrize("status", [200, 301, 400, 404, 429, 500, 503])
def test_open_gives_any_status_as_an_answer(road: Road, status: int) -> None:
    script = head(b"content-length: 2", b"X-Id: a", b"x-id: b", status=b"%d What" % status) + b"{}"
    with ScriptedServer([script]) as server:
        answer = road.read(post(server.url))
    assert answer.status == status
    assert answer.headers["x-id"] == "a, b"
    assert answer.body == b"{}"


def _bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        (b"gzip", gzip.compress(b"hello hello")),
        (b"gzip", gzip.compress(b"hello ") + gzip.compress(b"hello")),
        (b"x-gzip", gzip.compress(b"hello hello")),
        (b"deflate", zlib.compress(b"hello hello")),
        (b"deflate", _bare_deflate(b"hello hello")),
        (b"identity", b"hello hello"),
    ],
    ids=["gzip", "two-members", "x-gzip", "deflate", "bare-deflate", "identity"],
)
def test_read_unpacks_what_was_not_asked_for(road: Road, encoding: bytes, packed: bytes) -> None:
    pieces = [packed[i : i + 1] for i in range(len(packed))]
    script = [
        head(b"content-encoding: " + encoding, b"transfer-encoding: chunked"),
        chunked(*pieces) + b"0\r\n\r\n",
    ]
    with ScriptedServer(script) as server:
        assert road.read(post(server.url)).body == b"hello hello"
        assert road.stream(post(server.url)).body == b"hello hello"
        assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", gzip.compress(b"hello hello")[:-6]),
        (b"gzip", b"not gzip at all"),
        (b"br", b"whatever"),
    ],
    ids=["cut", "damaged", "unknown"],
)
def test_read_refuses_what_it_cannot_unpack(road: Road, encoding: bytes, body: bytes) -> None:
    script = head(b"content-encoding: " + encoding, b"content-length: %d" % len(body)) + body
    with (
        ScriptedServer([script]) as server,
        pytest.raises(APIConnectionError, match=r"packed|compressed"),
    ):
        road.read(post(server.url))


def test_stream_hands_out_pieces_as_they_arrive(road: Road) -> None:
    """A piece is handed out as soon as it is there, not when the body is complete."""
    script = [head(b"transfer-encoding: chunked"), chunked(EVENTS[0]), HOLD]
    with ScriptedServer(script) as server:
        assert road.first_piece(post(server.url)) == EVENTS[0]
        assert server.gone.wait(5)  # and the connection was dropped, for the server to notice


def test_open_uses_connections_again(road: Road) -> None:
    stream = [head(b"transfer-encoding: chunked"), *map(chunked, EVENTS), b"0\r\n\r\n"]
    with ScriptedServer(OK, stream, OK, stream) as server:
        for _ in range(10):
            road.read(post(server.url))
            road.stream(post(server.url))
        assert server.connections == 1


def test_close_of_a_stream_costs_only_its_own_connection(road: Road) -> None:
    cut = [head(b"transfer-encoding: chunked"), chunked(b"1"), HOLD]
    with ScriptedServer(OK, cut, OK) as server:
        road.read(post(server.url))
        road.first_piece(post(server.url))
        road.read(post(server.url))
        road.read(post(server.url))
        assert [r.connection for r in server.requests] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "first",
    [
        [*OK, CLOSE],
        [*OK, b"HTTP/1.1 408 Request Timeout\r\n\r\n", CLOSE],
        [b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", CLOSE],
    ],
    ids=["closed", "said-something", "announced"],
)
def test_open_uses_no_connection_that_ended_while_idle(
    direct: Road, first: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(first, OK) as server:
        direct.read(post(server.url))
        _until_dead(direct)
        assert direct.read(post(server.url)).body == b"ok"
        assert server.connections == 2
        assert len(server.requests) == 2


def _until_dead(road: Road) -> None:
    """Waits for the end of the idle connections to arrive here."""
    import asyncio
    import time

    from roads import AsyncRoad

    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if isinstance(road, AsyncRoad):
            loops = road.transport._direct._by_loop
            pools = [kept[0].pool for kept in loops._kept.values()]
            road._runner.run(asyncio.sleep(0))
        else:
            pools = [road.transport._direct._pool]
        idle = [c for pool in pools for stack in pool._idle.values() for _, c in stack]
        if not any(connection.alive() for connection in idle):
            return


def test_open_sends_the_request_as_the_call_says(road: Road) -> None:
    with ScriptedServer(OK) as server:
        road.read(post(f"{server.url}/v1/chat completions?a=b c&d=%20", b'{"a": 1}'))
    request = server.requests[0]
    assert request.line == "POST /v1/chat%20completions?a=b%20c&d=%20 HTTP/1.1"
    assert request.headers["authorization"] == "Bearer secret-key"
    assert request.headers["user-agent"].startswith("llmroute/")
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["content-length"] == "8"
    assert request.body == b'{"a": 1}'


def test_open_prefers_the_headers_of_the_call(road: Road) -> None:
    with ScriptedServer(OK) as server:
        road.read(post(server.url, **{"user-agent": "mine", "accept": "text/event-stream"}))
    assert server.requests[0].headers["user-agent"] == "mine"
    assert server.requests[0].headers["accept"] == "text/event-stream"


def test_open_sends_the_password_of_the_url(road: Road) -> None:
    with ScriptedServer(OK) as server:
        url = server.url.replace("http://", "http://me:pass%21@")
        call = post(url)
        del call.headers["authorization"]  # type: ignore[attr-defined]
        road.read(call)
    assert server.requests[0].headers["authorization"] == "Basic bWU6cGFzcyE="


def test_open_sends_a_large_body_whole(road: Road) -> None:
    with ScriptedServer(OK) as server:
        body = bytes(range(256)) * 20_000
        road.read(post(server.url, body))
        assert server.requests[0].body == body
