"""Sends an HTTP call. The only file that imports httpx.

Two roads. The direct one is ours and fast, and taken by default. The other goes through httpx:
when the caller passes an httpx client of their own, or when a proxy from the environment may
apply. There, httpx decides about proxies, certificates and connections.
"""

from __future__ import annotations

import atexit
import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from ...errors import APIError, BadRequestError
from ...providers.base import HTTPCall
from ..limits import Limits, Phase, seconds_left
from .direct import AsyncDirectTransport, DirectTransport
from .faults import FAULTS, network_error, timeout_error
from .http1 import check
from .per_loop import PerLoop
from .proxies import may_be_proxied
from .response import AsyncHTTPResponse, HTTPResponse
from .target import Target, target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

MAX_REDIRECTS = 3
"""How often one call follows a redirect."""


class HTTPTransport:
    """Sends calls and hands out the answers. Safe to use from several threads.

    `client` is an `httpx.Client` to use instead of our own connections, for proxies, certificates,
    mounts or mocks of the caller's; it stays the caller's to close.
    """

    def __init__(self, client: httpx.Client | None = None) -> None:
        self._client = client
        self._direct = DirectTransport()
        self._proxy_client: httpx.Client | None = None
        self._proxied = functools.cache(may_be_proxied)  # as httpx: the environment is read once

    def open(self, call: HTTPCall, limits: Limits) -> HTTPResponse:
        """Sends `call`, waits for status and headers, follows redirects within the same server.

        Raises `APIConnectionError`, `APITimeoutError`, and `BadRequestError` for a URL or a header
        that cannot be sent. Any status is an answer here, never an error.

        A connection that the server closes at the very moment a call is sent on it is an
        `APIConnectionError` too: the server may have begun to work on it, so sending it again is
        up to the retries that the caller allows.
        """
        goal = target(call.url)
        for _ in range(MAX_REDIRECTS):
            response = self._send(call, goal, limits)
            elsewhere = _redirect(response.status, response.headers, call.url, goal)
            if elsewhere is None:
                return response
            response.read()
            call = replace(call, url=elsewhere)
            goal = target(elsewhere)
        return self._send(call, goal, limits)

    def close(self) -> None:
        """Closes the connections that are kept. A later call opens new ones."""
        self._direct.close()
        client, self._proxy_client = self._proxy_client, None
        if client is not None:
            client.close()

    def _send(self, call: HTTPCall, goal: Target, limits: Limits) -> HTTPResponse:
        if self._client is not None:
            return _open(self._client, call, goal, limits)
        if self._proxied(goal.origin):
            if self._proxy_client is None:
                self._proxy_client = _make_client()
            return _open(self._proxy_client, call, goal, limits)
        return self._direct.open(call, goal, limits)


class AsyncHTTPTransport:
    """The async twin of `HTTPTransport`; `client` is an `httpx.AsyncClient`.

    Connections belong to the asyncio loop they were opened on and are closed when it ends. Under
    another library than asyncio, pass a client.
    """

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._client = client
        self._direct = AsyncDirectTransport()
        self._proxied = functools.cache(may_be_proxied)
        self._clients: PerLoop[httpx.AsyncClient] = PerLoop(_make_async_client)

    async def open(self, call: HTTPCall, limits: Limits) -> AsyncHTTPResponse:
        """See `HTTPTransport.open`."""
        goal = target(call.url)
        for _ in range(MAX_REDIRECTS):
            response = await self._send(call, goal, limits)
            elsewhere = _redirect(response.status, response.headers, call.url, goal)
            if elsewhere is None:
                return response
            await response.read()
            call = replace(call, url=elsewhere)
            goal = target(elsewhere)
        return await self._send(call, goal, limits)

    async def aclose(self) -> None:
        """Closes the connections of the running loop. A later call opens new ones."""
        await self._direct.aclose()
        await self._clients.aclose()

    async def _send(self, call: HTTPCall, goal: Target, limits: Limits) -> AsyncHTTPResponse:
        if self._client is not None:
            return await _open_async(self._client, call, goal, limits)
        if self._proxied(goal.origin):
            return await _open_async(await self._clients.get(), call, goal, limits)
        return await self._direct.open(call, goal, limits)


def transport(client: httpx.Client | None = None) -> HTTPTransport:
    """A transport over `client`; without one, ours, which all calls of the process share."""
    if client is None:
        return _shared()
    import httpx

    _check_client(client, httpx.Client)
    return HTTPTransport(client)


def async_transport(client: httpx.AsyncClient | None = None) -> AsyncHTTPTransport:
    """The async twin of `transport`."""
    if client is None:
        return _shared_async()
    import httpx

    _check_client(client, httpx.AsyncClient)
    return AsyncHTTPTransport(client)


def _check_client(client: object, kind: type) -> None:
    if not isinstance(client, kind):
        raise BadRequestError(
            f"client= must be an httpx.{kind.__name__} here, not {type(client).__name__}.",
            param="client",
        )


@functools.cache
def _shared() -> HTTPTransport:
    shared = HTTPTransport()
    atexit.register(shared.close)
    return shared


@functools.cache
def _shared_async() -> AsyncHTTPTransport:
    return AsyncHTTPTransport()


def _redirect(status: int, headers: dict[str, str], url: str, goal: Target) -> str | None:
    """Where to send the same call again; `None`: the answer stands.

    307 and 308 keep method and body. One that leads to another server is not followed: the key
    must not travel there.
    """
    if status not in (307, 308) or "location" not in headers:
        return None
    try:
        elsewhere = urljoin(url, headers["location"])
        return elsewhere if target(elsewhere).origin == goal.origin else None
    except (ValueError, BadRequestError):  # no address at all
        return None


