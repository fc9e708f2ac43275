"""Event loops of other libraries than asyncio: a clear word before sending, or an answer."""

from __future__ import annotations

import httpx
import pytest
import trio
from roads import post
from servers import CLOSE, HOLD, OK, ScriptedServer

from llmroute.errors import APIConnectionError, APITimeoutError, BadRequestError
from llmroute.transport.http import AsyncHTTPTransport
from llmroute.transport.limits import Limits
from llmroute.transport.pauses import pause
from llmroute.types.request import TimeLimits


async def _ask(client: httpx.AsyncClient | None, url: str, **limits: float) -> bytes:
    opened = await AsyncHTTPTransport(client).open(post(url), Limits.begin(TimeLimits(**limits)))
    return await opened.read()


def test_trio_without_a_client_is_told_before_sending() -> None:
    with ScriptedServer(OK) as server:
        with pytest.raises(BadRequestError, match=r"client=httpx\.AsyncClient"):
            trio.run(_ask, None, server.url)
        assert not server.requests


def test_trio_with_a_client_keeps_every_promise() -> None:
    async def run() -> None:
        async with httpx.AsyncClient() as client:
            assert await _ask(client, server.url) == b"ok"
            await pause(0.001)
            with pytest.raises(APIConnectionError, match="before the answer"):
                await _ask(client, server.url)
            with pytest.raises(APITimeoutError, match="total"):
                await _ask(client, server.url, total=0.1)

    with ScriptedServer(OK, [CLOSE], [HOLD]) as server:
        trio.run(run)
