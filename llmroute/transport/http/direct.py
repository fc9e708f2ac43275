"""The fast road: HTTP/1.1 straight over our own connections, sync and async side by side."""

from __future__ import annotations

from typing import Generic, TypeVar

from ...errors import APIConnectionError, APIError
from ...providers.base import HTTPCall
from ..limits import Limits
from .async_connection import AsyncConnection
from .faults import FAULTS, network_error
from .per_loop import PerLoop
from .pool import Pool
from .response import AsyncHTTPResponse, HTTPResponse
from .sync_connection import SyncConnection
from .target import Origin, Target

C = TypeVar("C", SyncConnection, AsyncConnection)


class _Exchange(Generic[C]):
    """One request on one connection: all of it that does not wait."""

    __slots__ = ("_call", "_held", "_pool", "answered", "ended", "goal", "limits")

    def __init__(self, call: HTTPCall, goal: Target, limits: Limits, pool: Pool[C]) -> None:
        self.goal = goal
        self.limits = limits
        self._call = call
        self._pool: Pool[C] = pool
        # A list, because of a reader at the end of the body and a closer in another thread only
        # one may get the connection, and `pop` decides it.
        self._held: list[C] = []
        self.answered = False
        """Whether the answer's head has come."""
        self.ended = False
        """Whether the whole body has been taken."""

    def start(self, connection: C) -> bytes:
        """Takes the connection to use; the bytes to send."""
        self._held.append(connection)
        call, goal = self._call, self.goal
        self.limits.enter("first_token")
        headers = {**goal.headers, **call.headers}
        if call.body or call.method == "POST":
            headers["content-length"] = str(len(call.body))
        return connection.http.request(call.method, goal.path, headers, call.body)

    def connection(self) -> C:
        """The connection in use."""
        try:
            return self._held[0]
        except IndexError:
            message = "The answer was closed before its end."
            raise APIConnectionError(message, url=self.goal.url) from None

    def finish(self) -> None:
        """Takes the end of the body: the connection goes back for the next request, if all of
        this one has left and nothing follows the answer."""
        self.ended = True
        if (connection := self.detach()) is not None:
            if connection.sent and connection.http.renew():
                self._pool.release(self.goal.origin, connection)
            else:
                connection.close()

    def abort(self) -> None:
        """Closes the connection."""
        if (connection := self.detach()) is not None:
            connection.close()

    def failed(self, exc: BaseException) -> APIError:
        """Closes the connection; the error for `exc`, one of `FAULTS`."""
        self.abort()
        return network_error(exc, self.goal, self.limits, answered=self.answered)

    def detach(self) -> C | None:
        """Hands the connection over; `None` if that has happened before."""
        try:
            return self._held.pop()
        except IndexError:
            return None


class DirectTransport:
    """Sends calls over pooled blocking connections. Safe to use from several threads."""

    def __init__(self) -> None:
        self._pool: Pool[SyncConnection] = Pool()

    def open(self, call: HTTPCall, goal: Target, limits: Limits) -> HTTPResponse:
        """Sends `call` and waits for the answer's head."""
        exchange = _Exchange(call, goal, limits, self._pool)
        try:
            connection = self._pool.acquire(goal.origin)
            if connection is None:
                limits.enter("connect")
                connection = SyncConnection.open(goal.origin, limits.wait_deadline)
            connection.send(exchange.start(connection))
            http = connection.http
            head = None
            while head is None:
                http.feed(connection.receive(limits.wait_deadline))
                head = http.read_head()
        except FAULTS as exc:
            raise exchange.failed(exc) from exc
        except BaseException:  # interrupted or cancelled: nobody will read the rest
            exchange.abort()
            raise
        return _DirectResponse(exchange, *head)

    def close(self) -> None:
        """Closes the idle connections."""
        self._pool.close()