# The road through httpx.


def _options() -> dict[str, Any]:
    import httpx

    from .tls import tls_context  # here, because ssl takes 6 MB and http needs none

    # The direct road has no limit of connections either.
    return {"verify": tls_context(), "limits": httpx.Limits(max_connections=None)}


def _make_client() -> httpx.Client:
    import httpx

    return httpx.Client(**_options())


def _make_async_client() -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(**_options())


class _HTTPXExchange:
    """One request through httpx: all of it that does not wait.

    httpx knows one limit for all reads of a body, so on this road `idle` is not enforced below
    `first_token`, and the deadline is looked at between reads.
    """

    def __init__(
        self, client: httpx.Client | httpx.AsyncClient, call: HTTPCall, goal: Target, limits: Limits
    ) -> None:
        self._goal = goal
        self._limits = limits
        self._phase: Phase = "first_token"
        headers = {name: value for name, value in goal.headers.items() if name != "host"}
        headers.update(call.headers)
        try:
            if client.is_closed:
                raise BadRequestError("The httpx client that was passed is closed.", url=goal.url)
            check(call.method, goal.path, {**goal.headers, **call.headers})
            connect = seconds_left(limits.deadline_for("connect"))
            answer = seconds_left(limits.deadline_for("first_token"))
        except FAULTS as exc:
            raise self.failed(exc) from exc
        self._timeout = {"connect": connect, "pool": connect, "write": answer, "read": answer}
        self.request = client.build_request(
            call.method,
            call.url,
            headers=headers,
            content=call.body,
            extensions={"timeout": self._timeout},
        )

    def head(self, response: httpx.Response) -> tuple[int, dict[str, str]]:
        """The answer's status and headers."""
        first, idle = self._limits.first_token, self._limits.idle
        longest = None if first is None or idle is None else max(first, idle)
        seconds = [s for s in (longest, seconds_left(self._limits.deadline)) if s is not None]
        self._timeout["read"] = min(seconds, default=None)
        return response.status_code, dict(response.headers)

    def arrived(self) -> None:
        """Notes that a piece of the body has arrived."""
        self._phase = "idle"
        seconds_left(self._limits.deadline)

    def failed(self, exc: Exception) -> APIError:
        """The error for `exc`: one of `FAULTS`, or what httpx raises."""
        import httpx

        if isinstance(exc, httpx.TimeoutException):
            connecting = isinstance(exc, httpx.ConnectTimeout | httpx.PoolTimeout)
            return timeout_error(self._goal, self._limits, "connect" if connecting else self._phase)
        if isinstance(exc, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol):
            self._phase = "connect"
        error = network_error(_root(exc), self._goal, self._limits, self._phase)
        if self._phase == "connect":
            error.message += " It may have been a proxy that was called (HTTPS_PROXY, HTTP_PROXY)."
        return error


def _root(exc: BaseException) -> BaseException:
    """What httpx, httpcore and anyio have wrapped: the innermost error of the system."""
    root: BaseException | None = exc
    inner = exc
    while root is not None:
        inner = root if isinstance(root, OSError) or root is exc else inner
        root = root.__cause__ or root.__context__
    return inner


def _open(client: httpx.Client, call: HTTPCall, goal: Target, limits: Limits) -> HTTPResponse:
    import httpx

    exchange = _HTTPXExchange(client, call, goal, limits)
    try:
        response = client.send(exchange.request, stream=True, follow_redirects=False)
        return _HTTPXResponse(exchange, response)
    except (httpx.HTTPError, *FAULTS) as exc:
        raise exchange.failed(exc) from exc


async def _open_async(
    client: httpx.AsyncClient, call: HTTPCall, goal: Target, limits: Limits
) -> AsyncHTTPResponse:
    import httpx

    exchange = _HTTPXExchange(client, call, goal, limits)
    try:
        response = await client.send(exchange.request, stream=True, follow_redirects=False)
        return _AsyncHTTPXResponse(exchange, response)
    except (httpx.HTTPError, *FAULTS) as exc:
        raise exchange.failed(exc) from exc


class _HTTPXResponse(HTTPResponse):
    def __init__(self, exchange: _HTTPXExchange, response: httpx.Response) -> None:
        self.status, self.headers = exchange.head(response)
        self._exchange = exchange
        self._response = response
        self._pieces: Iterator[bytes] = response.iter_bytes()

    def __next__(self) -> bytes:
        import httpx

        try:
            piece = next(self._pieces)
            self._exchange.arrived()
            return piece
        except (httpx.HTTPError, httpx.StreamError, *FAULTS) as exc:
            self.close()
            raise self._exchange.failed(exc) from exc

    def close(self) -> None:
        self._response.close()


class _AsyncHTTPXResponse(AsyncHTTPResponse):
    def __init__(self, exchange: _HTTPXExchange, response: httpx.Response) -> None:
        self.status, self.headers = exchange.head(response)
        self._exchange = exchange
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_bytes()

    async def __anext__(self) -> bytes:
        import httpx

        try:
            piece = await anext(self._pieces)
            self._exchange.arrived()
            return piece
        except (httpx.HTTPError, httpx.StreamError, *FAULTS) as exc:
            await self.aclose()
            raise self._exchange.failed(exc) from exc

    async def aclose(self) -> None:
        await self._response.aclose()
