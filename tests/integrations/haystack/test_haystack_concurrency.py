"""One component, many callers."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmroute.integrations.haystack import LlamaCppChatGenerator, LLMRouteChatGenerator

pytestmark = pytest.mark.native


def test_run_in_eight_threads_on_one_component(tiny_random):
    """Each answer is a function of the whole prompt, so a mix-up would show."""
    sampling = {"max_tokens": 12, "temperature": 0}
    component = LlamaCppChatGenerator(str(tiny_random), generation_kwargs=sampling)
    prompts = [f"Prompt number {number} of many" for number in range(16)]
    alone = [component.run(prompt)["replies"][0]._content for prompt in prompts]
    component.close()
    together = threading.Barrier(8)

    def ask(number):
        if number < 8:
            together.wait()
        streamed = []
        callback = (lambda chunk: streamed.append(chunk.content)) if number % 2 else None
        (reply,) = component.run(prompts[number], streaming_callback=callback)["replies"]
        assert callback is None or "".join(streamed) == (reply.text or "")
        return reply._content

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(16))) == alone
    component.close()


def test_run_in_eight_threads_on_every_chat_component(chat_component):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(chat_component.run, [f"Prompt {n}" for n in range(16)]))
    assert {r["replies"][0].text for r in results} == {"Hello from this process."}


def test_run_async_in_many_tasks_on_one_component(chat_component):
    async def story():
        runs = [chat_component.run_async(f"Prompt {number}") for number in range(16)]
        return await asyncio.gather(*runs)

    texts = {result["replies"][0].text for result in asyncio.run(story())}
    assert texts == {"Hello from this process."}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_run_async_does_not_block_the_event_loop(scripted, streamed):
    """The answer ends when the loop says so, which it only can while it runs."""
    path = scripted("on and ", loop=True, n_ctx=100_000)
    component = LLMRouteChatGenerator(
        f"llamacpp/{path}",
        model_kwargs={"n_ctx": 100_000},
        generation_kwargs={"max_tokens": 1_000_000},
    )
    chunks = []

    async def story():
        task = asyncio.create_task(
            component.run_async("Hi", streaming_callback=chunks.append if streamed else None)
        )
        for _ in range(100):  # ticks of the loop, each a millisecond apart
            await asyncio.sleep(0.001)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(story())
    component.close()
