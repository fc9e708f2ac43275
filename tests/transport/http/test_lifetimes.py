"""Threads, event loops, cancelling, closing, child processes."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from roads import SyncRoad, post
from servers import HOLD, OK, ScriptedServer, chunked

from llmroute.errors import APIConnectionError
from llmroute.transport.http import AsyncHTTPTransport, HTTPTransport, pool
from llmroute.transport.limits import Limits
from llmroute.types.request import TimeLimits

BEGUN = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunked(b"x"), HOLD]


def limits() -> Limits:
    return Limits.begin(TimeLimits())


async def _ask(transport: AsyncHTTPTransport, url: str) -> bytes:
    response = await transport.open(post(url), limits())
    return await response.read()


def test_loops_one_after_the_other_leave_nothing_behind() -> None:
    """Each loop has its own connections and leaves none behind."""
    transport = AsyncHTTPTransport()
    with ScriptedServer(OK) as server:

        async def twice() -> None:
            assert await _ask(transport, server.url) == b"ok"
            assert await _ask(transport, server.url) == b"ok"

        for _ in range(10):
            asyncio.run(twice())
        gc.collect()  # a socket left open would warn now
        assert server.connections == 10
        assert not transport._direct._by_loop._kept


def test_loops_in_threads_have_connections_of_their_own() -> None:
    transport = AsyncHTTPTransport()
    with ScriptedServer(OK) as server:

        async def several() -> list[bytes]:
            return await asyncio.gather(*[_ask(transport, server.url) for _ in range(5)])

        with ThreadPoolExecutor(4) as threads:
            futures = [threads.submit(asyncio.run, several()) for _ in range(8)]
            assert all(f.result() == [b"ok"] * 5 for f in futures)
        gc.collect()
        assert not transport._direct._by_loop._kept


def test_loop_that_ends_closes_its_streams() -> None:
    transport = AsyncHTTPTransport()
    left_open = []
    with ScriptedServer(BEGUN) as server:

        async def begin() -> None:
            response = await transport.open(post(server.url), limits())
            assert await anext(response) == b"x"
            left_open.append(response)

        asyncio.run(begin())
        assert server.gone.wait(5)
    gc.collect()


def test_loop_that_was_never_shut_down_is_forgotten() -> None:
    transport = AsyncHTTPTransport()
    with ScriptedServer([*OK]) as server:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(_ask(transport, server.url))
        loop.run_until_complete(transport.aclose())
        loop.close()
        asyncio.run(_ask(transport, server.url))
        assert not transport._direct._by_loop._kept


@pytest.mark.parametrize("script", [[HOLD], BEGUN], ids=["head", "body"])
def test_cancelled_task_closes_its_own_connection(script: list[bytes]) -> None:
    transport = AsyncHTTPTransport()
    with ScriptedServer(script) as server:

        async def cancel() -> None:
            task = asyncio.create_task(_ask(transport, server.url))
            assert await asyncio.to_thread(server.asked.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.gone.wait, 5)

        asyncio.run(cancel())


def test_aclose_wakes_the_reader() -> None:
    transport = AsyncHTTPTransport()
    with ScriptedServer(BEGUN) as server:

        async def run() -> None:
            response = await transport.open(post(server.url), limits())
            await anext(response)
            reader = asyncio.create_task(anext(response))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            await response.aclose()
            with pytest.raises(APIConnectionError, match="closed on this side"):
                await reader
            with pytest.raises(APIConnectionError, match="closed before its end"):
                await anext(response)

        asyncio.run(run())


def test_stream_that_is_left_and_forgotten_is_closed() -> None:
    transport = HTTPTransport()
    with ScriptedServer(BEGUN) as server:
        for piece in transport.open(post(server.url), limits()):
            assert piece == b"x"
            break
        gc.collect()
        assert server.gone.wait(5)


def test_async_stream_that_is_left_and_forgotten_is_closed() -> None:
    transport = AsyncHTTPTransport()
    with ScriptedServer(BEGUN) as server:

        async def run() -> None:
            async for piece in await transport.open(post(server.url), limits()):
                assert piece == b"x"
                break
            gc.collect()
            assert await asyncio.to_thread(server.gone.wait, 5)

        asyncio.run(run())


def test_close_from_another_thread_wakes_the_reader_of_a_stream() -> None:
    transport = HTTPTransport()
    with ScriptedServer(BEGUN) as server:
        response = transport.open(post(server.url), limits())
        assert next(response) == b"x"
        closer = threading.Timer(0.05, response.close)
        closer.start()
        with pytest.raises(APIConnectionError, match="closed"):
            next(response)
        closer.join()
        assert server.gone.wait(5)
        with pytest.raises(APIConnectionError, match="closed before its end"):
            next(response)


def test_pool_gives_no_connection_to_two_threads() -> None:
    transport = HTTPTransport()

    def work(number: int) -> None:
        for i in range(25):
            body = b"%d-%d" % (number, i)
            assert transport.open(post(server.url, body), limits()).read() == b"ok"

    with ScriptedServer(OK) as server:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))
        assert len({r.body for r in server.requests}) == 200
        assert server.connections <= 8
        transport.close()


def test_pool_closes_idle_connections_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    road = SyncRoad()
    with ScriptedServer(OK) as server:
        monkeypatch.setattr(pool, "KEEP_SECONDS", 0.0)
        road.read(post(server.url))
        road.read(post(server.url))
        assert server.connections == 2
        road.close()


def test_pool_holds_only_so_many_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "KEEP_IDLE", 2)
    transport = HTTPTransport()
    with ScriptedServer(OK) as server:
        responses = [transport.open(post(server.url), limits()) for _ in range(5)]
        for response in responses:
            response.read()
        assert sum(len(stack) for stack in transport._direct._pool._idle.values()) == 2
        transport.close()
        assert transport.open(post(server.url), limits()).read() == b"ok"
        transport.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_opens_connections_of_its_own() -> None:
    transport = HTTPTransport()
    with ScriptedServer(OK) as server:
        transport.open(post(server.url), limits()).read()
        context = multiprocessing.get_context("fork")
        child = context.Process(target=_in_child, args=(transport, server.url))
        child.start()
        child.join()
        assert child.exitcode == 0
        transport.open(post(server.url), limits()).read()
        assert [r.connection for r in server.requests] == [1, 2, 1]
        transport.close()


def _in_child(transport: HTTPTransport, url: str) -> None:
    assert transport.open(post(url), limits()).read() == b"ok"
    transport.close()
