"""Runs a `LocalCall` on a model in this process: the streams its events come out of.

An engine's thread computes; `LocalStream` waits for it in the caller's thread, `AsyncLocalStream`
in the caller's event loop, which is never blocked: loading, reading the prompt and generating all
happen on the engine's thread.
"""

from __future__ import annotations

import asyncio
import os
import queue
import time
from collections import deque
from typing import Any

from ..engine import extra as extra  # first of the engine's modules
from ..engine.answers.sampling import Sampling
from ..engine.engine import Engine
from ..engine.job import Item, Job, located
from ..engine.pool import pool
from ..engine.prompt.token_count import count_tokens as count_tokens
from ..errors import APIConnectionError, APITimeoutError, LLMRouteError
from ..providers.base import LocalCall, LocalEvent
from ..types.request import TimeLimits
from .image_sources import needs_network, with_images
from .limits import Limits
from .sources import InProcess


class _Limits:
    """How long to wait for the next event, and what to say when it does not come."""

    def __init__(
        self, call: LocalCall, timeout: TimeLimits | Limits, deadline: float | None
    ) -> None:
        self._call = call
        self._timeout = timeout
        self._deadline = deadline
        self._started = False

    def arrived(self) -> None:
        """An event came."""
        self._started = True

    def wait(self) -> float | None:
        """Seconds to wait for the next event; `None` for ever."""
        waits = [self._timeout.idle if self._started else self._timeout.first_token]
        if self._deadline is not None:
            waits.append(self._deadline - time.monotonic())
        return min((max(0.0, seconds) for seconds in waits if seconds is not None), default=None)

    def passed(self) -> LLMRouteError:
        """The error for a wait that was in vain."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            said = "The call took longer than its total timeout"
        elif self._started:
            said = f"No further text within {self._timeout.idle:g} s (timeout.idle)"
        else:
            said = f"No text within {self._timeout.first_token:g} s (timeout.first_token)"
        return located(
            APITimeoutError(f"{said} from the local model. Allow more time, or ask for less."),
            self._call.path,
        )


class _Generation:
    """A job on an engine, and letting go of it."""

    def __init__(self, call: LocalCall, deliver: Any) -> None:
        self._model = call.path
        self._process = os.getpid()
        try:
            self._job = Job(call, Sampling.parse(call.params, call.operation), deliver)
            self._engine: Engine = pool.submit(self._job)
        except LLMRouteError as error:
            raise located(error, call.path) from error.__cause__

    def cancel(self) -> None:
        if os.getpid() == self._process:  # a forked child has no engine, only its locks
            self._engine.cancel(self._job)

    def check_process(self) -> None:
        """The engine's thread is not in a forked child; waiting for it would never end."""
        if os.getpid() != self._process:
            raise located(
                APIConnectionError(
                    "This answer belongs to the parent process. Make the call after forking."
                ),
                self._model,
            )


class LocalStream(InProcess):
    """The events of one call, in a caller's thread. Close it to stop generating early."""

    def __init__(
        self, call: LocalCall, timeout: TimeLimits | Limits, deadline: float | None
    ) -> None:
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._limits = _Limits(call, timeout, deadline)
        self._done = False
        self._generation = _Generation(call, self._items.put)

    def __iter__(self) -> LocalStream:
        return self

    def __next__(self) -> LocalEvent:
        if self._done:
            raise StopIteration
        try:
            item = self._next_item()
        except BaseException:  # also an interrupt from the keyboard
            self.close()
            raise
        if item is None:
            self._done = True
            raise StopIteration
        return item

    def _next_item(self) -> LocalEvent | None:
        try:
            item = self._items.get_nowait()
        except queue.Empty:
            item = self._wait()
        if isinstance(item, LLMRouteError):
            raise item
        self._limits.arrived()
        return item

    def _wait(self) -> Item:
        self._generation.check_process()
        try:
            return self._items.get(timeout=self._limits.wait())
        except queue.Empty:
            raise self._limits.passed() from None

    def read(self) -> list[LocalEvent]:
        """All events; the call is let go of at the first error."""
        with self:
            return list(self)

    def read_error(self) -> bytes:
        """Nothing: an error is raised while events are read."""
        return b""

    def close(self) -> None:
        """Stop generating, within one step. Closing twice, or after the end, does nothing."""
        if not self._done:
            self._done = True
            self._generation.cancel()

    def __enter__(self) -> LocalStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_generation"):
            self.close()


