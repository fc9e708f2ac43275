"""Child processes made by fork: they never use, nor disturb, what belongs to their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from echo import EchoServer
from roads import post
from servers import OK, Pause, ScriptedServer, chunked

from llmroute.errors import APIConnectionError, BadRequestError
from llmroute.transport.http import AsyncHTTPTransport, HTTPTransport
from llmroute.transport.limits import Limits
from llmroute.types.request import TimeLimits

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
    # Python 3.12 and newer warn of forking with threads, which is what happens here on purpose.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

STREAM = [
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    chunked(b"1"),
    Pause(0.3),
    chunked(b"2") + b"0\r\n\r\n",
]


def ask(transport: HTTPTransport, url: str, body: bytes = b"{}") -> bytes:
    return transport.open(post(url, body), Limits.begin(TimeLimits(total=20))).read()


async def ask_async(transport: AsyncHTTPTransport, url: str) -> bytes:
    response = await transport.open(post(url), Limits.begin(TimeLimits(total=20)))
    return await response.read()


def in_child(work: Callable[[], object]) -> bool:
    """Whether `work` ends without an error, and within 30 seconds, in a forked child."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def test_child_with_threads_opens_connections_of_its_own() -> None:
    transport = HTTPTransport()
    with ScriptedServer(OK) as server:
        ask(transport, server.url, b"parent")

        def child() -> None:
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(lambda _: ask(transport, server.url, b"child"), range(16)))

        assert in_child(child)
        ask(transport, server.url, b"parent")
        users: dict[int, set[bytes]] = {}
        for request in server.requests:
            users.setdefault(request.connection, set()).add(request.body)
        assert all(len(bodies) == 1 for bodies in users.values())
        assert users[1] == {b"parent"}
        transport.close()


def test_child_of_a_thread_that_holds_the_pool_does_not_hang() -> None:
    transport = HTTPTransport()
    with ScriptedServer(OK) as server:
        ask(transport, server.url)
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            with transport._direct._pool._lock:
                held.set()
                go_on.wait(60)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        try:
            assert in_child(transport.close)  # as at exit
            assert in_child(lambda: ask(transport, server.url))
        finally:
            go_on.set()
            holder.join()
        transport.close()


def test_child_does_not_read_or_close_its_parents_stream() -> None:
    transport = HTTPTransport()
    with ScriptedServer(STREAM) as server:
        response = transport.open(post(server.url), Limits.begin(TimeLimits()))
        assert next(response) == b"1"

        def child() -> None:
            with pytest.raises(APIConnectionError):
                next(response)
            response.close()

        assert in_child(child)
        assert b"".join(response) == b"2"
        transport.close()


def test_child_does_not_disturb_a_reading_thread_of_its_parent() -> None:
    transport = HTTPTransport()
    with ScriptedServer(STREAM) as server, ThreadPoolExecutor(1) as thread:
        response = transport.open(post(server.url), Limits.begin(TimeLimits()))
        assert next(response) == b"1"
        rest = thread.submit(response.read)
        assert in_child(response.close)
        assert rest.result() == b"2"
        transport.close()


def test_child_runs_loops_of_its_own() -> None:
    transport = AsyncHTTPTransport()
    with ScriptedServer(OK) as server:

        async def parent() -> None:
            await ask_async(transport, server.url)
            pid = os.fork()
            if pid == 0:  # the loop of the parent is not touched, a new one is begun
                signal.alarm(30)
                with ThreadPoolExecutor(1) as thread:
                    answer = thread.submit(asyncio.run, ask_async(transport, server.url)).result()
                os._exit(0 if answer == b"ok" else 1)
            _, status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert status == 0
            await ask_async(transport, server.url)

        asyncio.run(parent())
        assert [request.connection for request in server.requests] == [1, 2, 1]


def test_child_calls_a_proxy_on_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = HTTPTransport()
    with ScriptedServer(OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        ask(transport, "http://model.example/v1")
        assert in_child(lambda: ask(transport, "http://model.example/v1"))
        ask(transport, "http://model.example/v1")
        assert [request.connection for request in proxy.requests] == [1, 2, 1]
        transport.close()


def test_child_is_told_that_a_client_is_its_parents() -> None:
    with ScriptedServer(OK) as server, httpx.Client() as client:
        ask(HTTPTransport(client), server.url)

        def child() -> None:
            with pytest.raises(BadRequestError, match="Make one in each process"):
                ask(HTTPTransport(client), server.url)

        assert in_child(child)
        assert len(server.requests) == 1


def test_fork_storm_mixes_up_no_answers() -> None:
    """Children are forked while threads of the parent are in the middle of calls."""
    transport = HTTPTransport()
    with EchoServer() as server:

        def work(name: str) -> None:
            for number in range(15):
                body = b"%b-%d" % (name.encode(), number)
                assert ask(transport, server.url, body) == body

        with ThreadPoolExecutor(8) as threads:
            parents = [threads.submit(work, f"parent{i}") for i in range(8)]
            for i in range(8):

                def child(i: int = i) -> None:
                    with ThreadPoolExecutor(4) as mine:
                        list(mine.map(work, [f"child{i}-{j}" for j in range(4)]))

                assert in_child(child)
            for parent in parents:
                parent.result()
        transport.close()
