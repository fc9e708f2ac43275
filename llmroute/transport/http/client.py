"""Sends an HTTP call, by one of two roads.

The direct one is ours and fast, and taken by default. The other goes through httpx: when the
caller passes an httpx client of their own, or when the environment sets a proxy for the server.
"""

from __future__ import annotations

import atexit
import functools
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from ...errors import BadRequestError
from ...providers.base import HTTPCall
from ..limits import Limits
from .direct import AsyncDirectTransport, DirectTransport
from .per_loop import PerLoop
from .proxies import proxy_for
from .proxy_clients import AsyncProxyClients, ProxyClients
from .response import AsyncHTTPResponse, HTTPResponse
from .target import Target, target

if TYPE_CHECKING:
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
        self.proxy = functools.cache(proxy_for)  # as httpx: the environment is read once
        self._proxy_clients = ProxyClients()

    def open(self, call: HTTPCall, limits: Limits) -> HTTPResponse:
        """Sends `call`, waits for status and headers, follows redirects within the same server.

        Raises `APIConnectionError`, `APITimeoutError`, and `BadRequestError` for a URL, a header
        or a proxy that cannot be used. Any status is an answer here, never an error.

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
            response.read_error()
            call = replace(call, url=elsewhere)
            goal = target(elsewhere)
        return self._send(call, goal, limits)

    def close(self) -> None:
        """Closes the idle connections. A later call opens new ones."""
        self._direct.close()
        self._proxy_clients.close()

    def _send(self, call: HTTPCall, goal: Target, limits: Limits) -> HTTPResponse:
        if self._client is not None:
            from .httpx_road import send  # httpx takes 80 ms, and most calls need none of it

            return send(self._client, call, goal, limits)
        proxy = self.proxy(goal.origin)
        if proxy is None:
            return self._direct.open(call, goal, limits)
        from .httpx_road import send  # for the same reason only here

        return send(self._proxy_clients.get(proxy), call, goal, limits, proxy)


class AsyncHTTPTransport:
    """The async twin of `HTTPTransport`; `client` is an `httpx.AsyncClient`.

    Connections belong to the asyncio loop they were opened on and are closed when it ends. Under
    another library than asyncio, pass a client.
    """

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._client = client
        self._direct = AsyncDirectTransport()
        self.proxy = functools.cache(proxy_for)
        self._proxy_clients: PerLoop[AsyncProxyClients] = PerLoop(AsyncProxyClients)

    async def open(self, call: HTTPCall, limits: Limits) -> AsyncHTTPResponse:
        """See `HTTPTransport.open`."""
        goal = target(call.url)
        for _ in range(MAX_REDIRECTS):
            response = await self._send(call, goal, limits)
            elsewhere = _redirect(response.status, response.headers, call.url, goal)
            if elsewhere is None:
                return response
            await response.read_error()
            call = replace(call, url=elsewhere)
            goal = target(elsewhere)
        return await self._send(call, goal, limits)

    async def aclose(self) -> None:
        """Closes the connections of the running loop. A later call opens new ones."""
        await self._direct.aclose()
        await self._proxy_clients.aclose()

    async def _send(self, call: HTTPCall, goal: Target, limits: Limits) -> AsyncHTTPResponse:
        if self._client is not None:
            from .httpx_road import send_async  # httpx takes 80 ms, and most calls need none of it

            return await send_async(self._client, call, goal, limits)
        proxy = self.proxy(goal.origin)
        if proxy is None:
            return await self._direct.open(call, goal, limits)
        from .httpx_road import send_async  # for the same reason only here

        clients = self._proxy_clients.current() or await self._proxy_clients.make()
        return await send_async(clients.get(proxy), call, goal, limits, proxy)


def transport(client: httpx.Client | None = None) -> HTTPTransport:
    """A transport over `client`; without one, ours, which all calls of the process share."""
    if client is None:
        return _shared()
    import httpx  # it takes 80 ms, and most calls need none of it

    from .httpx_road import check_client

    check_client(client, httpx.Client)
    return HTTPTransport(client)


def async_transport(client: httpx.AsyncClient | None = None) -> AsyncHTTPTransport:
    """The async twin of `transport`."""
    if client is None:
        return _shared_async()
    import httpx  # it takes 80 ms, and most calls need none of it

    from .httpx_road import check_client

    check_client(client, httpx.AsyncClient)
    return AsyncHTTPTransport(client)


@functools.cache
def _shared() -> HTTPTransport:
    shared = HTTPTransport()
    atexit.register(shared.close)
    return shared


@functools.cache
def _shared_async() -> AsyncHTTPTransport:
    return AsyncHTTPTransport()


def proxy_url(url: str) -> str | None:
    """The proxy's URL, password included, that our own transport sends a call to `url` through;
    `None`: through none that can be used."""
    try:
        proxy = _shared().proxy(target(url).origin)
    except BadRequestError:
        return None
    return None if proxy is None else proxy.url


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
