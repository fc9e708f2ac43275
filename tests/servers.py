"""A server that plays back raw bytes, so that tests can send what no proper server would."""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self


class Step:
    """What can be done besides sending bytes."""


CLOSE = Step()
"""Ends the connection properly."""
RESET = Step()
"""Aborts the connection: the client sees a reset."""
HOLD = Step()
"""Says nothing until the client goes away or the server stops."""


class Pause(Step):
    """Waits that many seconds, or until the server stops."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


@dataclass
class Drip(Step):
    """Sends the same bytes every few hundredths of a second until the client goes away."""

    data: bytes


Answer = Sequence[bytes | Step]
"""What to do after one request."""

OK = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]


@dataclass
class Received:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """Which connection it came on; the first is 1."""


class ScriptedServer:
    """Plays `answers` one after the other, the last one forever. Use it in a `with` block.

    With `early`, an answer begins when the head of its request has come, and the body is never
    read as one: it stands in the way of the next request.
    """

    def __init__(
        self, *answers: Answer, tls: ssl.SSLContext | None = None, early: bool = False
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.asked = threading.Event()
        """Set when a request has come."""
        self.gone = threading.Event()
        """Set when a connection has ended, by the client or by the answer."""
        self._answers = list(answers)
        self._tls = tls
        self._early = early
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stop, self._stopping = socket.socketpair()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.close()
        for thread in self._threads:
            thread.join()
        self._stopping.close()
        self._listener.close()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while self._wait(self._listener):
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._start(self._serve, connection, self.connections)

    def _wait(self, sock: socket.socket) -> bool:
        """Waits for `sock` to be readable; `False` when the server stops."""
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        readable, _, _ = select.select([sock, self._stopping], [], [])
        return self._stopping not in readable

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            while self._one(connection, number):
                pass
        except OSError:
            pass  # the client went away, which is its right
        finally:
            connection.close()
            self.gone.set()

    def _one(self, connection: socket.socket, number: int) -> bool:
        data = b""
        while b"\r\n\r\n" not in data and not data.startswith(b"\x16"):  # TLS: no end to wait for
            if not self._wait(connection) or not (piece := connection.recv(65536)):
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (text.partition(":") for text in lines)}
        while not self._early and len(body) < int(headers.get("content-length", 0)):
            if not self._wait(connection) or not (piece := connection.recv(65536)):
                return False
            body += piece
        with self._lock:
            self.requests.append(Received(line, headers, body, number))
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.asked.set()
        return self._play(answer, connection)

    def _play(self, answer: Answer, connection: socket.socket) -> bool:
        for step in answer:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif step is HOLD:
                self._wait(connection)
                return False
            elif isinstance(step, Pause):
                if select.select([self._stopping], [], [], step.seconds)[0]:
                    return False
            elif isinstance(step, Drip):
                while not select.select([connection, self._stopping], [], [], 0.03)[0]:
                    connection.sendall(step.data)
                self.gone.set()
                return False
            elif step is RESET:
                linger = struct.pack("ii", 1, 0)  # on, zero seconds: closing sends RST
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                os.close(connection.detach())
                return False
            else:
                return False
        return True


def chunked(*pieces: bytes) -> bytes:
    """The pieces in chunked framing, without the end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
