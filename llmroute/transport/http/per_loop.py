"""Something that belongs to one event loop: made at first use on it, closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ...errors import BadRequestError
from .forks import abandon_in_children

if TYPE_CHECKING:  # asyncio takes 10 MB and 30 ms: callers that never await need not pay
    import asyncio


class Closable(Protocol):
    """What belongs to a loop."""

    async def aclose(self) -> None: ...


T = TypeVar("T", bound=Closable)


class PerLoop(Generic[T]):
    """One `T` for each asyncio loop of the process."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._kept: dict[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[None]]] = {}
        abandon_in_children(self)

    def current(self) -> T | None:
        """The running loop's own, if it has been made."""
        kept = self._kept.get(_running_loop())
        return None if kept is None else kept[0]

    async def make(self) -> T:
        """Makes the running loop's own."""
        from asyncio import sleep  # callers that never await need not pay for asyncio

        loop = _running_loop()
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
        if (kept := self._kept.get(_running_loop())) is not None:
            await kept[1].aclose()

    def abandon(self) -> None:
        """See `Shared`: the loops are the parent's. They are not freed, as that closes things."""
        _abandoned.append(self._kept)
        self._kept = {}


_abandoned: list[object] = []


def _running_loop() -> asyncio.AbstractEventLoop:
    from asyncio import get_running_loop  # callers that never await need not pay for asyncio

    try:
        return get_running_loop()
    except RuntimeError:
        raise BadRequestError(
            "llmroute's own connections need asyncio. Under another library (trio), pass "
            "client=httpx.AsyncClient().",
            param="client",
        ) from None
