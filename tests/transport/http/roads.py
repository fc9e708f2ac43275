"""Every way an HTTP call can go, behind one face, so that a test covers them all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from llmroute.errors import APITimeoutError
from llmroute.providers.base import HTTPCall
from llmroute.transport.http import AsyncHTTPTransport, HTTPTransport
from llmroute.transport.limits import Limits
from llmroute.types.request import TimeLimits


def post(url: str, body: bytes = b"{}", **headers: str) -> HTTPCall:
    """A call to `url`."""
    return HTTPCall("POST", url, {"authorization": "Bearer secret-key", **headers}, body)


@dataclass
class Answer:
    """What arrived."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    pieces: list[bytes] = field(default_factory=list)


class SyncRoad:
    """Calls from blocking code."""

    def __init__(self, client: httpx.Client | None = None) -> None:
        self.transport = HTTPTransport(client)
        self._client = client

    def read(self, call: HTTPCall, **limits: Any) -> Answer:
        """The whole answer."""
        response = self.transport.open(call, Limits.begin(TimeLimits(**limits)))
        return Answer(response.status, response.headers, response.read())

    def stream(self, call: HTTPCall, into: Answer | None = None, **limits: Any) -> Answer:
        """The answer piece by piece; `into` keeps what came before a failure."""
        response = self.transport.open(call, Limits.begin(TimeLimits(**limits)))
        answer = into or Answer(0, {})
        answer.status, answer.headers = response.status, response.headers
        for piece in response:
            answer.pieces.append(piece)
        answer.body = b"".join(answer.pieces)
        return answer

    def read_error(self, call: HTTPCall, **limits: Any) -> Answer:
        """The status, and what can be had of the body."""
        response = self.transport.open(call, Limits.begin(TimeLimits(**limits)))
        return Answer(response.status, response.headers, response.read_error())

    def finish(self, call: HTTPCall, seconds: float) -> Answer:
        """The answer piece by piece, which must be over `seconds` after the first one."""
        limits = Limits.begin(TimeLimits())
        response = self.transport.open(call, limits)
        answer = Answer(response.status, response.headers)
        with contextlib.suppress(APITimeoutError):
            for piece in response:
                answer.pieces.append(piece)
                limits.finish_within(seconds)
        return answer

    def first_piece(self, call: HTTPCall) -> bytes:
        """The first piece; the rest is not read."""
        response = self.transport.open(call, Limits.begin(TimeLimits()))
        piece = next(response)
        response.close()
        response.close()
        return piece

    def close(self) -> None:
        self.transport.close()
        if self._client is not None:
            self._client.close()


class AsyncRoad:
    """The same from an asyncio loop."""

    def __init__(self, *, through_httpx: bool = False) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient() if through_httpx else None
        self.transport = AsyncHTTPTransport(self._client)

    def read(self, call: HTTPCall, **limits: Any) -> Answer:
        async def run() -> Answer:
            response = await self.transport.open(call, Limits.begin(TimeLimits(**limits)))
            return Answer(response.status, response.headers, await response.read())

        return self._runner.run(run())

    def stream(self, call: HTTPCall, into: Answer | None = None, **limits: Any) -> Answer:
        async def run() -> Answer:
            response = await self.transport.open(call, Limits.begin(TimeLimits(**limits)))
            answer = into or Answer(0, {})
            answer.status, answer.headers = response.status, response.headers
            async for piece in response:
                answer.pieces.append(piece)
            answer.body = b"".join(answer.pieces)
            return answer

        return self._runner.run(run())

    def read_error(self, call: HTTPCall, **limits: Any) -> Answer:
        async def run() -> Answer:
            response = await self.transport.open(call, Limits.begin(TimeLimits(**limits)))
            return Answer(response.status, response.headers, await response.read_error())

        return self._runner.run(run())

    def finish(self, call: HTTPCall, seconds: float) -> Answer:
        async def run() -> Answer:
            limits = Limits.begin(TimeLimits())
            response = await self.transport.open(call, limits)
            answer = Answer(response.status, response.headers)
            with contextlib.suppress(APITimeoutError):
                async for piece in response:
                    answer.pieces.append(piece)
                    limits.finish_within(seconds)
            return answer

        return self._runner.run(run())

    def first_piece(self, call: HTTPCall) -> bytes:
        async def run() -> bytes:
            response = await self.transport.open(call, Limits.begin(TimeLimits()))
            piece = await anext(response)
            await response.aclose()
            await response.aclose()
            return piece

        return self._runner.run(run())

    def close(self) -> None:
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()


Road = SyncRoad | AsyncRoad


def open_road(name: str) -> Iterator[Road]:
    """One of `"sync"`, `"async"`, `"sync-httpx"`, `"async-httpx"`, closed afterwards."""
    through_httpx = name.endswith("httpx")
    road: Road
    if name.startswith("async"):
        road = AsyncRoad(through_httpx=through_httpx)
    else:
        road = SyncRoad(httpx.Client() if through_httpx else None)
    try:
        yield road
    finally:
        road.close()
