"""Runs a `LocalCall` on a model in this process: the streams its events come out of.

An engine's thread computes; `LocalStream` waits for it in the caller's thread, `AsyncLocalStream`
in the caller's event loop, which is never blocked: loading, reading the prompt and generating all
happen on the engine's thread.
"""

from __future__ import annotations

import asyncio
import os
import queue
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from ..engine import extra as extra  # first of the engine's modules
from ..engine.answers.form import PARAMS as FORM_PARAMS
from ..engine.answers.sampling import Sampling
from ..engine.engine import Engine
from ..engine.job import EngineJob, Item, located
from ..engine.pool import Pool
from ..engine.prompt.token_count import count_tokens as count_tokens
from ..errors import APIConnectionError, LLMRouteError
from ..providers.base import LocalCall, LocalEvent, LocalToken, LocalVector
from ..runtime import shared
from .image_sources import needs_network, with_images
from .limits import Limits, seconds_left, timeout_error
from .sources import InProcess

_Prepared: TypeAlias = tuple[LocalCall, Sampling]
_Deliver: TypeAlias = Callable[[Item], None]
_PIECES = (LocalToken, LocalVector)
"""What nobody who wants a whole answer need be woken for."""


class _Generation:
    """A job on an engine, and letting go of it."""

    def __init__(self, prepared: _Prepared, limits: Limits, deliver: _Deliver) -> None:
        call, sampling = prepared
        self._model = call.path
        self._process = os.getpid()
        self._limits = limits
        limits.enter("first_token")
        try:
            self._job = EngineJob(call, sampling, deliver)
            self._engine: Engine = shared(Pool).submit(self._job)
        except LLMRouteError as error:
            raise located(error, call.path) from error.__cause__

    def seconds_left(self) -> float | None:
        """How long to wait for the next item. Raises the error for a limit that has passed."""
        try:
            return seconds_left(self._limits.wait_deadline)
        except TimeoutError:
            raise located(timeout_error(self._limits, self._model), self._model) from None

    def progressed(self) -> None:
        """A piece has come that is only read later."""
        self._limits.progressed()

    def received(self, item: Item) -> LocalEvent | None:
        """Take an item out of its transport; `None` is the end. Raises the error that it may be."""
        if isinstance(item, LLMRouteError):
            raise item
        self._limits.progressed()
        return item

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

    def __init__(self, prepared: _Prepared, limits: Limits) -> None:
        self._items: deque[Item] = deque()
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._whole = False
        """Whether the answer is wanted when it is whole. A thread that is woken for each token
        takes time from the one that computes them."""
        self._done = False
        self._generation = _Generation(prepared, limits, self._deliver)

    def _deliver(self, item: Item) -> None:
        """From the engine's thread."""
        self._items.append(item)
        if self._whole and isinstance(item, _PIECES):
            self._generation.progressed()
        else:
            self._wakes.put(None)

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
        if not self._items:
            self._wait()
        return self._generation.received(self._items.popleft())

    def _wait(self) -> None:
        self._generation.check_process()
        while not self._items:
            with suppress(queue.Empty):  # a limit has passed, or more has come meanwhile
                self._wakes.get(timeout=self._generation.seconds_left())

    def read(self) -> list[LocalEvent]:
        """All events; the call is let go of at the first error."""
        self._whole = True
        with self:
            return list(self)

    def read_error(self) -> bytes:
        """Nothing: an error is raised while events are read."""
        return b""

    def close(self) -> None:
        """Stop generating, within one step. Closing twice, or after the end, does nothing.

        A reader that waits in another thread comes to the end at once.
        """
        if not self._done:
            self._done = True
            self._generation.cancel()
            self._items.append(None)
            self._wakes.put(None)

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
        self.whole = False
        """Whether the answer is wanted when it is whole; see `LocalStream`."""
        self._waking = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: Item) -> None:
        """From the engine's thread. Raises `RuntimeError` when the loop is closed."""
        self._items.append(item)
        if not self._waking and not (self.whole and isinstance(item, _PIECES)):
            self._waking = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        # Before anything is read: an item put from here on wakes again.
        self._waking = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self) -> None:
        """From the loop's own thread: whoever waits gets `None`."""
        self._items.append(None)
        self._wake()

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

    def __init__(self, prepared: _Prepared, limits: Limits) -> None:
        self._mailbox = _Mailbox(asyncio.get_running_loop())
        self._done = False
        self._generation = _Generation(prepared, limits, self._deliver)

    def _deliver(self, item: Item) -> None:
        """From the engine's thread."""
        if self._mailbox.whole:
            self._generation.progressed()
        self._mailbox.put(item)

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
        return self._generation.received(item)

    async def _wait(self) -> Item:
        self._generation.check_process()
        while True:
            with suppress(TimeoutError):  # a limit has passed, or more has come meanwhile
                async with asyncio.timeout(self._generation.seconds_left()):
                    return await self._mailbox.get()

    async def read(self) -> list[LocalEvent]:
        """All events; the call is let go of at the first error."""
        self._mailbox.whole = True
        async with self:
            return [event async for event in self]

    async def read_error(self) -> bytes:
        """Nothing: an error is raised while events are read."""
        return b""

    async def aclose(self) -> None:
        """Stop generating, within one step. Closing twice, or after the end, does nothing.

        A reader that waits in another task comes to the end at once.
        """
        self._close()

    def _close(self) -> None:
        if not self._done:
            self._done = True
            self._generation.cancel()
            self._mailbox.end()

    async def __aenter__(self) -> AsyncLocalStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def __del__(self) -> None:
        if hasattr(self, "_generation"):
            self._close()


def open_local(call: LocalCall, limits: Limits) -> LocalStream:
    """Start a call on its model, which is loaded first if need be.

    Wrong parameters raise here; a model that cannot be loaded or a prompt that does not fit, at the
    first event.
    """
    return LocalStream(_prepared(call, limits.deadline), limits)


async def open_local_async(call: LocalCall, limits: Limits) -> AsyncLocalStream:
    """As `open_local`, for an event loop."""
    if needs_network(call) or call.params.keys() & FORM_PARAMS:  # schemas take their time too
        prepared = await asyncio.to_thread(_prepared, call, limits.deadline)
    else:
        prepared = _prepared(call, limits.deadline)
    return AsyncLocalStream(prepared, limits)


def _prepared(call: LocalCall, deadline: float | None) -> _Prepared:
    """Checks what can be checked without the model. Waits for images that lie elsewhere."""
    try:
        sampling = Sampling.parse(call.params, call.operation)
        return with_images(call, deadline), sampling
    except LLMRouteError as error:
        raise located(error, call.path) from error.__cause__
