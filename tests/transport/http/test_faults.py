"""Everything that can go wrong on the way, and the error it becomes, on every road."""

from __future__ import annotations

import pickle
import socket
import ssl
import traceback
from pathlib import Path

import pytest
from roads import Answer, Road, post
from servers import CLOSE, HOLD, OK, RESET, ScriptedServer, chunked

from llmroute.errors import APIConnectionError, APIError, APITimeoutError, BadRequestError
from llmroute.transport.http.tls import tls_context

PARTS = Path(__file__).parent
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "script",
    [
        [CLOSE],
        [RESET],
        [b"HTTP/1.1 200 OK\r\nconte", CLOSE],
        [b"HTTP/1.1 200 OK\r\nconte", RESET],
        [b"SSH-2.0-OpenSSH_9.6\r\n", CLOSE],
        [b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", CLOSE],
        [b"HTTP/1.1 200 OK\r\nx: " + b"y" * 600_000 + b"\r\n\r\n", CLOSE],
        [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", CLOSE],
    ],
    ids=[
        "closed",
        "reset",
        "cut-head",
        "reset-head",
        "not-http",
        "bad-head",
        "endless-head",
        "upgrade",
    ],
)
def test_open_raises_without_an_answer(road: Road, script: list[bytes]) -> None:
    with ScriptedServer(script) as server:
        with pytest.raises(APIConnectionError, match="broke before the answer") as caught:
            road.read(post(server.url + "/v1?key=1"))
        _check(caught.value, server.url + "/v1")
        assert len(server.requests) == 1  # never sent twice: it may have been carried out


@pytest.mark.parametrize(
    "script",
    [
        [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", CLOSE],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", RESET],
        [CHUNKED, chunked(b"hello"), CLOSE],
        [CHUNKED, chunked(b"hello"), b"3\r\na", CLOSE],
        [CHUNKED, chunked(b"hello"), b"no number\r\n", CLOSE],
        [CHUNKED, chunked(b"hello"), b"0\r\n", CLOSE],
    ],
    ids=["length", "reset", "chunked", "in-a-chunk", "damaged", "before-the-end"],
)
def test_read_raises_for_a_body_that_ends_too_early(road: Road, script: list[bytes]) -> None:
    with ScriptedServer(script) as server:
        with pytest.raises(APIConnectionError, match="middle of the answer") as caught:
            road.read(post(server.url + "/v1?key=1"))
        _check(caught.value, server.url + "/v1")


def test_stream_hands_out_what_came_before_the_fault(road: Road) -> None:
    came = Answer(0, {})
    with ScriptedServer([CHUNKED + chunked(b"hel", b"lo") + b"no number\r\n", CLOSE]) as server:
        with pytest.raises(APIConnectionError):
            road.stream(post(server.url), came)
        assert b"".join(came.pieces) == b"hello"


def _check(error: APIError, url: str) -> None:
    assert error.url == url
    assert pickle.loads(pickle.dumps(error)).message == error.message
    assert "secret-key" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("script", "limits", "name"),
    [
        ([HOLD], {"first_token": 0.1}, "first_token"),
        ([CHUNKED, HOLD], {"first_token": 0.1, "idle": 0.1}, "first_token"),
        ([CHUNKED, chunked(b"x"), HOLD], {"first_token": 0.1, "idle": 0.1}, "idle"),
        ([HOLD], {"total": 0.1}, "total"),
        ([CHUNKED, chunked(b"x"), HOLD], {"total": 0.1}, "total"),
    ],
    ids=["head", "first-piece", "next-piece", "total-head", "total-body"],
)
def test_limits_name_themselves(
    road: Road, script: list[bytes], limits: dict[str, float], name: str
) -> None:
    with ScriptedServer(script) as server:
        with pytest.raises(APITimeoutError, match=rf"0\.1 seconds \(timeout: {name}\)") as caught:
            road.read(post(server.url), **limits)
        _check(caught.value, server.url)
        assert server.gone.wait(5)


