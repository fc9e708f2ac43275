"""The road through httpx: for a client of the caller's, and for proxies.

There, httpx decides about connections; the limits, the bounds and the errors are ours.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import anyio
import httpx

from ...errors import APIError, BadRequestError
from ...providers.base import HTTPCall
from ..limits import Limits, seconds_left, timeout_error
from .faults import FAULTS, network_error
from .forks import abandon_in_children
from .framing import BrokenAnswerError
from .http1 import request_head
from .proxies import Proxy
from .response import AsyncHTTPResponse, HTTPResponse
from .target import Target

_FAULTS = (
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    RuntimeError,  # of an AsyncClient on another loop than its own
    ValueError,
    ImportError,
    *FAULTS,
)
_CONNECTING = (
    httpx.ConnectError,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
)
_LONGEST_WAIT = 20 * 24 * 3600
"""Seconds; `settimeout` takes 24 days at most."""


class _SecondsLeft:
    """The time left for a wait, as httpcore hands it to `socket.settimeout` before every read.

    httpx takes one number for all reads of an answer. A number that is computed each time ends
    them at the deadline, however often something arrives; as `settimeout` wants it whole, at most
    a second late.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def __index__(self) -> int:
        seconds = seconds_left(self.limits.wait_deadline)
        return _LONGEST_WAIT if seconds is None else min(math.ceil(seconds), _LONGEST_WAIT)


class _Exchange:
    """One request through httpx: all of it that does not wait."""

    def __init__(
        self,
        client: httpx.Client | httpx.AsyncClient,
        call: HTTPCall,
        goal: Target,
        limits: Limits,
        proxy: Proxy | None,
    ) -> None:
        self.limits = limits
        self._goal = goal
        self._proxy = proxy
        self.answered = False
        self.scope: anyio.CancelScope | None = None
        """What ends the wait for the head (async)."""
        limits.enter("first_token")  # until it is known when httpx begins to send
        try:
            _check_owner(client, goal)
            request_head(call.method, goal.path, {**goal.headers, **call.headers})
        except FAULTS as exc:
            raise self.failed(exc) from exc
        headers = {name: value for name, value in goal.headers.items() if name != "host"}
        headers.update(call.headers)
        # Without user and password, which httpx would put in the place of the call's own header.
        url = f"{goal.origin.scheme}://{goal.headers['host']}{goal.path}"
        self._call = (call.method, url, headers, call.body)

    def request(self, client: httpx.Client) -> httpx.Request:
        """The request as a blocking client sends it."""
        self.seconds_left = _SecondsLeft(self.limits)
        timeout = {**self._connecting(), "write": self.seconds_left, "read": self.seconds_left}
        return self._build(client, {"timeout": timeout, "trace": self._traced})

    def async_request(self, client: httpx.AsyncClient) -> httpx.Request:
        """The request as an async client sends it; its waits are ended from outside."""
        timeout = {**self._connecting(), "write": None, "read": None}

        async def traced(event: str, info: dict[str, object]) -> None:
            self._traced(event, info)

        return self._build(client, {"timeout": timeout, "trace": traced})

    def _connecting(self) -> dict[str, float | None]:
        seconds = seconds_left(self.limits.deadline_for("connect"))
        seconds = None if seconds is None else min(seconds, _LONGEST_WAIT)
        return {"connect": seconds, "pool": seconds}

    def _build(
        self, client: httpx.Client | httpx.AsyncClient, extensions: dict[str, object]
    ) -> httpx.Request:
        method, url, headers, body = self._call
        return client.build_request(
            method, url, headers=headers, content=body, extensions=extensions
        )

    def _traced(self, event: str, info: dict[str, object]) -> None:
        if event.endswith(".send_request_headers.started"):
            self.limits.enter("first_token")
            if self.scope is not None:
                self.scope.deadline = _scope_deadline(self.limits)

    def failed(self, exc: BaseException) -> APIError:
        """The error for `exc`, one of `_FAULTS`."""
        if isinstance(exc, _CONNECTING):
            self.limits.phase = "connect"
        if isinstance(exc, httpx.TimeoutException):
            return timeout_error(self.limits, self._goal.url)
        cause = _cause(exc)
        error = network_error(cause, self._goal, self.limits, answered=self.answered)
        if self.limits.phase == "connect" and self._proxy is not None:
            error.message = (
                f"No connection to {self._goal.origin} through the proxy set in "
                f"{self._proxy.variable}: {cause}."
            )
        elif self.limits.phase == "connect":
            error.message += " The client that was passed may have called a proxy instead."
        return error


