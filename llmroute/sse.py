"""Server-sent events: bytes in, events out. No I/O.

Follows the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream", with one addition:
a bare line of JSON (no field name) is an event of its own, because the Llama API reports a failure
in the middle of a stream that way.
"""

from __future__ import annotations

from typing import NamedTuple

from .errors import APIResponseValidationError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""How large one event may grow before the stream counts as broken. The largest real events are
base64 images of a few MB."""

BARE_LINE = "bare-line"
"""The `name` of an event that was a line of JSON without `data:`."""


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    """The `event:` field; `"message"` when there was none."""
    data: bytes


class SSEDecoder:
    """Splits a body into events; feed it the bytes as they arrive, cut anywhere."""

    __slots__ = ("_buffer", "_data", "_name", "_size", "_started")

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[bytes] = []
        self._name = "message"
        self._size = 0
        self._started = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes.

        Raises `APIResponseValidationError` when one event exceeds `MAX_EVENT_BYTES`.
        """
        data = self._buffer + chunk if self._buffer else chunk
        if not self._started:
            if len(data) < 3 and b"\xef\xbb\xbf".startswith(data):
                self._buffer = data
                return []
            self._started = True
            data = data.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in data:
            data = self._unify_line_ends(data)
        *lines, rest = data.split(b"\n")
        self._buffer = rest
        events: list[Event] = []
        for line in lines:
            self._line(line, events)
        self._check_size(len(rest))
        return events

    def flush(self) -> list[Event]:
        """The event that the end of the body completes: one whose blank line is missing."""
        events: list[Event] = []
        rest, self._buffer = self._buffer.rstrip(b"\r"), b""
        if rest:
            self._line(rest, events)
        self._line(b"", events)
        return events

    def _unify_line_ends(self, data: bytes) -> bytes:
        held = b""
        if data.endswith(b"\r"):  # the next piece may begin with the \n that belongs to it
            data, held = data[:-1], b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                events.append(Event(self._name, b"\n".join(self._data)))
            self._data, self._name, self._size = [], "message", 0
        elif line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(value)
            self._size += len(value)
            self._check_size(0)
        elif line.startswith(b"event:"):
            self._name = line[6:].strip().decode("utf-8", "replace")
        elif line.lstrip().startswith(b"{"):
            events.append(Event(BARE_LINE, line))

    def _check_size(self, pending: int) -> None:
        if self._size + pending > MAX_EVENT_BYTES:
            raise APIResponseValidationError(
                f"One event of the stream is larger than {MAX_EVENT_BYTES} bytes."
            )
