"""A small HTTP server on loopback, for emulators: real sockets, keep-alive, faults on demand."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

_NO_WAITING_DATA = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST


@dataclass(eq=False)
class RecordedRequest:
    """One request as it arrived."""

    method: str
    path: str
    """With the query; without scheme and host, also when it came through a proxy."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    connection: int
    """Which connection it came on; the server's first is 1."""
    outcome: Literal["answered", "abandoned"] | None = None
    """`None` while it is being answered; `"abandoned"` if the client went away before the end."""
    done: threading.Event = field(default_factory=threading.Event)
    """Set when `outcome` is known."""

    @property
    def json(self) -> Any:
        """The decoded body; `None` if there is none. Raises `ValueError` if it is no JSON."""
        return json.loads(self.body) if self.body else None


class Exchange:
    """The server's side of one request. Writing raises `OSError` when the client has gone."""

    def __init__(self, handler: BaseHTTPRequestHandler, stopping: socket.socket) -> None:
        self._handler = handler
        self._stopping = stopping

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Sends a whole answer."""
        self._start(status, {**headers, "content-length": str(len(body))})
        self._handler.wfile.write(body)

    def begin(self, headers: Mapping[str, str]) -> None:
        """Starts an answer of unknown length; follow with `write` and `end`."""
        self._start(200, {**headers, "transfer-encoding": "chunked"})

    def write(self, data: bytes) -> None:
        """Sends one piece."""
        self._handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """Ends the answer properly; the connection stays open."""
        self._handler.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Ends the connection where the answer stands."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """Aborts the connection, so that the client sees a reset instead of an end."""
        self._handler.close_connection = True
        connection = self._handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_WAITING_DATA)
        os.close(connection.detach())

    def pause(self, seconds: float) -> None:
        """Waits; raises `ConnectionAbortedError` as soon as the client or the server goes away."""
        connection = self._handler.connection
        readable, _, _ = select.select([connection, self._stopping], [], [], seconds)
        gone = connection in readable and not connection.recv(1, socket.MSG_PEEK)
        if gone or self._stopping in readable:
            raise ConnectionAbortedError("nobody waits for this answer any more")

    def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()


class LoopbackServer:
    """Serves on 127.0.0.1 in a `with` block, or from `start()` to `close()`; a thread a connection.

    Override `respond`. An error in it that is not the client's leaving is raised by `close()`.
    """

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        """Every request received, oldest first."""
        self.connections = 0
        """How many connections were opened to this server."""
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`. Raises `RuntimeError` while the server does not run."""
        if self._server is None:
            raise RuntimeError("The server does not run: use it in a with block, or call start().")
        return f"http://127.0.0.1:{self._server.server_port}"

    def respond(self, request: RecordedRequest, exchange: Exchange) -> None:
        """Answers one request; called on its connection's thread."""
        raise NotImplementedError

    def start(self) -> None:
        """Starts serving."""
        self._server = _Server(self)
        # A short poll, because closing the server waits for it.
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    def close(self) -> None:
        """Stops serving and ends every connection. Closing twice is fine."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
            if server.failure is not None:
                raise server.failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: LoopbackServer) -> None:
        self.owner = owner
        self.failure: BaseException | None = None
        self.numbers: dict[Any, int] = {}
        """The open connections, numbered as they came."""
        self.stopping, self._stop = socket.socketpair()
        self._closed = threading.Condition()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._closed:
            self.owner.connections += 1
            self.numbers[request] = self.owner.connections
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._closed:
            del self.numbers[request]
            self._closed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a client that went away
            self.failure = error

    def stop(self) -> None:
        self._stop.send(b"stop")  # ends every pause
        self.shutdown()
        self.server_close()
        with self._closed:
            for connection in self.numbers:
                _hang_up(connection)
            self._closed.wait_for(lambda: not self.numbers, timeout=5)
        self.stopping.close()
        self._stop.close()


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # already gone


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        request = RecordedRequest(
            self.command,
            url.path + (f"?{url.query}" if url.query else ""),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("content-length") or 0)),
            self.server.numbers[self.connection],
        )
        owner, exchange = self.server.owner, Exchange(self, self.server.stopping)
        owner.requests.append(request)
        try:
            owner.respond(request, exchange)
            request.outcome = "answered"
        except OSError:
            request.outcome = "abandoned"
            exchange.cut()
        finally:
            request.done.set()

    do_GET = do_POST  # noqa: N815 - the base class finds it by this name

    def log_message(self, *args: object) -> None:
        """Nothing is printed."""
