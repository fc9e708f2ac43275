"""The fast road: HTTP/1.1 straight over our own connections, sync and async side by side."""

from __future__ import annotations

import os
from typing import Generic, TypeVar

from ...errors import APIConnectionError, APIError
from ...providers.base import HTTPCall
from ..limits import Limits, Phase
from .body import unpacker
from .faults import FAULTS, network_error
from .network import AsyncConnection, SyncConnection
from .per_loop import PerLoop
from .pool import Pool
from .response import AsyncHTTPResponse, HTTPResponse
from .target import Target

C = TypeVar("C", SyncConnection, AsyncConnection)


class _Exchange(Generic[C]):
    """One request on one connection: all of it that does not wait."""

    def __init__(self, call: HTTPCall, goal: Target, limits: Limits, pool: Pool[C]) -> None:
        self.goal = goal
        self.limits = limits
        self.phase: Phase = "connect"
        self._call = call
        self._pool: Pool[C] = pool
        # A list, because of a reader at the end of the body and a closer in another thread only
        # one may get the connection, and `pop` decides it.
        self._held: list[C] = []
        self._end: float | None = None
        self._begun = False
        self.ended = False
        """Whether the whole body has been taken."""

    def start(self, connection: C) -> bytes:
        """Takes the connection to use; the bytes to send."""
        self._held.append(connection)
        self.phase = "first_token"
        self._end = self.limits.deadline_for("first_token")
        call, goal = self._call, self.goal
        headers = {**goal.headers, **call.headers}
        if call.body or call.method == "POST":
            headers["content-length"] = str(len(call.body))
        return connection.http.request(call.method, goal.path, headers, call.body)

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Takes the answer's status and headers."""
        self.status = status
        self.headers = headers
        self._unpacker = unpacker(headers.get("content-encoding", ""))

    def wait_end(self) -> float | None:
        """When the wait for the next bytes must be over."""
        return self.limits.deadline_for("idle") if self._begun else self._end

    def connection(self) -> C:
        """The connection in use."""
        try:
            return self._held[0]
        except IndexError:
            message = "The answer was closed before its end."
            raise APIConnectionError(message, url=self.goal.url) from None

    def take(self, raw: bytes, connection: C) -> bytes:
        """Takes a piece of the body as it came; the piece unpacked, which may be empty.

        At the end of the body gives the connection back for the next request.
        """
        self._begun = True
        self.phase = "idle"
        self.ended = connection.http.ended
        if self._unpacker is not None:
            raw = self._unpacker.feed(raw)
            if self.ended:
                self._unpacker.close()
        if self.ended and self.let_go() is not None:
            if connection.http.renew():
                self._pool.give(self.goal.origin, connection)
            else:
                connection.close()
        return raw

    def drop(self) -> None:
        """Closes the connection."""
        if (connection := self.let_go()) is not None:
            connection.close()

    def failed(self, exc: BaseException) -> APIError:
        """Drops the connection; the error for `exc`, one of `FAULTS`."""
        self.drop()
        return network_error(exc, self.goal, self.limits, self.phase)

    def let_go(self) -> C | None:
        """Hands the connection over; `None` if that has happened before."""
        try:
            return self._held.pop()
        except IndexError:
            return None


class DirectTransport:
    """Sends calls over pooled blocking connections. Safe to use from several threads."""

    def __init__(self) -> None:
        self._pool: Pool[SyncConnection] = Pool()
        self._pid = os.getpid()

    def open(self, call: HTTPCall, goal: Target, limits: Limits) -> HTTPResponse:
        """Sends `call` and waits for the answer's head."""
        if self._pid != os.getpid():  # a child process: these connections are its parent's
            self._pid = os.getpid()
            self._pool.forget()
        exchange = _Exchange(call, goal, limits, self._pool)
        try:
            connection = self._pool.take(goal.origin)
            if connection is None:
                connection = SyncConnection.open(goal.origin, limits.deadline_for("connect"))
            connection.send(exchange.start(connection), exchange.wait_end())
            http = connection.http
            while (head := http.head()) is None:
                http.feed(connection.receive(exchange.wait_end()))
            exchange.head(*head)
        except FAULTS as exc:
            raise exchange.failed(exc) from exc
        except BaseException:  # interrupted or cancelled: nobody will read the rest
            exchange.drop()
            raise
        return _DirectResponse(exchange)

    def close(self) -> None:
        """Closes the connections that are kept."""
        self._pool.close()


