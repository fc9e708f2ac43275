"""An answer whose status and headers have arrived, and whose body may still be on its way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from ...errors import APIResponseValidationError

MAX_BODY_BYTES = 1024 * 1024 * 1024
"""How large a body read as a whole may be. The largest real ones are embeddings of some 100 MB."""


class _Collector:
    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > MAX_BODY_BYTES:
            raise APIResponseValidationError(
                f"The answer is larger than {MAX_BODY_BYTES} bytes; ask for less at a time."
            )

    def all(self) -> bytes:
        return b"".join(self._pieces)


class HTTPResponse:
    """Iterate it for the body's pieces as they arrive, or `read()` it whole.

    A body that ends too early raises `APIConnectionError`; it never looks finished. At its end
    the connection is kept for the next call.
    """

    gives_events = False
    status: int
    headers: dict[str, str]
    """Names in lower case; a header that came several times is joined with commas."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise NotImplementedError

    def read(self) -> bytes:
        """The rest of the body."""
        collector = _Collector()
        try:
            for piece in self:
                collector.add(piece)
        finally:
            self.close()
        return collector.all()

    def read_error(self) -> bytes:
        """The body of an error."""
        return self.read()

    def close(self) -> None:
        """Drops the connection, unless the body has been read to its end. May be called twice,
        and from another thread than the one that reads: that one gets `APIConnectionError`."""
        raise NotImplementedError


class AsyncHTTPResponse:
    """The async twin of `HTTPResponse`."""

    gives_events = False
    status: int
    headers: dict[str, str]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        raise NotImplementedError

    async def read(self) -> bytes:
        """The rest of the body."""
        collector = _Collector()
        try:
            async for piece in self:
                collector.add(piece)
        finally:
            await self.aclose()
        return collector.all()

    async def read_error(self) -> bytes:
        """The body of an error."""
        return await self.read()

    async def aclose(self) -> None:
        """See `HTTPResponse.close`."""
        raise NotImplementedError
