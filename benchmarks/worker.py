"""One measurement in a process of its own: `python worker.py PEER SCENARIO URL CORE`.

Prints one line of JSON: CPU microseconds per call or chunk, or what else the scenario measures.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Awaitable, Callable
from typing import Any

SMALL = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Tell me about foxes in two sentences, please."},
]
LARGE = [{"role": "user", "content": "lorem ipsum " * 85} for _ in range(1000)]
KEY = "sk-benchmark"


def cpu() -> float:
    """CPU microseconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


def peak_mb() -> float:
    """The largest amount of memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def now_mb() -> float:
    """The memory this process has now, in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class Raw:
    """httpx by hand: one client, `.json()`, `iter_lines` and `json.loads`."""

    def __init__(self, url: str) -> None:
        import httpx

        self._url = f"{url}/chat/completions"
        self._options: dict[str, Any] = {
            "headers": {"authorization": f"Bearer {KEY}"},
            "timeout": 600,
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=256),
        }
        self._httpx = httpx
        self._sync = self._async = None

    def call(self, messages: Any) -> str:
        if self._sync is None:
            self._sync = self._httpx.Client(**self._options)
        answer = self._sync.post(self._url, json={"model": "bench", "messages": messages}).json()
        return answer["choices"][0]["message"]["content"]

    def stream(self, messages: Any) -> int:
        if self._sync is None:
            self._sync = self._httpx.Client(**self._options)
        body = {"model": "bench", "messages": messages, "stream": True}
        count = 0
        with self._sync.stream("POST", self._url, json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    json.loads(line[6:])
                    count += 1
        return count

    async def acall(self, messages: Any) -> str:
        if self._async is None:
            self._async = self._httpx.AsyncClient(**self._options)
        body = {"model": "bench", "messages": messages}
        answer = (await self._async.post(self._url, json=body)).json()
        return answer["choices"][0]["message"]["content"]

    async def astream(self, messages: Any) -> int:
        if self._async is None:
            self._async = self._httpx.AsyncClient(**self._options)
        body = {"model": "bench", "messages": messages, "stream": True}
        count = 0
        async with self._async.stream("POST", self._url, json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    json.loads(line[6:])
                    count += 1
        return count


class Router:
    """llmroute and LiteLLM, which are called alike."""

    def __init__(self, module: str, url: str) -> None:
        library = __import__(module)
        self._complete, self._acomplete = library.completion, library.acompletion
        self._where = {"model": "openai/bench", "api_base": url, "api_key": KEY}

    def call(self, messages: Any) -> str:
        return self._complete(messages=messages, **self._where).choices[0].message.content

    def stream(self, messages: Any) -> int:
        return sum(1 for _ in self._complete(messages=messages, stream=True, **self._where))

    async def acall(self, messages: Any) -> str:
        answer = await self._acomplete(messages=messages, **self._where)
        return answer.choices[0].message.content

    async def astream(self, messages: Any) -> int:
        count = 0
        async for _ in await self._acomplete(messages=messages, stream=True, **self._where):
            count += 1
        return count


class OpenAI:
    """The OpenAI SDK."""

    def __init__(self, url: str) -> None:
        import openai

        self._openai, self._options = openai, {"base_url": url, "api_key": KEY}
        self._sync = self._async = None

    def _client(self) -> Any:
        if self._sync is None:
            self._sync = self._openai.OpenAI(**self._options)
        return self._sync.chat.completions

    def _async_client(self) -> Any:
        if self._async is None:
            self._async = self._openai.AsyncOpenAI(**self._options)
        return self._async.chat.completions

    def call(self, messages: Any) -> str:
        answer = self._client().create(model="bench", messages=messages)
        return answer.choices[0].message.content

    def stream(self, messages: Any) -> int:
        stream = self._client().create(model="bench", messages=messages, stream=True)
        return sum(1 for _ in stream)

    async def acall(self, messages: Any) -> str:
        answer = await self._async_client().create(model="bench", messages=messages)
        return answer.choices[0].message.content

    async def astream(self, messages: Any) -> int:
        count = 0
        stream = await self._async_client().create(model="bench", messages=messages, stream=True)
        async for _ in stream:
            count += 1
        return count


def peer(name: str, url: str) -> Any:
    if name == "httpx":
        return Raw(url)
    return OpenAI(url) if name == "openai" else Router(name, url)


def per_call(run: Callable[[], object], count: int) -> float:
    run()
    run()
    before = cpu()
    for _ in range(count):
        run()
    return (cpu() - before) / count


def in_loop(run: Callable[[], Awaitable[object]], count: int, at_once: int = 1) -> float:
    import asyncio

    async def several() -> float:
        await asyncio.gather(*[run() for _ in range(at_once)])
        await asyncio.gather(*[run() for _ in range(at_once)])
        before = cpu()
        for _ in range(count):
            await asyncio.gather(*[run() for _ in range(at_once)])
        return (cpu() - before) / count / at_once

    return asyncio.run(several())


def in_threads(run: Callable[[], object], each: int, threads: int = 16) -> float:
    from concurrent.futures import ThreadPoolExecutor

    def work(_: int) -> None:
        for _ in range(each):
            run()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
        before = cpu()
        list(pool.map(work, range(threads)))
        return (cpu() - before) / each / threads


def imported(name: str) -> dict[str, float]:
    before, memory = cpu(), peak_mb()
    __import__(name)
    return {"ms": (cpu() - before) / 1000, "mb": peak_mb() - memory}


def first_call(name: str, url: str) -> dict[str, float]:
    before, memory = cpu(), peak_mb()
    peer(name, url).call(SMALL)
    return {"ms": (cpu() - before) / 1000, "mb": peak_mb() - memory}


def memory(client: Any, calls: int = 20_000) -> dict[str, float]:
    for _ in range(1000):
        client.call(SMALL)
    before = now_mb()
    for _ in range(calls):
        client.call(SMALL)
    return {"calls": calls, "mb": now_mb() - before}


def measure(name: str, scenario: str, url: str) -> Any:
    if scenario == "import":
        return imported(name)
    if scenario == "first":
        return first_call(name, url)
    client = peer(name, f"{url}/burst" if scenario.startswith("burst") else url)
    if scenario == "memory":
        return memory(client)
    chunks = 1000.0
    return {
        "sync": lambda: per_call(lambda: client.call(SMALL), 400),
        "async": lambda: in_loop(lambda: client.acall(SMALL), 400),
        "async16": lambda: in_loop(lambda: client.acall(SMALL), 40, 16),
        "threads16": lambda: in_threads(lambda: client.call(SMALL), 40),
        "large": lambda: per_call(lambda: client.call(LARGE), 30),
        "chunk": lambda: per_call(lambda: client.stream(SMALL), 3) / chunks,
        "achunk": lambda: in_loop(lambda: client.astream(SMALL), 3) / chunks,
        "burst": lambda: per_call(lambda: client.stream(SMALL), 5) / chunks,
        "burst-async": lambda: in_loop(lambda: client.astream(SMALL), 5) / chunks,
    }[scenario]()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[4])})
    print(json.dumps(measure(*sys.argv[1:4])))
