"""Server-sent events: however the bytes arrive, the same events come out."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given, strategies as st

from llmroute import sse
from llmroute.errors import APIResponseValidationError
from llmroute.sse import BARE_LINE, WHOLE_BODY, BodySplitter, Event, SSEDecoder, is_event_stream


def decode(pieces: list[bytes]) -> list[Event]:
    decoder = SSEDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.flush()]


def message(data: bytes) -> Event:
    return Event("message", data)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_feed_takes_every_line_end(end: bytes) -> None:
    lines = [b"event: a", b"data: 1", b"", b"data: 2", b"data: 3", b"", b"data: [DONE]", b"", b""]
    assert decode([end.join(lines)]) == [Event("a", b"1"), message(b"2\n3"), message(b"[DONE]")]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b": a comment\n\ndata: 1\n\n", [message(b"1")]),
        (b"data:1\n\n", [message(b"1")]),
        (b"data:  1\n\n", [message(b" 1")]),
        (b"id: 7\nretry: 10\ndata: 1\n\n", [message(b"1")]),
        (b"event: lonely\n\ndata: 1\n\n", [message(b"1")]),
        (b"data: 1", [message(b"1")]),
        (b"data: 1\n", [message(b"1")]),
        (b"data: 1\r", [message(b"1")]),
        (b"\xef\xbb\xbfdata: 1\n\n", [message(b"1")]),
        (b'data: 1\n\n{"title": "no"}\n', [message(b"1"), Event(BARE_LINE, b'{"title": "no"}')]),
        (b'  {"title": "no"}', [Event(BARE_LINE, b'  {"title": "no"}')]),
        ("data: žluť \u2028\u0085\n\n".encode(), [message("žluť \u2028\u0085".encode())]),
        (b"", []),
        (b"\n\n\n", []),
        (b"<html>\n\n", []),
    ],
)
def test_feed_gives_the_same_events_however_a_body_is_cut(
    stream: bytes, events: list[Event]
) -> None:
    assert decode([stream]) == events
    assert decode([bytes([byte]) for byte in stream]) == events
    for border in range(len(stream)):
        assert decode([stream[:border], stream[border:]]) == events


def by_the_standard(body: bytes) -> list[Event]:
    """The steps of the HTML standard, section 9.2.6, over a whole body (and our bare lines)."""
    events: list[Event] = []
    name, data = "message", list[bytes]()
    lines = re.split(rb"\r\n|\n|\r", body.removeprefix(b"\xef\xbb\xbf"))
    for line in [*lines, b""]:
        field, colon, value = line.partition(b":")
        if not line:
            if data:
                events.append(Event(name, b"\n".join(data)))
            name, data = "message", []
        elif field == b"data" and colon:
            data.append(value.removeprefix(b" "))
        elif field == b"event" and colon:
            name = value.strip().decode("utf-8", "replace")
        elif line.lstrip().startswith(b"{"):
            events.append(Event(BARE_LINE, line))
    return events


lines = st.sampled_from(
    [b"data: 1", b"data:", b"data: {}", b"event: x", b": c", b"", b"", b"{}", b"nonsense", b"\xff:"]
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(
    bom=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    parts=st.lists(st.tuples(lines, ends)),
    rest=lines,
    cuts=st.lists(st.integers(0, 60)),
)
def test_feed_follows_the_standard_for_any_body_cut_anywhere(
    bom: bytes, parts: list[tuple[bytes, bytes]], rest: bytes, cuts: list[int]
) -> None:
    body = bom + b"".join(line + end for line, end in parts) + rest
    borders = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(borders)]
    assert decode(pieces) == by_the_standard(body)


@given(st.lists(st.binary(max_size=40)))
def test_feed_takes_any_bytes(pieces: list[bytes]) -> None:
    assert decode(pieces) == decode([b"".join(pieces)])


@pytest.mark.parametrize(
    "endless",
    [b"data: " + b"x" * 30, b"x" * 30, b"data: x\n", b"data:\n", b"data:\r", b"event: x\n"],
    ids=["data", "no line", "lines", "empty lines", "empty lines with CR", "names"],
)
def test_feed_refuses_an_event_that_never_ends(
    endless: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    with pytest.raises(APIResponseValidationError, match="larger than 1000 bytes"):
        decode([endless] * 2000)


def test_feed_takes_small_events_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    decoder = SSEDecoder()
    for _ in range(1000):
        assert list(decoder.feed(b"data: 0123456789\n\n")) == [message(b"0123456789")]


def test_feed_ends_a_line_at_its_cr_without_waiting_for_more() -> None:
    decoder = SSEDecoder()
    assert list(decoder.feed(b"data: 1\r\r")) == [message(b"1")]
    assert list(decoder.feed(b"\ndata: 2\r\n\r")) == [message(b"2")]
    assert list(decoder.feed(b"\n")) == []


def seconds_for(pieces: list[bytes]) -> float:
    started = time.process_time()
    decode(pieces)
    return time.process_time() - started


@pytest.mark.parametrize("end", [b"\n", b"\r"], ids=["LF", "CR"])
def test_feed_takes_time_that_grows_with_the_bytes_only(end: bytes) -> None:
    event = b"data: " + b"x" * 4_000_000 + end + end
    packets = [event[at : at + 100] for at in range(0, len(event), 100)]
    # 40,000 pieces of one line; looking at all of it again for each would take minutes.
    assert seconds_for(packets) < 5


# Bodies of any kind.

JSON = b'{"id": "a", "choices": []}'
PAGE = b"<html>\nno data: here\n</html>"
PRETTY = b'{\n "id": "a"\n}'


def split(pieces: list[bytes]) -> list[Event]:
    splitter = BodySplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return [*events, *splitter.flush()]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: 1\n\ndata: 2\n\n", [message(b"1"), message(b"2")]),
        (b"\n\r\n data: 1\n\n", [message(b"1")]),
        (b"\n\ndata:1\n\n", [message(b"1")]),
        (b"event: a\ndata: 1\n\n", [Event("a", b"1")]),
        (b": hello\n\ndata: 1\n\n", [message(b"1")]),
        (b"id: 7\ndata: 1\n\n", [message(b"1")]),
        (b"retry: 10\rdata: 1\r\r", [message(b"1")]),
        (b"\xef\xbb\xbfdata: 1\n\n", [message(b"1")]),
        (JSON, [Event(WHOLE_BODY, JSON)]),
        (b"\n\n  " + JSON, [Event(WHOLE_BODY, JSON)]),
        (PRETTY + b"\n", [Event(WHOLE_BODY, PRETTY)]),
        (b"[1,\n2]", [Event(WHOLE_BODY, b"[1,\n2]")]),
        (JSON + b"\n" + JSON, [Event(BARE_LINE, JSON)] * 2),
        (JSON + b"\n\ndata: 1\n\n", [Event(BARE_LINE, JSON), message(b"1")]),
        (PAGE, [Event(WHOLE_BODY, PAGE)]),
        (b"date: 1", [Event(WHOLE_BODY, b"date: 1")]),
        (b"dat", [Event(WHOLE_BODY, b"dat")]),
        (b"\xef\xbb", [Event(WHOLE_BODY, b"\xef\xbb")]),
        (b" \n", []),
        (b"", []),
    ],
)
def test_splitter_decides_by_the_first_bytes_however_they_are_cut(
    body: bytes, events: list[Event]
) -> None:
    assert split([body]) == events
    assert split([bytes([byte]) for byte in body]) == events
    for border in range(len(body)):
        assert split([body[:border], body[border:]]) == events


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"data: 1\n\n", b"{}\n", b"\n", b"["])))
def test_splitter_takes_any_bytes(pieces: list[bytes]) -> None:
    assert split(pieces) == split([b"".join(pieces)])


def test_splitter_refuses_a_page_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_BODY_BYTES", 1000)
    with pytest.raises(APIResponseValidationError, match="larger than 1000 bytes"):
        split([b"<p>"] * 2000)


def test_is_event_stream_looks_at_the_first_bytes() -> None:
    assert is_event_stream(b"\xef\xbb\xbf\n : hello\n\n")
    assert is_event_stream(b"data:")
    assert not is_event_stream(b'{"data:": 1}')
    assert not is_event_stream(b"")
