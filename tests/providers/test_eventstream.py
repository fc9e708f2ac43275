"""AWS's binary event stream: frames cut anywhere, damaged anywhere, and botocore's reading."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from itertools import pairwise
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, strategies as st

from llmroute import APIResponseValidationError, StreamInterruptedError
from llmroute.providers.eventstream import EventStreamSplitter
from llmroute.sse import MAX_EVENT_BYTES, WHOLE_BODY, Event
from llmroute.testing.event_frames import event_frame, exception_frame, frame

EVENTS = [
    Event("messageStart", b'{"role":"assistant"}'),
    Event("contentBlockDelta", '{"delta":{"text":"ü"}}'.encode()),
    Event("metadata", b"{}"),
    Event("empty", b""),
]
BODY = b"".join(event_frame(name, data) for name, data in EVENTS)


def split(pieces: Iterable[bytes]) -> list[Event]:
    splitter = EventStreamSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return [*events, *splitter.flush()]


@pytest.mark.parametrize("size", [1, 2, 11, 12, 13, 64, len(BODY)])
def test_feed_takes_pieces_of_any_size(size: int) -> None:
    assert split(BODY[at : at + size] for at in range(0, len(BODY), size)) == EVENTS


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
def test_feed_takes_a_body_cut_anywhere(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(BODY)]
    assert split(BODY[a:b] for a, b in pairwise(at)) == EVENTS


@given(st.text(min_size=1, max_size=40), st.binary(max_size=200))
def test_frames_are_read_alike_by_botocore(name: str, payload: bytes) -> None:
    data = frame({":message-type": "event", ":event-type": name}, payload)
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    (theirs,) = list(buffer)
    assert split([data]) == [Event(name, payload)]
    assert (theirs.headers[":event-type"], theirs.payload) == (name, payload)


def test_headers_of_other_types_are_skipped() -> None:
    block = b"".join(
        bytes([1]) + b"h" + bytes([kind]) + value
        for kind, value in [
            (0, b""),
            (1, b""),
            (2, b"x"),
            (3, b"xx"),
            (4, b"xxxx"),
            (5, b"x" * 8),
            (6, struct.pack(">H", 3) + b"xxx"),
            (8, b"x" * 8),
            (9, b"x" * 16),
        ]
    )
    head = {":message-type": "event", ":event-type": "e"}
    assert split([_with_headers(block, head)]) == [Event("e", b"{}")]


@pytest.mark.parametrize("at", range(len(event_frame("e", b"{}"))))
def test_feed_finds_a_changed_byte(at: int) -> None:
    data = bytearray(event_frame("e", b"{}"))
    data[at] ^= 0x40
    if at == 0:  # no frame begins like that: the body is taken for something else
        assert [event.name for event in split([bytes(data)])] == [WHOLE_BODY]
        return
    with pytest.raises(APIResponseValidationError, match="damaged"):
        split([bytes(data), BODY])


@pytest.mark.parametrize(
    ("length", "headers"),
    [(MAX_EVENT_BYTES + 1, 0), (15, 0), (16, 1), (100, 90), (200 * 1024, 129 * 1024)],
)
def test_feed_refuses_lengths_that_cannot_be(length: int, headers: int) -> None:
    prelude = struct.pack(">II", length, headers)
    with pytest.raises(APIResponseValidationError, match="damaged"):
        split([BODY, prelude + struct.pack(">I", crc32(prelude))])


@pytest.mark.parametrize(
    "block",
    [b"\x05ab", b"\x01h", b"\x01h\x07\x00", b"\x01h\x07\x00\x09ab", b"\x01h\x63", b"\x01h\x04a"],
)
def test_feed_refuses_headers_that_cannot_be_read(block: bytes) -> None:
    with pytest.raises(APIResponseValidationError, match="headers"):
        split([_with_headers(block, {})])


@pytest.mark.parametrize("end", range(1, len(BODY)))
def test_flush_tells_an_end_within_a_frame(end: int) -> None:
    borders = {sum(len(event_frame(*e)) for e in EVENTS[:n]) for n in range(len(EVENTS) + 1)}
    if end in borders:
        split([BODY[:end]])
        return
    with pytest.raises(StreamInterruptedError):
        split([BODY[:end]])


def test_exceptions_and_errors_are_named() -> None:
    error = {":message-type": "error", ":error-code": "InternalError", ":error-message": "Oh"}
    events = split([exception_frame("throttlingException", b'{"message":"x"}'), frame(error, b"")])
    assert [event.name for event in events] == [
        "exception:throttlingException",
        "exception:InternalError",
    ]
    assert json.loads(events[1].data) == {"message": "Oh"}


def test_a_body_of_another_kind() -> None:
    assert split([b'{"mess', b'age": "x"}']) == [Event(WHOLE_BODY, b'{"message": "x"}')]
    assert split([b'data: {"a": 1}\n\n']) == [Event("message", b'{"a": 1}')]
    assert split([]) == []


def _with_headers(block: bytes, more: dict[str, str]) -> bytes:
    """A frame with raw headers before those of `more`."""
    plain = frame(more, b"{}")
    (size,) = struct.unpack(">I", plain[4:8])
    head = block + plain[12 : 12 + size]
    prelude = struct.pack(">II", 16 + len(head) + 2, len(head))
    body = prelude + struct.pack(">I", crc32(prelude)) + head + b"{}"
    return body + struct.pack(">I", crc32(body))
