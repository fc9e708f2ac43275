"""Redirects: within the same server, keeping method and body, a few times."""

from __future__ import annotations

import pytest
from roads import Road, post
from servers import OK, ScriptedServer


def moved(status: int, location: str) -> list[bytes]:
    return [
        f"HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 4\r\n\r\nmove".encode()
    ]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_redirect_is_followed_on_the_same_server(road: Road, status: int, absolute: bool) -> None:
    server = ScriptedServer(OK)
    base = server.url if absolute else ""
    server._answers.insert(0, moved(status, f"{base}/v1/chat/"))
    with server:
        assert road.read(post(f"{server.url}/v1/chat", b'{"a": 1}')).body == b"ok"
        assert [r.line.split()[:2] for r in server.requests] == [
            ["POST", "/v1/chat"],
            ["POST", "/v1/chat/"],
        ]
        assert {r.body for r in server.requests} == {b'{"a": 1}'}
        assert {r.headers["authorization"] for r in server.requests} == {"Bearer secret-key"}
        assert server.connections == 1


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{port}/v1",
        "https://127.0.0.1:{port}/v1",
        "http://127.0.0.1:{other}/v1",
        "//localhost:{port}/v1",
        "ftp://127.0.0.1/",
    ],
    ids=["host", "scheme", "port", "no-scheme", "ftp"],
)
def test_redirect_is_never_followed_to_another_server(road: Road, location: str) -> None:
    with ScriptedServer(OK) as other:
        server = ScriptedServer(OK)
        server._answers.insert(0, moved(307, location.format(port=server.port, other=other.port)))
        with server:
            answer = road.read(post(server.url))
            assert (answer.status, answer.body) == (307, b"move")
            assert len(server.requests) == 1
            assert not other.requests


def test_redirect_to_nowhere_is_not_followed(direct: Road) -> None:
    with ScriptedServer(moved(307, "http://[x")) as server:
        assert direct.read(post(server.url)).status == 307


@pytest.mark.parametrize("status", [301, 302, 303, 304])
def test_redirect_of_another_kind_is_an_answer(road: Road, status: int) -> None:
    with ScriptedServer(moved(status, "/elsewhere")) as server:
        assert road.read(post(server.url)).status == status
        assert len(server.requests) == 1


def test_redirect_circle_ends(road: Road) -> None:
    with ScriptedServer(moved(307, "/again")) as server:
        assert road.read(post(server.url)).status == 307
        assert len(server.requests) == 4
