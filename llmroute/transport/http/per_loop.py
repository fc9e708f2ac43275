"""Something that belongs to one event loop: made at first use on it, closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:  # asyncio takes 10 MB and 30 ms: callers that never await need not pay
    import asyncio


class Closable(Protocol):
    """What is kept for a loop."""

    async def aclose(self) -> None: ...


T = TypeVar("T", bound=Closable)


class PerLoop(Generic[T]):
    """One `T` for each asyncio loop of the process."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._kept: dict[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[None]]] = {}

    async def get(self) -> T:
        """The running loop's own."""
        from asyncio import get_running_loop, sleep  # here: see above

        loop = get_running_loop()
        if loop in self._kept:
            return self._kept[loop][0]
        for other in list(self._kept):  # loops that were closed without being shut down
            if other.is_closed():
                self._kept.pop(other, None)
        made = self._make()

        async def until_the_end() -> AsyncGenerator[None]:
            try:
                yield
            finally:
                self._kept.pop(loop, None)
                await made.aclose()
                await sleep(0)  # sockets are closed in the loop's next turn

        # A loop that is shut down closes the async generators that were begun on it.
        guard = until_the_end()
        self._kept[loop] = made, guard
        await anext(guard)
        return made

    async def aclose(self) -> None:
        """Closes the running loop's own."""
        from asyncio import get_running_loop

        if (kept := self._kept.get(get_running_loop())) is not None:
            await kept[1].aclose()