def test_deadline_holds_however_often_something_arrives(road: Road) -> None:
    """A server that keeps sending must not outlast the total limit."""
    drip = [CHUNKED, *[chunked(b"x" * 1000)] * 100_000]
    with (
        ScriptedServer(drip) as server,
        pytest.raises(APITimeoutError, match="timeout: total"),
    ):
        road.read(post(server.url), total=0.1)


def test_first_token_does_not_begin_again_with_the_body(road: Road) -> None:
    with (
        ScriptedServer([CHUNKED, HOLD]) as server,
        pytest.raises(APITimeoutError, match="first_token"),
    ):
        road.read(post(server.url), first_token=0.05, idle=None)


def test_connect_limit_ends_a_silent_connect(road: Road) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        # Linux takes one connection more than the backlog; nothing answers those after it.
        fill = [socket.socket() for _ in range(4)]
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        with pytest.raises(APITimeoutError, match=r"No connection within 0\.1 .*connect"):
            road.read(post(f"http://127.0.0.1:{port}"), connect=0.1)
        for sock in fill:
            sock.close()


def test_open_names_a_port_that_refuses(road: Road) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(APIConnectionError, match=f"Nothing listens at 127.0.0.1:{port}") as caught:
        road.read(post(f"http://127.0.0.1:{port}/v1"))
    assert "api_base" in caught.value.message
    _check(caught.value, f"http://127.0.0.1:{port}/v1")


def test_open_names_an_unknown_host(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(APIConnectionError, match=r"'nowhere\.invalid' cannot be found"):
        road.read(post("http://nowhere.invalid/v1"))


@pytest.mark.parametrize(
    "headers",
    [
        {"x-key": "a\r\nevil: 1"},
        {"x-key": "a\nb"},
        {"x-key": "nul\0"},
        {"x-key": "quoted ‘secret’"},
        {"bad name": "x"},
    ],
    ids=["crlf", "lf", "nul", "unicode", "name"],
)
def test_open_neither_sends_nor_shows_illegal_headers(road: Road, headers: dict[str, str]) -> None:
    with ScriptedServer(OK) as server:
        with pytest.raises(BadRequestError, match=f"header '{next(iter(headers))}'") as caught:
            road.read(post(server.url, **headers))
        assert not server.requests
        shown = "".join(traceback.format_exception(caught.value))
        assert "secret" not in shown
        assert "evil" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v1",
        "localhost:8080/v1",
        "ftp://host/v1",
        "file:///x",
        "http://",
        "http://host:port/v1",
        "http://[::1/v1",
        "https://" + "a" * 64 + ".com",
    ],
)
def test_open_refuses_what_is_not_a_url(road: Road, url: str) -> None:
    with pytest.raises(BadRequestError, match="api_base"):
        road.read(post(url))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls_reuses_connections(direct: Road, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(PARTS / "localhost.pem"))
    tls_context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PARTS / "localhost.pem", PARTS / "localhost.key")
    script = [CHUNKED, chunked(b"he"), chunked(b"llo"), b"0\r\n\r\n"]
    with ScriptedServer(script, tls=context) as server:
        url = f"https://{host}:{server.port}/v1"
        for _ in range(3):
            assert direct.read(post(url)).body == b"hello"
        assert server.connections == 1
    tls_context.cache_clear()


def test_tls_refuses_an_untrusted_certificate(road: Road) -> None:
    tls_context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PARTS / "localhost.pem", PARTS / "localhost.key")
    with (
        ScriptedServer(OK, tls=context) as server,
        pytest.raises(APIConnectionError, match=r"not trusted .*SSL_CERT_FILE"),
    ):
        road.read(post(server.url))
    assert not server.requests


def test_tls_to_a_plain_server_is_an_error(road: Road) -> None:
    with (
        ScriptedServer([b"HTTP/1.1 400 Bad Request\r\n\r\n", CLOSE]) as server,
        pytest.raises(APIConnectionError, match="No connection to"),
    ):
        road.read(post(server.url.replace("http:", "https:")), connect=5.0)
