"""What a server can make the client hold, compute, or wait for."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc
import zlib

import pytest
from roads import Road, post
from servers import CLOSE, HOLD, OK, Pause, ScriptedServer, Step, chunked

import llmroute
from llmroute.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
)
from llmroute.transport.http import body, response
from llmroute.transport.http.body import DamagedBodyError, unpacker
from llmroute.transport.http.framing import BrokenAnswerError
from llmroute.transport.http.http1 import HTTP1, MAX_HEAD_BYTES
from llmroute.types.operations import OPERATIONS

MEGABYTE = 1024 * 1024
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def _bomb(megabytes: int, unit: bytes = b" ") -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    block = unit * (MEGABYTE // len(unit))
    return b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])


def _sized(data: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, head, len(data), data)


BOMB = _bomb(200)


def test_read_stops_a_bomb(road: Road) -> None:
    with (
        ScriptedServer([_sized(BOMB, b"content-encoding: gzip")]) as server,
        pytest.raises(APIResponseValidationError, match="larger than 67,108,864 bytes"),
    ):
        road.read(post(server.url))


@pytest.mark.parametrize(("operation", "enough"), [("chat", False), ("embedding", True)])
def test_calls_for_numbers_may_have_larger_answers(operation: str, enough: bool) -> None:
    blanks = b" " * (OPERATIONS["chat"].max_bytes + 1)
    answer = {
        "data": [{"index": 0, "embedding": [1.0]}],
        "choices": [{"message": {"content": "x"}}],
    }
    with ScriptedServer([_sized(blanks + json.dumps(answer).encode())]) as server:
        where = {"api_base": server.url, "api_key": "k", "num_retries": 0}
        call = llmroute.embedding if operation == "embedding" else llmroute.completion
        if enough:
            assert call("openai/m", "x", **where)
        else:
            with pytest.raises(APIResponseValidationError, match="larger than 67,108,864 bytes"):
                call("openai/m", "x", **where)


def test_read_error_takes_little_of_a_bomb(road: Road) -> None:
    bomb = _sized(BOMB, b"content-encoding: gzip", status=b"400 Bad Request")
    with ScriptedServer([bomb]) as server:
        tracemalloc.start()
        answer = road.read_error(post(server.url))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.status == 400
    assert answer.body == b" " * response.MAX_ERROR_BYTES
    assert peak < 8 * MEGABYTE


def test_stream_hands_out_a_bomb_in_small_pieces(road: Road) -> None:
    with ScriptedServer([_sized(_bomb(20), b"content-encoding: gzip")]) as server:
        pieces = road.stream(post(server.url)).pieces
    assert sum(map(len, pieces)) == 20 * MEGABYTE
    assert max(map(len, pieces)) <= body.PIECE_BYTES


def test_unpacker_is_linear_in_members() -> None:
    """Empty gzip members by the thousand: each used to copy all that followed."""
    members = gzip.compress(b"", 1) * 100_000
    started = time.process_time()
    undo = unpacker("gzip")
    assert undo is not None
    assert list(undo.feed(members)) == []
    assert time.process_time() - started < 5


@pytest.mark.parametrize("size", [0, 1, body.PIECE_BYTES - 1, body.PIECE_BYTES, 3 * MEGABYTE])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_unpacker_loses_nothing_at_its_borders(size: int, encoding: str) -> None:
    data = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    packed = gzip.compress(data) if encoding == "gzip" else zlib.compress(data)
    undo = unpacker(encoding)
    assert undo is not None
    assert b"".join(undo.feed(packed)) == data
    undo.close()


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip"])
def test_unpacker_refuses_what_it_does_not_know(encoding: str) -> None:
    with pytest.raises(DamagedBodyError):
        unpacker(encoding)


@pytest.mark.parametrize("encoding", ["", "identity", "UTF-8", "none", "identity, utf-8"])
def test_unpacker_takes_a_body_that_is_not_packed(encoding: str) -> None:
    assert unpacker(encoding) is None


# The error's body: its status counts whatever becomes of the rest.

TEXT = b'{"error": {"message": "' + bytes(range(32, 127)).replace(b'"', b"") * 5 + b'"}}'
PACKED = gzip.compress(TEXT)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([_sized(TEXT, status=b"401 No")], TEXT),
        ([_sized(PACKED, b"content-encoding: gzip", status=b"401 No")], TEXT),
        ([_sized(b"garbage", b"content-encoding: gzip", status=b"401 No"), CLOSE], b""),
        ([b"HTTP/1.1 401 No\r\ncontent-length: 99\r\n\r\nshort", CLOSE], b"short"),
        ([b"HTTP/1.1 401 No\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", CLOSE], b""),
        ([b"HTTP/1.1 401 No\r\ncontent-length: 99\r\n\r\nlate", HOLD], b"late"),
        ([_sized(b"z" * 300_000, status=b"401 No")], b"z" * response.MAX_ERROR_BYTES),
    ],
    ids=["plain", "gzip", "damaged", "short", "no-chunks", "stalled", "large"],
)
def test_read_error_gives_the_status_and_what_came(
    road: Road, script: list[bytes | Step], expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "ERROR_SECONDS", 0.3)
    with ScriptedServer(script) as server:
        answer = road.read_error(post(server.url))
    assert answer.status == 401
    assert answer.body == expected


def test_read_error_keeps_what_came_before_the_damage(road: Road) -> None:
    damaged = PACKED[:-8] + bytes(8)  # the checksum
    script = [_sized(damaged, b"content-encoding: gzip", status=b"400 Bad")]
    with ScriptedServer(script) as server:
        answer = road.read_error(post(server.url))
    assert answer.status == 400
    assert answer.body
    assert TEXT.startswith(answer.body)


@pytest.mark.parametrize(("plain", "expected"), [(TEXT, TEXT), (b"\xff\xfe\x00", b"")])
def test_read_error_reads_an_unknown_encoding_only_if_it_is_text(
    road: Road, plain: bytes, expected: bytes
) -> None:
    script = [_sized(plain, b"content-encoding: br", status=b"400 Bad")]
    with ScriptedServer(script) as server:
        answer = road.read_error(post(server.url))
    assert (answer.status, answer.body) == (400, expected)


# Heads.


def _fed(data: bytes, size: int) -> HTTP1:
    http = HTTP1()
    http.request("GET", "/", {}, b"")
    for at in range(0, len(data), size):
        http.feed(data[at : at + size])
        http.read_head()
    return http


def test_read_head_is_linear_in_bytes_however_they_arrive() -> None:
    head = b"HTTP/1.1 200 OK\r\nx: " + b"y" * (MAX_HEAD_BYTES - 100)
    started = time.process_time()
    _fed(head, 10)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("size", [1000, 10_000_000], ids=["in-packets", "joined"])
def test_read_head_refuses_a_large_head(size: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nx: " + b"y" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n"
    with pytest.raises(BrokenAnswerError, match="larger than"):
        _fed(head, size)


@pytest.mark.parametrize("size", [1000, 10_000_000], ids=["in-packets", "joined"])
def test_read_head_refuses_interim_answers_without_end(size: int) -> None:
    with pytest.raises(BrokenAnswerError, match="larger than"):
        _fed(b"HTTP/1.1 100 Continue\r\n\r\n" * 40_000, size)


def test_read_head_refuses_one_name_by_the_thousand() -> None:
    with pytest.raises(BrokenAnswerError, match="1000 headers"):
        _fed(b"HTTP/1.1 200 OK\r\n" + b"a:b\r\n" * 2000 + b"\r\n", 10_000_000)


@pytest.mark.parametrize(
    "line",
    [b"x-key secret-key: 1", b"bad secret-key\r", b"content-length: secret-key"],
    ids=["name", "line-end", "length"],
)
def test_read_head_quotes_nothing_the_server_sent(line: bytes) -> None:
    with pytest.raises(BrokenAnswerError) as caught:
        _fed(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n", 1000)
    assert "secret" not in str(caught.value)


# Time.

DRIPS: dict[str, list[bytes | Step]] = {
    "head": [step for _ in range(200) for step in (b"x", Pause(0.05))],
    "interim": [
        step for _ in range(200) for step in (b"HTTP/1.1 102 Processing\r\n\r\n", Pause(0.05))
    ],
    "body": [CHUNKED, *(step for _ in range(200) for step in (chunked(b" "), Pause(0.05)))],
}


@pytest.mark.parametrize("drip", list(DRIPS))
def test_deadline_ends_a_drip(road: Road, drip: str) -> None:
    with ScriptedServer(DRIPS[drip]) as server:
        started = time.monotonic()
        with pytest.raises(APITimeoutError, match="timeout: total"):
            road.read(post(server.url), total=0.3)
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("drip", ["head", "interim"])
def test_first_token_ends_a_drip(road: Road, drip: str) -> None:
    with (
        ScriptedServer(DRIPS[drip]) as server,
        pytest.raises(APITimeoutError, match="timeout: first_token"),
    ):
        road.read(post(server.url), first_token=0.3)


def test_finish_within_ends_an_open_body_soon(road: Road) -> None:
    """What a stream asks for after its last event, though the server says nothing more."""
    with ScriptedServer([CHUNKED, chunked(b"[DONE]"), HOLD]) as server:
        started = time.monotonic()
        assert road.finish(post(server.url), 0.1).pieces == [b"[DONE]"]
        assert time.monotonic() - started < 1.5
        assert server.gone.wait(5)


def test_finish_within_takes_an_end_that_comes_in_time(road: Road) -> None:
    script = [CHUNKED, chunked(b"[DONE]"), Pause(0.02), b"0\r\n\r\n"]
    with ScriptedServer(script) as server:
        for _ in range(2):
            assert road.finish(post(server.url), 5).pieces == [b"[DONE]"]
        assert server.connections == 1


@pytest.mark.parametrize("limit", ["connect", "total"])
def test_limits_cover_the_search_for_the_host(
    direct: Road, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = threading.Event()

    def slow(*args: object, **kwargs: object) -> None:
        found.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    started = time.monotonic()
    with pytest.raises(APITimeoutError, match=f"timeout: {limit}"):
        direct.read(post(f"http://{limit}.invalid/v1"), **{limit: 0.2})
    direct.close()  # the loop too ends without the resolver
    assert time.monotonic() - started < 5
    found.set()


def test_an_address_needs_no_resolver(direct: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with ScriptedServer(OK) as server:
        assert direct.read(post(server.url)).body == b"ok"


def test_an_address_of_ipv6_needs_no_resolver(
    direct: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        port = listener.getsockname()[1]
        with pytest.raises(APITimeoutError, match="first_token"):  # connected, and not answered
            direct.read(post(f"http://[::1]:{port}/"), first_token=0.1)
        with pytest.raises(APIConnectionError, match="No connection"):
            direct.read(post(f"http://[::1%25nowhere]:{port}/"))


def test_one_question_to_the_resolver_serves_all_who_wait(
    direct: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    found = threading.Event()

    def slow(*args: object, **kwargs: object) -> None:
        asked.append(args)
        found.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    for _ in range(3):
        with pytest.raises(APITimeoutError):
            direct.read(post("http://asked.invalid/v1"), total=0.05)
    assert len(asked) == 1
    found.set()
    with pytest.raises(APIConnectionError, match="cannot be found"):
        direct.read(post("http://asked.invalid/v1"), total=5)


@pytest.mark.parametrize("seconds", [1e9, 1e300])
def test_limits_may_be_absurdly_long(road: Road, seconds: float) -> None:
    limits = {"total": seconds, "connect": seconds, "first_token": seconds, "idle": seconds}
    with ScriptedServer(OK) as server:
        assert road.read(post(server.url), **limits).body == b"ok"
