"""httpx clients of our own, one for each proxy that calls go through.

httpx is imported when the first one is made: it takes 80 ms, and most calls need none of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict, TypeVar

from ...errors import BadRequestError
from .forks import abandon_in_children
from .proxies import Proxy

if TYPE_CHECKING:
    import ssl
    from http.cookiejar import CookieJar

    import httpx

T = TypeVar("T")


class ProxyClients:
    """Blocking clients. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, httpx.Client] = {}
        abandon_in_children(self)

    def get(self, proxy: Proxy) -> httpx.Client:
        """The client for `proxy`. Raises `BadRequestError` for one that httpx cannot use."""
        import httpx

        with self._lock:
            if proxy.url not in self._clients:
                self._clients[proxy.url] = _made(lambda: httpx.Client(**_options(proxy)), proxy)
            return self._clients[proxy.url]

    def close(self) -> None:
        """Closes them. A later call makes new ones."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def abandon(self) -> None:
        """See `Shared`: the connections are the parent's."""
        _abandoned.append(self._clients)
        self._lock = threading.Lock()
        self._clients = {}


class AsyncProxyClients:
    """The async twin of `ProxyClients`, for one event loop."""

    def __init__(self) -> None:
        self._clients: dict[str, httpx.AsyncClient] = {}

    def get(self, proxy: Proxy) -> httpx.AsyncClient:
        """The client for `proxy`. Raises `BadRequestError` for one that httpx cannot use."""
        import httpx

        if proxy.url not in self._clients:
            self._clients[proxy.url] = _made(lambda: httpx.AsyncClient(**_options(proxy)), proxy)
        return self._clients[proxy.url]

    async def aclose(self) -> None:
        """Closes them."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()


_abandoned: list[object] = []
"""Never freed: what a forked child closes or frees could reach its parent's server."""


class _Options(TypedDict):
    proxy: str
    verify: ssl.SSLContext
    limits: httpx.Limits
    cookies: CookieJar
    trust_env: bool


def _options(proxy: Proxy) -> _Options:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx

    from .tls import tls_context  # here, because ssl takes 6 MB

    return {
        "proxy": proxy.url,
        "verify": tls_context(),
        "limits": httpx.Limits(max_connections=None),  # the direct road has no limit either
        # A jar that takes nothing: one caller's cookies must not ride on another's call.
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        "trust_env": False,
    }


def _made(make: Callable[[], T], proxy: Proxy) -> T:
    """What `make` makes. The error for a proxy that httpx refuses does not show its password."""
    import httpx

    try:
        return make()
    except (ValueError, ImportError, httpx.InvalidURL):
        raise BadRequestError(
            f"The environment variable {proxy.variable} holds no address of a proxy that httpx "
            "can use.",
            param=proxy.variable,
        ) from None
