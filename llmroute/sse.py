"""The body of a streamed answer: bytes in, events out. No I/O.

Server-sent events follow the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream",
with one addition: a bare line of JSON (no field name) is an event of its own, because the Llama API
reports a failure in the middle of a stream that way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from pydantic_core import from_json

from .errors import APIResponseValidationError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""How large one event may grow before the stream counts as broken: all bytes of all its lines. The
largest real events are base64 images of a few MB."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""How large a body may be that is one JSON value instead of a stream."""

BARE_LINE = "bare-line"
"""The `name` of an event that was a line of JSON without `data:`."""
WHOLE_BODY = "whole-body"
"""The `name` of an event that is a whole body: no stream, but one JSON value, or a page."""

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b":", b"id:", b"retry:")


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    """The `event:` field; `"message"` when there was none."""
    data: bytes


# NamedTuple's own constructor is a function in Python, which here is a tenth of the work.
_event: Callable[[tuple[str, bytes]], Event] = partial(tuple.__new__, Event)


def is_event_stream(body: bytes) -> bool:
    """Whether a body begins as server-sent events do, whatever its label says."""
    return body.removeprefix(_BOM).lstrip().startswith(_FIELDS)


class SSEDecoder:
    """Splits a body into events; feed it the bytes as they arrive, cut anywhere.

    The time it takes grows with the bytes, not with the number of pieces they come in.
    """

    __slots__ = ("_after_cr", "_between", "_data", "_name", "_rest", "_size", "_start")

    def __init__(self) -> None:
        self._rest = bytearray()
        """The line that has no end yet."""
        self._data: list[bytes] = []
        self._name = "message"
        self._size = 0
        """Bytes of the event's complete lines."""
        self._start: bytes | None = b""
        """The body's first bytes while they may be a byte order mark; then `None`."""
        self._after_cr = False
        """Whether the last byte was a CR, which ended its line: an LF after it ends no other."""
        self._between = False
        """Whether the next byte begins an event."""

    def feed(self, piece: bytes) -> Iterable[Event]:
        """The events that `piece` completes. Take all of them before the next piece is fed.

        Raises `APIResponseValidationError` when one event exceeds `MAX_EVENT_BYTES`.
        """
        # One event of one line, as most pieces are that come from a server which is writing.
        if (
            self._between
            and piece.startswith(b"data: ")
            and piece.find(b"\n") == len(piece) - 2
            and piece.endswith(b"\n\n")
            and b"\r" not in piece
            and len(piece) <= MAX_EVENT_BYTES
        ):
            return (_event(("message", piece[6:-2])),)
        return self._events(piece)

    def flush(self) -> Iterable[Event]:
        """The event that the end of the body completes: one whose blank line is missing."""
        return self._events(b"\n\n")

    def _events(self, piece: bytes) -> Iterator[Event]:
        if self._start is not None:
            piece = self._start + piece
            if len(piece) < len(_BOM) and _BOM.startswith(piece):
                self._start = piece
                return
            self._start = None
            piece = piece.removeprefix(_BOM)
        if self._after_cr or b"\r" in piece:
            piece = self._unify_line_ends(piece)
        lines = piece.split(b"\n")
        rest = lines.pop()
        if lines and self._rest:
            self._rest += lines[0]
            lines[0] = bytes(self._rest)
            self._rest.clear()
        for line in lines:
            if not line:
                if data := self._data:
                    yield _event((self._name, data[0] if len(data) == 1 else b"\n".join(data)))
                    self._data = []
                self._name, self._size = "message", 0
                continue
            self._size += len(line) + 1
            if self._size > MAX_EVENT_BYTES:
                raise _too_large()
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"event:"):
                self._name = line[6:].strip().decode("utf-8", "replace")
            elif line.lstrip().startswith(b"{"):
                yield Event(BARE_LINE, line)
        self._rest += rest
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise _too_large()
        self._between = not (self._size or self._rest or self._after_cr)

    def _unify_line_ends(self, piece: bytes) -> bytes:
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" not in piece:
            return piece
        self._after_cr = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class BodySplitter:
    """Splits the body of an answer that was asked for as a stream.

    What it is, its first bytes that are not blank decide, and no label: server-sent events, JSON
    objects line by line, or one JSON value or a page, which becomes a single event at its end.
    """

    __slots__ = ("_events", "_held", "_in_line", "_is_page")

    def __init__(self) -> None:
        self._events: SSEDecoder | None = None
        """Set when the body has turned out to be events."""
        self._held = bytearray()
        """What has come while it has not."""
        self._in_line = False
        """Whether it begins with a line of JSON that has no end yet."""
        self._is_page = False
        """Whether it has turned out to be no stream."""

    def feed(self, piece: bytes) -> Iterable[Event]:
        """The events that `piece` completes. Take all of them before the next piece is fed."""
        if self._events is not None:
            return self._events.feed(piece)
        self._held += piece
        if len(self._held) > MAX_BODY_BYTES:
            raise APIResponseValidationError(
                f"The answer is larger than {MAX_BODY_BYTES} bytes; ask for less at a time."
            )
        if self._is_page or (self._in_line and b"\n" not in piece):
            return ()
        return self._decide()

    def flush(self) -> Iterable[Event]:
        """The events that the end of the body completes."""
        if self._events is not None:
            return self._events.flush()
        body = bytes(self._held).strip().removeprefix(_BOM).strip()
        return (Event(WHOLE_BODY, body),) if body else ()

    def _decide(self) -> Iterable[Event]:
        body = bytes(self._held).lstrip()
        text = body.removeprefix(_BOM).lstrip()
        if text.startswith(_FIELDS) or _begins_with_an_object(text):
            self._events = SSEDecoder()
            self._held.clear()
            return self._events.feed(text)
        if not text:
            self._held[:] = body[: len(_BOM)]  # there may be one mark, wherever the body is cut
        elif not (_BOM.startswith(body) or any(field.startswith(text) for field in _FIELDS)):
            self._in_line = text.startswith(b"{") and b"\n" not in text
            self._is_page = not self._in_line
        return ()


def _begins_with_an_object(text: bytes) -> bool:
    """Whether the first line is complete and a JSON object on its own: more of them may follow."""
    line, end, _ = text.partition(b"\n")
    if not end or not line.startswith(b"{"):
        return False
    try:
        from_json(line)
    except ValueError:
        return False
    return True


def _too_large() -> APIResponseValidationError:
    return APIResponseValidationError(
        f"One event of the stream is larger than {MAX_EVENT_BYTES} bytes."
    )
