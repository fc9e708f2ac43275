"""Where an HTTP/1.1 body ends (RFC 9112, section 6). Bytes in, body out; no I/O."""

from __future__ import annotations

import re
from typing import Protocol

MAX_LINE_BYTES = 16 * 1024
"""How long the line before a chunk, and each line after the last one, may be."""
MAX_TRAILER_LINES = 100

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_SIZE_LINE = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,5})\r\n").match
"""The plain size line of a chunk that is not the last one."""


class BrokenAnswerError(Exception):
    """What arrived is not HTTP, or ended too early."""


class Framing(Protocol):
    """One way of telling the end of a body."""

    done: bool
    rest: bytes
    """What arrived after the end."""
    fault: BrokenAnswerError | None
    """What is wrong after all that `feed` has returned."""

    def feed(self, data: bytes) -> bytes:
        """What `data` brings of the body."""

    def close(self) -> None:
        """Takes the end of the connection. Raises `BrokenAnswerError` if more should come."""


class Sized:
    """A body of known size."""

    fault: BrokenAnswerError | None = None

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self.done = size == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """See `Framing`."""
        piece = data[: self._left]
        self.rest = data[self._left :]
        self._left -= len(piece)
        self.done = self._left == 0
        return piece

    def close(self) -> None:
        """See `Framing`."""
        raise BrokenAnswerError(f"{self._left} of {self._size} bytes are missing")


class ToTheEnd:
    """A body that ends with the connection. Whether it is whole cannot be known here."""

    rest = b""
    fault: BrokenAnswerError | None = None

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """See `Framing`."""
        return data

    def close(self) -> None:
        """See `Framing`."""
        self.done = True


class Chunked:
    """A body in chunks, each with its size before it; one of size 0 is the end."""

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.fault: BrokenAnswerError | None = None
        self._held = b""  # the beginning of a line
        self._left = 0  # bytes of the current chunk
        self._in_chunk = False  # its data, or the line end after it
        self._trailers = -1  # lines seen after the last chunk

    def feed(self, data: bytes) -> bytes:
        """See `Framing`."""
        if not (self._held or self._left or self._in_chunk) and self._trailers < 0:
            # One whole chunk, as servers send each event of a stream.
            line = _SIZE_LINE(data)
            if line and data.endswith(b"\r\n") and len(data) == line.end() + int(line[1], 16) + 2:
                return data[line.end() : -2]
        if self._held:
            data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        try:
            at = self._walk(data, pieces)
        except BrokenAnswerError as fault:
            self.fault = fault
        else:
            if self.done:
                self.rest = data[at:]
            else:
                self._held = data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """See `Framing`."""
        raise BrokenAnswerError("its last chunk is missing")

    def _walk(self, data: bytes, pieces: list[bytes]) -> int:
        """Goes as far as `data` allows; the place where it stopped."""
        at, size = 0, len(data)
        while at < size and not self.done:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                continue
            end = data.find(b"\n", at) + 1
            if (end or size) - at > MAX_LINE_BYTES:
                raise BrokenAnswerError("a line between its chunks is too long")
            if not end:
                break
            self._line(data[at:end])
            at = end
        return at

    def _line(self, line: bytes) -> None:
        if self._trailers >= 0:
            self._trailers += 1
            self.done = line in (b"\r\n", b"\n")
            if self._trailers > MAX_TRAILER_LINES:
                raise BrokenAnswerError("too much follows its last chunk")
        elif self._in_chunk:
            self._in_chunk = False
            if line not in (b"\r\n", b"\n"):
                raise BrokenAnswerError("a chunk is longer than announced")
        elif match := _SIZE.fullmatch(line):
            self._left = int(match[1], 16)
            self._in_chunk = self._left > 0
            self._trailers = -1 if self._left else 0
        else:
            raise BrokenAnswerError("the size of a chunk is not a number")
