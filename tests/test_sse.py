"""Server-sent events: however the bytes arrive, the same events come out."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, strategies as st

from llmroute import sse
from llmroute.errors import APIResponseValidationError
from llmroute.sse import BARE_LINE, Event, SSEDecoder


def decode(pieces: list[bytes]) -> list[Event]:
    decoder = SSEDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.flush()


def message(data: bytes) -> Event:
    return Event("message", data)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_every_line_end_means_the_same(end: bytes) -> None:
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
def test_a_stream_gives_its_events_however_it_is_cut(stream: bytes, events: list[Event]) -> None:
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
def test_any_stream_cut_anywhere_is_what_the_standard_says(
    bom: bytes, parts: list[tuple[bytes, bytes]], rest: bytes, cuts: list[int]
) -> None:
    body = bom + b"".join(line + end for line, end in parts) + rest
    borders = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(borders)]
    assert decode(pieces) == by_the_standard(body)


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_are_taken(pieces: list[bytes]) -> None:
    assert decode(pieces) == decode([b"".join(pieces)])


@pytest.mark.parametrize(
    "endless", [b"data: " + b"x" * 30, b"x" * 30, b"data: x\n"], ids=["data", "no line", "lines"]
)
def test_an_event_that_never_ends_is_an_error_and_not_a_full_memory(
    endless: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    with pytest.raises(APIResponseValidationError, match="larger than 1000 bytes"):
        decode([endless] * 2000)


def test_small_events_may_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    decoder = SSEDecoder()
    for _ in range(1000):
        assert decoder.feed(b"data: 0123456789\n\n") == [message(b"0123456789")]