def _cause(exc: BaseException) -> BaseException:
    """What httpx, httpcore and anyio have wrapped: the innermost error of the system, or else a
    description that quotes nothing of what the server sent, which may be a key."""
    if isinstance(exc, FAULTS):
        return exc
    inner: BaseException | None = exc
    found = None
    while inner is not None:
        found = inner if isinstance(inner, FAULTS) else found
        inner = inner.__cause__ or inner.__context__
    if found is not None:
        return found
    if isinstance(exc, httpx.ProxyError):
        return BrokenAnswerError(f"it answered {str(exc)[:3]}")
    if isinstance(exc, httpx.RemoteProtocolError):
        ours = str(exc).startswith(("peer closed", "Server disconnected"))
        return BrokenAnswerError(str(exc) if ours else "what came is not HTTP")
    if isinstance(exc, httpx.TransportError | RuntimeError):
        return BrokenAnswerError(str(exc) or type(exc).__name__)
    return BrokenAnswerError(f"httpx could not send the call ({type(exc).__name__})")


def _scope_deadline(limits: Limits) -> float:
    """`limits.wait_deadline` on the clock of the running event loop."""
    if limits.wait_deadline is None:
        return math.inf
    return anyio.current_time() + limits.wait_deadline - time.monotonic()


_owners: weakref.WeakKeyDictionary[httpx.Client | httpx.AsyncClient, int] = (
    weakref.WeakKeyDictionary()
)


def _check_owner(client: httpx.Client | httpx.AsyncClient, goal: Target) -> None:
    if client.is_closed:
        raise BadRequestError("The httpx client that was passed is closed.", url=goal.url)
    if _owners.setdefault(client, os.getpid()) != os.getpid():
        raise BadRequestError(
            "The httpx client that was passed has been used before this process was forked: its "
            "connections are the parent's, and so would be the answers. Make one in each process.",
            url=goal.url,
            param="client",
        )


def check_client(client: object, kind: type) -> None:
    """Raises `BadRequestError` if `client` is not one of httpx's for this kind of call."""
    if not isinstance(client, kind):
        raise BadRequestError(
            f"client= must be an httpx.{kind.__name__} here, not {type(client).__name__}.",
            param="client",
        )


def send(
    client: httpx.Client, call: HTTPCall, goal: Target, limits: Limits, proxy: Proxy | None = None
) -> HTTPResponse:
    """Sends `call` and waits for the answer's head."""
    exchange = _Exchange(client, call, goal, limits, proxy)
    try:
        request = exchange.request(client)
        response = client.send(request, stream=True, follow_redirects=False)
    except _FAULTS as exc:
        error, cause = _translated(exchange, exc), _shown(exc)
    else:
        return _HTTPXResponse(exchange, response)
    raise error from cause  # here, so that what httpx said of the server's bytes is not attached


async def send_async(
    client: httpx.AsyncClient,
    call: HTTPCall,
    goal: Target,
    limits: Limits,
    proxy: Proxy | None = None,
) -> AsyncHTTPResponse:
    """The async twin of `send`; works under asyncio and trio."""
    exchange = _Exchange(client, call, goal, limits, proxy)
    try:
        request = exchange.async_request(client)
        with anyio.CancelScope(deadline=_scope_deadline(limits)) as exchange.scope:
            response = await client.send(request, stream=True, follow_redirects=False)
        if exchange.scope.cancelled_caught:
            raise TimeoutError
    except _FAULTS as exc:
        error, cause = _translated(exchange, exc), _shown(exc)
    else:
        return _AsyncHTTPXResponse(exchange, response)
    raise error from cause  # outside, as in `send`


def _translated(exchange: _Exchange, exc: BaseException) -> APIError:
    return exc if isinstance(exc, APIError) else exchange.failed(exc)


def _shown(exc: BaseException) -> BaseException | None:
    """What may stand in a traceback: an error of the system, which quotes no server. A limit of
    ours that has passed hides what it interrupted."""
    cause = _cause(exc)
    return cause if isinstance(cause, OSError) and cause is not exc else None


def _is_unpacked(response: httpx.Response) -> bool:
    """Whether a mock or a hook of the caller's has read the body already."""
    return response.is_stream_consumed or response.is_closed


