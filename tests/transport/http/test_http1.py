"""Our HTTP/1.1, compared with h11 on everything legal, and thrown everything illegal."""

from __future__ import annotations

from collections.abc import Sequence

import h11
import pytest
from hypothesis import given, strategies as st

from llmroute.transport.http.framing import BrokenAnswerError
from llmroute.transport.http.http1 import HTTP1, IllegalHeaderError

Result = tuple[int, dict[str, str], bytes, bool]


def ours(pieces: Sequence[bytes], *, closes: bool) -> Result:
    """What our side makes of an answer that arrives in `pieces`."""
    http = HTTP1()
    http.request("POST", "/", {"host": "x", "content-length": "2"}, b"{}")
    arriving = [*pieces, b""] if closes else [*pieces]
    while (head := http.read_head()) is None:
        http.feed(arriving.pop(0))
    body = b""
    while not http.ended:
        piece = http.piece()
        if piece is None:
            http.feed(arriving.pop(0))
        else:
            body += piece
    for late in filter(None, arriving):
        http.feed(late)
    return *head, body, http.renew()


def theirs(data: bytes, *, closes: bool) -> Result:
    """What h11 makes of it."""
    connection = h11.Connection(h11.CLIENT)
    headers = [("host", "x"), ("content-length", "2")]
    connection.send(h11.Request(method="POST", target="/", headers=headers))
    connection.send(h11.Data(data=b"{}"))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    if closes:
        connection.receive_data(b"")
    body, answer = b"", None
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            answer = event
        elif isinstance(event, h11.Data):
            body += event.data
        assert event is not h11.NEED_DATA
    assert answer is not None
    found: dict[str, str] = {}
    for raw, value in answer.headers:
        name, text = raw.decode(), value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return answer.status_code, found, body, connection.their_state is h11.DONE and not closes


NAMES = st.sampled_from(["X-A", "x-a", "Server", "date", "!#$%&'*+-.^_`|~0"])
VALUES = st.text('abcXYZ 0123\t\x80\xff\xe4,;="/-', max_size=20)
BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=5)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A legal answer, and whether the connection closes after it."""
    line_end = draw(st.sampled_from([b"\r\n", b"\n"]))
    headers = draw(st.lists(st.tuples(NAMES, VALUES.map(str.strip)), max_size=4))
    lines = [f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{value}" for name, value in headers]
    if draw(st.booleans()):
        lines.append("x-folded: a" + draw(st.sampled_from(["\n b", "\n\tb"])))
    framing = draw(st.sampled_from(["sized", "chunked", "to-the-end", "none"]))
    chunks = draw(BODIES)
    status = draw(st.sampled_from(["204 No Content", "304 Not Modified"]))
    closes = framing == "to-the-end"
    body = b""
    if framing != "none":
        status = draw(st.sampled_from(["200 OK", "200 ", "404 Not Found", "503 \xe4"]))
        body = b"".join(chunks)
    if framing == "sized":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        extension = draw(st.sampled_from([b"", b";a=b", b";x"]))
        body = b"".join(b"%X%b\r\n%b\r\n" % (len(c), extension, c) for c in chunks)
        body += draw(
            st.sampled_from([b"0\r\n\r\n", b"000\r\n\r\n", b"0\r\nx-t: 1\r\ny: 2\r\n\r\n"])
        )
    if draw(st.booleans()) and not closes:
        lines.append("connection: " + draw(st.sampled_from(["close", "keep-alive", "x, Close"])))
    head = "\n".join([f"HTTP/1.1 {status}", *lines]).encode("latin-1")
    before = draw(st.sampled_from([b"", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"]))
    return before + head.replace(b"\n", line_end) + line_end * 2 + body, closes


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    pieces = [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    return [piece for piece in pieces if piece]


CUTS = st.lists(st.integers(0, 2000), max_size=12)


@given(answers(), CUTS)
def test_http1_understands_legal_answers_as_h11_does(
    answer: tuple[bytes, bool], cuts: list[int]
) -> None:
    data, closes = answer
    assert ours(cut(data, cuts), closes=closes) == theirs(data, closes=closes)


@given(
    answers(), CUTS, st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=3)), max_size=3)
)
def test_http1_takes_whatever_arrives_as_an_answer_or_a_broken_one(
    answer: tuple[bytes, bool], cuts: list[int], changes: list[tuple[int, bytes]]
) -> None:
    """And where the network cuts it makes no difference."""
    data = answer[0]
    for place, new in changes:
        place %= len(data) + 1
        data = data[:place] + new + data[place + 1 :]

    def outcome(pieces: list[bytes]) -> object:
        try:
            return ours(pieces, closes=True)[:3]
        except BrokenAnswerError:
            return "broken"

    assert outcome(cut(data, cuts)) == outcome([data] if data else [])


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 5, 6",
        b"content-length: -1",
        b"content-length: +5",
        b"content-length: \xb2",
        b"content-length: 5\r\ncontent-length: 6",
        b"content-length: " + b"9" * 30,
        b"transfer-encoding: gzip",
        b"transfer-encoding: chunked, chunked",
        b"bad name: x",
        b": x",
        b"no colon",
        b"nul: \0",
        b"cr: a\rb",
    ],
)
def test_read_head_refuses_unclear_heads(head: bytes) -> None:
    with pytest.raises(BrokenAnswerError):
        ours([b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nhello"], closes=True)


@pytest.mark.parametrize(
    "size", [b"-1", b"+5", b"0x5", b"5 5", b"", b"1_0", b"g", b"f" * 17, b"5" + b";" * 20_000]
)
def test_piece_refuses_unclear_chunk_sizes(size: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    with pytest.raises(BrokenAnswerError):
        ours([head + size + b"\r\nhello\r\n0\r\n\r\n"], closes=True)


BOTH = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more", False),
        (BOTH, False),
    ],
    ids=["plain", "close", "old", "more", "both-framings"],
)
def test_renew_says_when_a_connection_may_be_used_again(head: bytes, reusable: bool) -> None:
    assert ours([head], closes=False)[3] is reusable


def test_request_gives_its_bytes() -> None:
    headers = {"host": "x", "content-length": "2"}
    data = HTTP1().request("POST", "/v1?a=b", headers, b"{}")
    assert data == b"POST /v1?a=b HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=3))
def test_request_lets_no_header_end_its_line(headers: dict[str, str]) -> None:
    try:
        data = HTTP1().request("POST", "/", headers, b"")
    except IllegalHeaderError:
        return
    assert data.count(b"\r\n") == len(headers) + 2
    assert data.count(b"\n") == data.count(b"\r") == len(headers) + 2


@pytest.mark.parametrize("target", ["/a b", "/a\r\nx: y", "/ü", ""])
def test_request_lets_no_path_end_its_line(target: str) -> None:
    with pytest.raises(IllegalHeaderError):
        HTTP1().request("POST", target, {"host": "x"}, b"")
