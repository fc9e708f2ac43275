"""AWS's binary event stream: frames in, events out. No I/O.

A frame is its length, the length of its headers, a checksum of both, the headers, the payload and
a checksum of all. Written from https://smithy.io/2.0/aws/amazon-eventstream.html (2026-11-28).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator
from zlib import crc32

from pydantic_core import to_json

from ..errors import APIResponseValidationError, StreamInterruptedError
from ..sse import MAX_EVENT_BYTES, BodySplitter, Event

EXCEPTION = "exception:"
"""How the names of events begin that are errors; the error's own name follows."""

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_LEAST = _PRELUDE.size + _CHECKSUM.size
_MAX_HEADERS = 128 * 1024
_USUAL_HEADERS = 256
# How many bytes a header's value takes, by its type; types 6 and 7 say it themselves.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _TEXT = 6, 7


class EventStreamSplitter:
    """Splits a body into events; feed it the bytes as they arrive, cut anywhere.

    A frame begins with a zero byte, since none may have 16 MiB. A body that begins otherwise is
    something else, such as a proxy's JSON, and `BodySplitter` takes it.
    """

    __slots__ = ("_other", "_rest", "_undecided")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._undecided = True
        self._other: BodySplitter | None = None

    def feed(self, piece: bytes) -> Iterable[Event]:
        """The events that `piece` completes. Take all of them before the next piece is fed.

        Raises `APIResponseValidationError` for a frame that is damaged or has 16 MiB.
        """
        if self._undecided and piece:
            self._undecided = False
            self._other = None if piece[0] == 0 else BodySplitter()
        return self._frames(piece) if self._other is None else self._other.feed(piece)

    def flush(self) -> Iterable[Event]:
        """The events that the end of the body completes.

        Raises `StreamInterruptedError` if the body ends within a frame.
        """
        if self._other is not None:
            return self._other.flush()
        if self._rest:
            raise StreamInterruptedError("The stream ended within an event.")
        return ()

    def _frames(self, piece: bytes) -> Iterator[Event]:
        rest = self._rest
        if not rest and len(piece) >= _LEAST and _frame_length(piece, 0) == len(piece):
            yield _event(piece)  # as most pieces are that come from a service which is writing
            return
        rest += piece
        start = 0
        while len(rest) - start >= _PRELUDE.size:
            length = _frame_length(rest, start)
            if len(rest) - start < length:
                break
            yield _event(bytes(rest[start : start + length]))
            start += length
        del rest[:start]


def _frame_length(data: bytes | bytearray, start: int) -> int:
    """The length of the frame whose first 12 bytes are at `start`."""
    length, headers, checksum = _PRELUDE.unpack_from(data, start)
    if crc32(data[start : start + 8]) != checksum:
        raise _damaged("the checksum of its lengths is wrong")
    if length > MAX_EVENT_BYTES:
        raise _damaged(f"it is larger than {MAX_EVENT_BYTES} bytes")
    if headers > _MAX_HEADERS or length < headers + _LEAST:
        raise _damaged("its lengths cannot be right")
    return int(length)


def _event(frame: bytes) -> Event:
    """The event in a whole frame."""
    _, size, _ = _PRELUDE.unpack_from(frame)
    (checksum,) = _CHECKSUM.unpack_from(frame, len(frame) - 4)
    if crc32(frame[:-4]) != checksum:
        raise _damaged("its checksum is wrong")
    end = _PRELUDE.size + size
    block, payload = frame[_PRELUDE.size : end], frame[end:-4]
    kind, name, words = _named(block) if size <= _USUAL_HEADERS else _named.__wrapped__(block)
    return Event(name, to_json({"message": words}) if kind == "error" else payload)


@functools.lru_cache(maxsize=64)
def _named(block: bytes) -> tuple[str, str, str]:
    """What the headers say: the kind of message, the event's name, and an error's words.

    Remembered, as all events of a kind have the same headers.
    """
    headers = dict(_headers(block))
    match headers.get(":message-type"):
        case "exception":
            return "exception", EXCEPTION + headers.get(":exception-type", ""), ""
        case "error":
            code, words = headers.get(":error-code", ""), headers.get(":error-message", "")
            return "error", EXCEPTION + code, words
    return "event", headers.get(":event-type", "message"), ""


def _headers(block: bytes) -> Iterator[tuple[str, str]]:
    """Names and values of the headers that are texts."""
    at = 0
    while at < len(block):
        try:
            name_end = at + 1 + block[at]
            kind = block[name_end]
            start = name_end + 1
            if kind in (_BYTES, _TEXT):
                (size,) = _LENGTH.unpack_from(block, start)
                start += _LENGTH.size
            else:
                size = _SIZES[kind]
        except (IndexError, KeyError, struct.error):
            raise _damaged("its headers cannot be read") from None
        end = start + size
        if end > len(block):
            raise _damaged("its headers cannot be read")
        if kind == _TEXT:
            name, value = block[at + 1 : name_end], block[start:end]
            yield name.decode("utf-8", "replace"), value.decode("utf-8", "replace")
        at = end


def _damaged(how: str) -> APIResponseValidationError:
    return APIResponseValidationError(f"An event of the stream is damaged: {how}.")