class _DirectResponse(HTTPResponse):
    def __init__(self, exchange: _Exchange[SyncConnection]) -> None:
        self.status = exchange.status
        self.headers = exchange.headers
        self._exchange = exchange

    def __next__(self) -> bytes:
        exchange = self._exchange
        try:
            while not exchange.ended:
                connection = exchange.connection()
                http = connection.http
                while (raw := http.piece()) is None:
                    http.feed(connection.receive(exchange.wait_end()))
                if piece := exchange.take(raw, connection):
                    return piece
        except FAULTS as exc:
            raise exchange.failed(exc) from exc
        except BaseException:  # interrupted or cancelled: nobody will read the rest
            exchange.drop()
            raise
        raise StopIteration

    def close(self) -> None:
        self._exchange.drop()

    def __del__(self) -> None:  # a stream that was left early and forgotten
        self._exchange.drop()


class _LoopConnections:
    """The connections of one event loop, which can be used and closed on that loop only."""

    def __init__(self) -> None:
        self.pool: Pool[AsyncConnection] = Pool()
        self.all_open: set[AsyncConnection] = set()

    async def aclose(self) -> None:
        self.pool.close()
        for connection in list(self.all_open):
            connection.close()


class AsyncDirectTransport:
    """The async twin of `DirectTransport`; each event loop has connections of its own."""

    def __init__(self) -> None:
        self._by_loop: PerLoop[_LoopConnections] = PerLoop(_LoopConnections)

    async def open(self, call: HTTPCall, goal: Target, limits: Limits) -> AsyncHTTPResponse:
        """Sends `call` and waits for the answer's head."""
        connections = await self._by_loop.get()
        exchange = _Exchange(call, goal, limits, connections.pool)
        try:
            connection = connections.pool.take(goal.origin)
            if connection is None:
                connection = await AsyncConnection.open(
                    goal.origin, limits.deadline_for("connect"), connections.all_open
                )
            await connection.send(exchange.start(connection), exchange.wait_end())
            http = connection.http
            while (head := http.head()) is None:
                http.feed(await connection.receive(exchange.wait_end()))
            exchange.head(*head)
        except FAULTS as exc:
            raise exchange.failed(exc) from exc
        except BaseException:  # interrupted or cancelled: nobody will read the rest
            exchange.drop()
            raise
        return _AsyncDirectResponse(exchange)

    async def aclose(self) -> None:
        """Closes all connections of the running loop."""
        await self._by_loop.aclose()


class _AsyncDirectResponse(AsyncHTTPResponse):
    def __init__(self, exchange: _Exchange[AsyncConnection]) -> None:
        self.status = exchange.status
        self.headers = exchange.headers
        self._exchange = exchange

    async def __anext__(self) -> bytes:
        exchange = self._exchange
        try:
            while not exchange.ended:
                connection = exchange.connection()
                http = connection.http
                while (raw := http.piece()) is None:
                    http.feed(await connection.receive(exchange.wait_end()))
                if piece := exchange.take(raw, connection):
                    return piece
        except FAULTS as exc:
            raise exchange.failed(exc) from exc
        except BaseException:  # interrupted or cancelled: nobody will read the rest
            exchange.drop()
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._exchange.drop()

    def __del__(self) -> None:
        # A stream that was left early and forgotten: the loop would hold its socket for ever.
        if (connection := self._exchange.let_go()) is not None:
            connection.close_soon()
