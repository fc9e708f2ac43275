"""Many callers at once, and many who leave: every answer is that of its own question."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from echo import EchoServer
from roads import post
from servers import HOLD, ScriptedServer, chunked

from llmroute.errors import APIConnectionError, APITimeoutError, LLMRouteError
from llmroute.transport.http import AsyncHTTPTransport, HTTPTransport
from llmroute.transport.limits import Limits
from llmroute.types.request import TimeLimits

BEGUN = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunked(b"x"), HOLD]


def test_threads_get_their_own_answers_while_others_close_theirs() -> None:
    transport = HTTPTransport()

    def work(number: int) -> int:
        chance = random.Random(number)
        whole = 0
        for i in range(12):
            body = b"%d-%d|" % (number, i) * 20
            response = transport.open(post(server.url, body), Limits.begin(TimeLimits(total=60)))
            if chance.random() < 0.3:
                threading.Timer(chance.random() * 0.003, response.close).start()
            try:
                assert response.read() == body
                whole += 1
            except APIConnectionError as error:
                assert "closed" in error.message  # noqa: PT017 (only some calls end so)
        return whole

    with EchoServer() as server:
        with ThreadPoolExecutor(64) as threads:
            assert sum(threads.map(work, range(64))) > 64
        transport.close()


def test_tasks_get_their_own_answers_while_others_are_cancelled() -> None:
    chance = random.Random(7)
    transport = AsyncHTTPTransport()
    wrong: list[bytes] = []

    async def one(number: int) -> None:
        body = b"%d|" % number * 20
        total = chance.random() * 0.01 + 1e-4 if chance.random() < 0.1 else 60.0
        try:
            limits = Limits.begin(TimeLimits(total=total))
            response = await transport.open(post(server.url, body), limits)
            if chance.random() < 0.1:
                await response.aclose()
                return
            if (answer := await response.read()) != body:
                wrong.append(answer)
        except APITimeoutError:
            assert total < 1

    async def storm() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        tasks = []
        for number in range(1200):
            task = asyncio.create_task(one(number))
            if chance.random() < 0.35:
                loop.call_later(chance.random() * 0.012, task.cancel)
            tasks.append(task)
            if number % 64 == 63:
                await asyncio.wait(tasks[-64:])
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await transport.aclose()
        cancelled = sum(isinstance(result, asyncio.CancelledError) for result in results)
        return cancelled, sum(result is None for result in results)

    with EchoServer() as server:
        cancelled, finished = asyncio.run(storm())
    assert not wrong
    assert cancelled > 50
    assert cancelled + finished == 1200


@pytest.mark.parametrize("reading", ["pieces", "whole"])
def test_second_thread_that_reads_is_told_and_disturbs_nobody(reading: str) -> None:
    transport = HTTPTransport()
    with ScriptedServer(BEGUN) as server, ThreadPoolExecutor(1) as thread:
        response = transport.open(post(server.url), Limits.begin(TimeLimits()))
        assert next(response) == b"x"
        first = thread.submit(response.read if reading == "whole" else response.__next__)
        while not response._reader.lock.locked():
            time.sleep(0.001)
        for use in (response.__next__, response.read, response.read_error):
            with pytest.raises(LLMRouteError, match="being read by another thread or task"):
                use()
        assert not first.done()
        response.close()
        with pytest.raises(APIConnectionError, match="closed"):
            first.result()


def test_second_task_that_reads_is_told_and_disturbs_nobody() -> None:
    transport = AsyncHTTPTransport()

    async def run() -> None:
        response = await transport.open(post(server.url), Limits.begin(TimeLimits()))
        assert await anext(response) == b"x"
        first = asyncio.create_task(response.read())
        await asyncio.sleep(0)
        for use in (response.__anext__, response.read, response.read_error):
            with pytest.raises(LLMRouteError, match="being read by another thread or task"):
                await use()
        assert not first.done()
        await response.aclose()
        with pytest.raises(APIConnectionError, match="closed"):
            await first

    with ScriptedServer(BEGUN) as server:
        asyncio.run(run())