class _Mailbox:
    """Items on their way from an engine's thread into an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[Item] = deque()
        self._waking = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: Item) -> None:
        """From the engine's thread. Raises `RuntimeError` when the loop is closed."""
        self._items.append(item)
        if not self._waking:
            self._waking = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        # Before anything is read: an item put from here on wakes again.
        self._waking = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def empty(self) -> bool:
        return not self._items

    async def get(self) -> Item:
        while not self._items:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._items.popleft()


class AsyncLocalStream(InProcess):
    """The events of one call, in a caller's event loop. Close it to stop generating early."""

    def __init__(
        self, call: LocalCall, timeout: TimeLimits | Limits, deadline: float | None
    ) -> None:
        self._mailbox = _Mailbox(asyncio.get_running_loop())
        self._limits = _Limits(call, timeout, deadline)
        self._done = False
        self._generation = _Generation(call, self._mailbox.put)

    def __aiter__(self) -> AsyncLocalStream:
        return self

    async def __anext__(self) -> LocalEvent:
        if self._done:
            raise StopAsyncIteration
        try:
            item = await self._next_item()
        except BaseException:  # also a cancelled task: nobody will come back for the rest
            await self.aclose()
            raise
        if item is None:
            self._done = True
            raise StopAsyncIteration
        return item

    async def _next_item(self) -> LocalEvent | None:
        item = await (self._wait() if self._mailbox.empty else self._mailbox.get())
        if isinstance(item, LLMRouteError):
            raise item
        self._limits.arrived()
        return item

    async def _wait(self) -> Item:
        self._generation.check_process()
        try:
            async with asyncio.timeout(self._limits.wait()):
                return await self._mailbox.get()
        except TimeoutError:
            raise self._limits.passed() from None

    async def read(self) -> list[LocalEvent]:
        """All events; the call is let go of at the first error."""
        async with self:
            return [event async for event in self]

    async def read_error(self) -> bytes:
        """Nothing: an error is raised while events are read."""
        return b""

    async def aclose(self) -> None:
        """Stop generating, within one step. Closing twice, or after the end, does nothing."""
        self._close()

    def _close(self) -> None:
        if not self._done:
            self._done = True
            self._generation.cancel()

    async def __aenter__(self) -> AsyncLocalStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def __del__(self) -> None:
        if hasattr(self, "_generation"):
            self._close()


def open_local(
    call: LocalCall, timeout: TimeLimits | Limits, deadline: float | None = None
) -> LocalStream:
    """Start a call on its model, which is loaded first if need be.

    `deadline` is a time of `time.monotonic()`; `None` means no limit. Wrong parameters raise here;
    a model that cannot be loaded or a prompt that does not fit, at the first event.
    """
    return LocalStream(_with_images(call, deadline), timeout, deadline)


async def open_local_async(
    call: LocalCall, timeout: TimeLimits | Limits, deadline: float | None = None
) -> AsyncLocalStream:
    """As `open_local`, for an event loop."""
    if needs_network(call):
        call = await asyncio.to_thread(_with_images, call, deadline)
    return AsyncLocalStream(_with_images(call, deadline), timeout, deadline)


def _with_images(call: LocalCall, deadline: float | None) -> LocalCall:
    try:
        return with_images(call, deadline)
    except LLMRouteError as error:
        raise located(error, call.path) from error.__cause__
