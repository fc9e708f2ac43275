"""The HTTP/1.1 side of one connection (RFC 9112). Bytes in, answer out; no I/O.

Only what a client needs that sends whole bodies: no upgrades, no pipelining, no `Expect`.
`docs/decisions` tells why this is not h11, which the tests compare it with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .framing import BrokenAnswerError, Chunked, Framing, Sized, ToTheEnd

MAX_HEAD_BYTES = 256 * 1024
"""How large an answer's status line and headers may be, those of interim answers included."""
MAX_HEADERS = 1000
"""How many headers an answer may have."""

_TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
_VALUE = "(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?"
_NAME = re.compile(_TOKEN)
_LINE = re.compile(f"{_TOKEN}: {_VALUE}\r\n")
_REQUEST_LINE = re.compile(f"{_TOKEN} [\x21-\x7e]+ HTTP/1\\.1\r\n")
_REQUEST_HEAD = re.compile(f"{_REQUEST_LINE.pattern}(?:{_LINE.pattern})*\r\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n\0]*)?\r?(?:\n|\Z)")
_FIELD = re.compile(rf"^({_TOKEN}):([^\r\n\0]*)\r?$", re.MULTILINE)


class IllegalHeaderError(ValueError):
    """A header holds what HTTP forbids. Names the header, never its value: it may be a key."""


class HTTP1:
    """One exchange after the other on one connection."""

    __slots__ = ("_body", "_buffer", "_closed", "_head_bytes", "_keep", "_method", "_seen", "ended")

    def __init__(self) -> None:
        self._buffer: bytes | bytearray = b""
        self._closed = False
        self._body: Framing = Sized(0)
        self._keep = True
        self._method = ""
        self._head_bytes = 0  # of the interim answers
        self._seen = 0  # how far the end of a head has been looked for
        self.ended = False
        """Whether `piece()` has handed out the last of the answer."""

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """The bytes of a request. Raises `IllegalHeaderError`."""
        head = request_head(method, path, headers)
        self._method = method
        self._keep = "close" not in headers.get("connection", "").lower()
        self._head_bytes = self._seen = 0
        self.ended = False
        return head + body

    def feed(self, data: bytes) -> None:
        """Takes bytes from the network; `b""` when the server has closed the connection."""
        self._closed = not data
        if not self._buffer:
            self._buffer = data
        elif isinstance(self._buffer, bytearray):
            self._buffer += data
        else:
            self._buffer = bytearray(self._buffer) + data

    def read_head(self) -> tuple[int, dict[str, str]] | None:
        """The answer's status and headers (names in lower case); `None`: more bytes are needed.

        Raises `BrokenAnswerError`.
        """
        at = 0
        while found := _HEAD_END.search(self._buffer, max(at, self._seen)):
            if self._head_bytes + found.end() > MAX_HEAD_BYTES:
                raise BrokenAnswerError(f"its headers are larger than {MAX_HEAD_BYTES} bytes")
            version, status, headers = _parse(self._buffer[at : found.start()])
            at = found.end()
            if status >= 200:
                self._buffer = bytes(self._buffer[at:])
                self._frame(version, status, headers)
                return status, headers
            if status == 101:
                raise BrokenAnswerError("the server switched to another protocol")
        if at:
            self._head_bytes += at
            self._buffer = self._buffer[at:]
        self._seen = max(0, len(self._buffer) - len("\r\n\r"))
        if self._head_bytes + len(self._buffer) > MAX_HEAD_BYTES:
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
            piece, self._buffer = body.feed(bytes(self._buffer)), b""
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
                raise BrokenAnswerError("its transfer-encoding is not 'chunked'")
            self._body = Chunked()
            self._keep = self._keep and size is None  # both: someone on the way is confused
        elif size is not None:
            self._body = Sized(_size(size))
        else:
            self._body = ToTheEnd()


def request_head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """A request's line and headers.

    Raises `IllegalHeaderError` for what must not be sent: above all, a line end in a header.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n"
    legal = _REQUEST_HEAD.fullmatch(head) and head.count("\n") == len(lines) + 2
    if not (legal and all(map(_NAME.fullmatch, headers))) or "transfer-encoding" in headers:
        raise IllegalHeaderError(_what_is_illegal(f"{method} {path} HTTP/1.1\r\n", headers))
    return head.encode("ascii")


def _what_is_illegal(line: str, headers: Mapping[str, str]) -> str:
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _LINE.fullmatch(f"{name}: {value}\r\n"):
            return (
                f"The header {name!r} holds a character that HTTP does not allow "
                "(a line end, a space at its end, a letter beyond ASCII)."
            )
    if not _REQUEST_LINE.fullmatch(line):
        return "The method or the path is not legal HTTP."
    return "The header 'transfer-encoding' cannot be set: bodies go whole."


def _parse(head: bytes | bytearray) -> tuple[int, int, dict[str, str]]:
    """HTTP version, status and headers. What a server sent is never quoted: it may be a key."""
    text = head.decode("latin-1")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    status = _STATUS.match(text)
    if status is None:
        raise BrokenAnswerError(_not_http(text))
    fields = _FIELD.findall(text, status.end())
    if len(fields) != (text.count("\n", status.end() - 1)):
        raise BrokenAnswerError("one of its headers is not legal")
    headers = {name.lower(): value.strip(" \t") for name, value in fields}
    if len(headers) != len(fields):
        headers = _joined(fields)
    return int(status[1]), int(status[2]), headers


def _joined(fields: list[tuple[str, str]]) -> dict[str, str]:
    """The headers where some came more than once: their values with commas between them."""
    if len(fields) > MAX_HEADERS:
        raise BrokenAnswerError(f"it has more than {MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for name, value in ((name.lower(), value.strip(" \t")) for name, value in fields):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _not_http(text: str) -> str:
    if text.startswith(("\x15\x03", "\x16\x03")):
        return "the server speaks TLS: use https:// in api_base"
    return "it does not begin as an HTTP/1.1 answer does"


def _size(value: str) -> int:
    if "," in value:  # sent twice, it must say the same
        first, *others = (part.strip() for part in value.split(","))
        value = first if all(other == first for other in others) else ""
    if not value.isdecimal() or not value.isascii() or len(value) > 18:
        raise BrokenAnswerError("its content-length is not a number")
    return int(value)