class _DirectResponse(HTTPResponse):
    def __init__(
        self, exchange: _Exchange[SyncConnection], status: int, headers: dict[str, str]
    ) -> None:
        exchange.answered = True
        self._exchange = exchange
        self._begin(status, headers, exchange.limits)

    def close(self) -> None:
        self._exchange.abort()

    def _raw(self) -> bytes | None:
        exchange = self._exchange
        if exchange.ended:
            return None
        try:
            connection = exchange.connection()
            http = connection.http
            while (raw := http.piece()) is None:
                http.feed(connection.receive(self.limits.wait_deadline))
        except FAULTS as exc:
            raise self._failed(exc) from exc
        except BaseException:  # interrupted or cancelled: nobody will read the rest
            exchange.abort()
            raise
        if http.ended:
            exchange.finish()
            return raw or None
        return raw

    def _failed(self, exc: BaseException) -> APIError:
        return self._exchange.failed(exc)

    def __del__(self) -> None:  # a stream that was left early and forgotten
        self._exchange.abort()


class _LoopConnections:
    """The connections of one event loop, which can be used and closed on that loop only."""

    def __init__(self) -> None:
        self.pool: Pool[AsyncConnection] = Pool()
        self.all_open: set[AsyncConnection] = set()

    async def open(self, origin: Origin, deadline: float | None) -> AsyncConnection:
        """A new connection. Raises `OSError`."""
        if origin.scheme == "https":
            from .async_tls import AsyncTLSConnection  # ssl takes 6 MB, and http needs none

            return await AsyncTLSConnection.open(origin, deadline, self.all_open)
        return await AsyncConnection.open(origin, deadline, self.all_open)

    async def aclose(self) -> None:
        """Closes them, those in use too."""
        self.pool.close()
        for connection in list(self.all_open):
            connection.close()


class AsyncDirectTransport:
    """The async twin of `DirectTransport`; each event loop has connections of its own."""

    def __init__(self) -> None:
        self._by_loop: PerLoop[_LoopConnections] = PerLoop(_LoopConnections)

    async def open(self, call: HTTPCall, goal: Target, limits: Limits) -> AsyncHTTPResponse:
        """Sends `call` and waits for the answer's head."""
        connections = self._by_loop.current() or await self._by_loop.make()
        exchange = _Exchange(call, goal, limits, connections.pool)
        try:
            connection = connections.pool.acquire(goal.origin)
            if connection is None:
                limits.enter("connect")
                connection = await connections.open(goal.origin, limits.wait_deadline)
            connection.send(exchange.start(connection))
            http = connection.http
            head = None
            while head is None:
                http.feed(await connection.receive(limits.wait_deadline))
                head = http.read_head()
        except FAULTS as exc:
            raise exchange.failed(exc) from exc
        except BaseException:  # interrupted or cancelled: nobody will read the rest
            exchange.abort()
            raise
        return _AsyncDirectResponse(exchange, *head)

    async def aclose(self) -> None:
        """Closes all connections of the running loop."""
        await self._by_loop.aclose()


class _AsyncDirectResponse(AsyncHTTPResponse):
    def __init__(
        self, exchange: _Exchange[AsyncConnection], status: int, headers: dict[str, str]
    ) -> None:
        exchange.answered = True
        self._exchange = exchange
        self._begin(status, headers, exchange.limits)

    async def aclose(self) -> None:
        self._exchange.abort()

    async def _raw(self) -> bytes | None:
        exchange = self._exchange
        if exchange.ended:
            return None
        try:
            connection = exchange.connection()
            http = connection.http
            while (raw := http.piece()) is None:
                http.feed(await connection.receive(self.limits.wait_deadline))
        except FAULTS as exc:
            raise self._failed(exc) from exc
        except BaseException:  # interrupted or cancelled: nobody will read the rest
            exchange.abort()
            raise
        if http.ended:
            exchange.finish()
            return raw or None
        return raw

    def _failed(self, exc: BaseException) -> APIError:
        return self._exchange.failed(exc)

    def __del__(self) -> None:
        # A stream that was left early and forgotten: the loop would hold its socket forever.
        if (connection := self._exchange.detach()) is not None:
            connection.close_soon()