class _HTTPXResponse(HTTPResponse):
    def __init__(self, exchange: _Exchange, response: httpx.Response) -> None:
        exchange.answered = True
        headers = dict(response.headers)
        self._begin(response.status_code, headers, exchange.limits)
        self._exchange = exchange
        self._response = response
        self._pieces = response.iter_raw()
        if _is_unpacked(response):
            self._encoding = ""
            self._pieces = response.iter_bytes()
        self._waiting = False
        self._closed = False
        abandon_in_children(self)

    def _raw(self) -> bytes | None:
        self._exchange.limits = self._exchange.seconds_left.limits = self.limits
        try:
            if self._closed:
                raise BrokenAnswerError("the answer was closed before its end")
            with self._last_second():
                return next(self._pieces, None)
        except _FAULTS as exc:
            self.close()
            error, cause = self._failed(exc), _shown(exc)
        except BaseException:  # interrupted: nobody will read the rest
            self.close()
            raise
        raise error from cause  # outside, as in `send`

    @contextmanager
    def _last_second(self) -> Iterator[None]:
        """Ends a wait at its deadline where whole seconds are too coarse."""
        left = seconds_left(self.limits.wait_deadline)
        timer = None
        late = threading.Event()
        if left is not None and left < 1 and self._socket() is not None:

            def end() -> None:
                late.set()
                self._shut_down()

            timer = threading.Timer(left, end)
            timer.daemon = True
            timer.start()
        self._waiting = True
        try:
            yield
        except _FAULTS:
            if not late.is_set():
                raise
        finally:
            self._waiting = False
            if timer is not None:
                timer.cancel()
        if late.is_set():
            raise TimeoutError
        if self._closed:
            raise BrokenAnswerError("the answer was closed on this side")

    def _socket(self) -> socket.socket | None:
        """The socket that this answer alone comes from; `None`: not known."""
        if self._response.extensions.get("http_version") == b"HTTP/2":
            return None
        stream = self._response.extensions.get("network_stream")
        found = None if stream is None else stream.get_extra_info("socket")
        return found if isinstance(found, socket.socket) else None

    def _shut_down(self) -> None:
        if (sock := self._socket()) is not None:
            with suppress(OSError):  # the server was quicker
                sock.shutdown(socket.SHUT_RDWR)

    def _failed(self, exc: BaseException) -> APIError:
        return _translated(self._exchange, exc)

    def close(self) -> None:
        self._closed = True
        if self._waiting:  # another thread reads: it is woken, and closes
            self._shut_down()
        else:
            self._response.close()

    def abandon(self) -> None:
        """See `Shared`: the connection is the parent's."""
        self._closed = True
        _abandoned.append(self._response)


class _AsyncHTTPXResponse(AsyncHTTPResponse):
    def __init__(self, exchange: _Exchange, response: httpx.Response) -> None:
        exchange.answered = True
        self._begin(response.status_code, dict(response.headers), exchange.limits)
        self._exchange = exchange
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_raw()
        if _is_unpacked(response):
            self._encoding = ""
            self._pieces = response.aiter_bytes()
        self._closed = False
        abandon_in_children(self)

    async def _raw(self) -> bytes | None:
        self._exchange.limits = self.limits
        try:
            if self._closed:
                raise BrokenAnswerError("the answer was closed before its end")
            seconds_left(self.limits.wait_deadline)
            with anyio.CancelScope(deadline=_scope_deadline(self.limits)) as scope:
                piece = await anext(self._pieces, None)
            if scope.cancelled_caught:
                raise TimeoutError
            return piece
        except _FAULTS as exc:
            await self.aclose()
            error, cause = self._failed(exc), _shown(exc)
        except BaseException:  # cancelled: nobody will read the rest
            with anyio.CancelScope(shield=True):
                await self.aclose()
            raise
        raise error from cause  # outside, as in `send`

    def _failed(self, exc: BaseException) -> APIError:
        return _translated(self._exchange, exc)

    async def aclose(self) -> None:
        self._closed = True
        await self._response.aclose()

    def abandon(self) -> None:
        """See `Shared`: the connection is the parent's."""
        self._closed = True
        _abandoned.append(self._response)


_abandoned: list[object] = []
"""Never freed: what a forked child closes or frees could reach its parent's server."""
