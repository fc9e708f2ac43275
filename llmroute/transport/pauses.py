"""Waiting between the tries of an async call, under whatever library runs the event loop."""

from __future__ import annotations


async def pause(seconds: float) -> None:
    """Sleeps; under another library than asyncio too, where calls go through a client of httpx."""
    import asyncio  # it takes 10 MB and 30 ms: callers that never await need not pay

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import anyio  # comes with httpx, which is in use here

        await anyio.sleep(seconds)
        return
    await asyncio.sleep(seconds)
