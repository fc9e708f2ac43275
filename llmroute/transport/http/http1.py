"""The HTTP/1.1 side of one connection (RFC 9112). Bytes in, answer out; no I/O.

Only what a client needs that sends whole bodies: no upgrades, no pipelining, no `Expect`.
`docs/decisions` tells why this is not h11, which the tests compare it with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .framing import BrokenAnswerError, Chunked, Framing, Sized, ToTheEnd

MAX_HEAD_BYTES = 256 * 1024
"""How large an answer's status line and headers may be."""

_TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
_METHOD = re.compile(_TOKEN)
_PATH = re.compile("[\x21-\x7e]+")
_VALUE = re.compile("(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n\0]*)?")
_FIELD = re.compile(rb"(%b):([^\r\n\0]*)" % _TOKEN.encode())


class IllegalHeaderError(ValueError):
    """A header holds what HTTP forbids. Names the header, never its value: it may be a key."""


class HTTP1:
    """One exchange after the other on one connection."""

    __slots__ = ("_body", "_buffer", "_closed", "_keep", "_method", "ended")

    def __init__(self) -> None:
        self._buffer = b""
        self._closed = False
        self._body: Framing = Sized(0)
        self._keep = True
        self._method = ""
        self.ended = False
        """Whether `piece()` has handed out the last of the answer."""

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """The bytes of a request. Raises `IllegalHeaderError`."""
        check(method, path, headers)
        self._method = method
        self._keep = "close" not in headers.get("connection", "").lower()
        self.ended = False
        lines = [f"{method} {path} HTTP/1.1\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
        return "".join(lines).encode("ascii") + b"\r\n" + body

    def feed(self, data: bytes) -> None:
        """Takes bytes from the network; `b""` when the server has closed the connection."""
        self._buffer = self._buffer + data if self._buffer else data
        self._closed = not data

    def head(self) -> tuple[int, dict[str, str]] | None:
        """The answer's status and headers (names in lower case); `None`: more bytes are needed.

        Raises `BrokenAnswerError`.
        """
        while found := _HEAD_END.search(self._buffer):
            head, self._buffer = self._buffer[: found.start()], self._buffer[found.end() :]
            version, status, headers = _parse(head)
            if status >= 200:
                self._frame(version, status, headers)
                return status, headers
            if status == 101:
                raise BrokenAnswerError("the server switched to another protocol")
        if len(self._buffer) > MAX_HEAD_BYTES:
            raise BrokenAnswerError(f"its headers are larger than {MAX_HEAD_BYTES} bytes")
        if self._closed:
            what = "in its headers" if self._buffer else "without an answer"
            raise BrokenAnswerError(f"the server closed the connection {what}")
        return None

    def piece(self) -> bytes | None:
        """What has arrived of the body; `None`: more bytes are needed. Sets `ended` at its end.

        Raises `BrokenAnswerError`, after everything before the fault has been handed out.
        """
        body = self._body
        if body.fault is not None:
            raise body.fault
        piece = b""
        if self._buffer and not body.done:
            piece, self._buffer = body.feed(self._buffer), b""
        elif self._closed and not body.done:
            body.close()
        self.ended = body.done
        if piece or self.ended:
            return piece
        if body.fault is not None:
            raise body.fault
        return None

    def renew(self) -> bool:
        """Whether the next request may go here: this answer is at its end, and nothing follows."""
        clean = not self._buffer and not self._body.rest and not self._closed
        return clean and self.ended and self._keep

    def _frame(self, version: int, status: int, headers: dict[str, str]) -> None:
        """Finds out how the body's end will be known."""
        connection = headers.get("connection", "").lower()
        self._keep = self._keep and version == 1 and "close" not in connection
        coding = headers.get("transfer-encoding")
        size = headers.get("content-length")
        if self._method == "HEAD" or status in (204, 304):
            self._body = Sized(0)
        elif coding is not None:
            if coding.lower() != "chunked":
                raise BrokenAnswerError(f"its transfer-encoding is {coding!r}")
            self._body = Chunked()
            self._keep = self._keep and size is None  # both: someone on the way is confused
        elif size is not None:
            self._body = Sized(_size(size))
        else:
            self._body = ToTheEnd()


def check(method: str, path: str, headers: Mapping[str, str]) -> None:
    """Raises `IllegalHeaderError` for what must not be sent: above all, a line end in a header."""
    for name, value in headers.items():
        if not _METHOD.fullmatch(name) or not _VALUE.fullmatch(value):
            raise IllegalHeaderError(
                f"The header {name!r} holds a character that HTTP does not allow "
                "(a line end, a space at its end, a letter beyond ASCII)."
            )
    if not _METHOD.fullmatch(method) or not _PATH.fullmatch(path):
        raise IllegalHeaderError("The method or the path is not legal HTTP.")
    if "transfer-encoding" in headers:
        raise IllegalHeaderError("The header 'transfer-encoding' cannot be set: bodies go whole.")


def _parse(head: bytes) -> tuple[int, int, dict[str, str]]:
    if b"\n " in head or b"\n\t" in head:
        head = _FOLD.sub(b" ", head)
    first, *lines = _LINE_END.split(head)
    status = _STATUS.fullmatch(first)
    if status is None:
        raise BrokenAnswerError(f"{first[:40]!r} is not the beginning of an HTTP answer")
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BrokenAnswerError(f"{line[:40]!r} is not a header")
        name, value = field[1].decode("ascii").lower(), field[2].strip(b" \t").decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return int(status[1]), int(status[2]), headers


def _size(value: str) -> int:
    sizes = {part.strip() for part in value.split(",")}  # sent twice, it must say the same
    size = sizes.pop()
    if sizes or not size.isdecimal() or not size.isascii() or len(size) > 18:
        raise BrokenAnswerError(f"its content-length is {value[:40]!r}")
    return int(size)
