"""The HTTP/1.1 side of one connection, over h11. Bytes in, answer out; no I/O."""

from __future__ import annotations

from collections.abc import Mapping

import h11

MAX_HEAD_BYTES = 256 * 1024
"""How large an answer's status line and headers may be."""

BrokenAnswer = h11.RemoteProtocolError
"""What arrived is not HTTP, or ended too early."""


class IllegalHeaderError(ValueError):
    """A header holds what HTTP forbids. Names the header, never its value: it may be a key."""


class HTTP1:
    """One exchange after the other on one connection."""

    __slots__ = ("_drained", "_h11", "ended")

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._drained = True  # saves asking h11 again for what it has just said it does not have
        self.ended = False
        """Whether `piece()` has handed out the last of the answer."""

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """The bytes of a request. Raises `IllegalHeaderError`."""
        self.ended = False
        event = check(method, path, headers)
        send = self._h11.send
        head = send(event) or b""
        data = send(h11.Data(data=body)) or b""
        send(h11.EndOfMessage())
        return head + data

    def feed(self, data: bytes) -> None:
        """Takes bytes from the network; `b""` when the server has closed the connection."""
        if not data and self._h11.their_state is h11.SEND_RESPONSE:
            raise ConnectionError("the server closed the connection without an answer")
        self._h11.receive_data(data)
        self._drained = False

    def head(self) -> tuple[int, dict[str, str]] | None:
        """The answer's status and headers (names in lower case); `None`: more bytes are needed.

        Raises `BrokenAnswer`.
        """
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Response):
                return event.status_code, _headers(event)
            if event is h11.NEED_DATA:
                return None
            if not isinstance(event, h11.InformationalResponse):
                raise BrokenAnswer("the server switched to another protocol")

    def piece(self) -> bytes | None:
        """What has arrived of the body; `None`: more bytes are needed. Sets `ended` at its end.

        Raises `BrokenAnswer`, after everything before the fault has been handed out.
        """
        if self._drained:
            return None
        pieces: list[bytes] = []
        try:
            while isinstance(event := self._h11.next_event(), h11.Data):
                pieces.append(event.data)
        except BrokenAnswer:
            if not pieces:
                raise
            return b"".join(pieces)
        self._drained = True
        self.ended = event is not h11.NEED_DATA
        return b"".join(pieces) if pieces or self.ended else None

    def renew(self) -> bool:
        """Makes ready for the next request; `False` if the connection must not be used again."""
        state = self._h11
        if state.our_state is not h11.DONE or state.their_state is not h11.DONE:
            return False
        if state.trailing_data[0]:
            return False
        state.start_next_cycle()
        return True


def _headers(event: h11.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers.raw_items():
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def check(method: str, path: str, headers: Mapping[str, str]) -> h11.Request:
    """A request's head, if it is legal. Raises `IllegalHeaderError`."""
    try:
        return h11.Request(method=method, target=path, headers=list(headers.items()))
    except (h11.LocalProtocolError, UnicodeEncodeError):
        pass
    # Raised out here, so that the error does not carry the value along.
    for name, value in headers.items():
        try:
            h11.Request(method="GET", target="/", headers=list({"host": "x", name: value}.items()))
        except (h11.LocalProtocolError, UnicodeEncodeError):
            break
    else:
        raise IllegalHeaderError("The method, the path or the headers are not legal HTTP.")
    raise IllegalHeaderError(f"The header {name!r} holds a character that HTTP does not allow.")
