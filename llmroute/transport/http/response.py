"""An answer whose status and headers have arrived, and whose body may still be on its way."""

from __future__ import annotations

import codecs
import threading
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, NoReturn

from ...errors import APIError, APIResponseValidationError, LLMRouteError
from .body import DamagedBodyError, Unpacker, unpacker

if TYPE_CHECKING:
    from types import TracebackType

    from ..limits import Limits

MAX_BODY_BYTES = 64 * 1024 * 1024
"""How large an answer read as a whole may be, unpacked, unless its reader says otherwise."""
MAX_ERROR_BYTES = 64 * 1024
"""How much is read of an error's body."""
ERROR_SECONDS = 2.0
"""How long an error's body is waited for; its status is known already."""
_ERROR_SLICE_BYTES = 64
"""So much of a damaged compressed error is lost at most."""


class OneReader:
    """A body goes to one reader at a time; use it in a `with` block around each reading."""

    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """Held while somebody reads."""

    def refuse(self) -> NoReturn:
        """Raises `LLMRouteError`: somebody else holds the lock."""
        raise LLMRouteError(
            "This answer is being read by another thread or task. One reader must take all of "
            "it; pass the pieces on from there."
        )

    def __enter__(self) -> None:
        if not self.lock.acquire(blocking=False):
            self.refuse()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.lock.release()


class _Unpacking:
    """The body of an answer, from its bytes on the way to its bytes as they were meant."""

    def __init__(self, encoding: str, *, of_error: bool) -> None:
        self._unpacker: Unpacker | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._unknown = False
        try:
            if of_error:
                self._unpacker = unpacker(encoding, slice_bytes=_ERROR_SLICE_BYTES)
            else:
                self._unpacker = unpacker(encoding)
        except DamagedBodyError:
            if not of_error:
                raise
            self._unknown = True

    def next(self) -> bytes | None:
        """What can be handed out; `None`: more must come."""
        return next(self._pieces, None)

    def feed(self, raw: bytes) -> None:
        """Takes what came."""
        self._pieces = iter((raw,)) if self._unpacker is None else self._unpacker.feed(raw)

    def readable(self, body: bytes) -> bytes:
        """`body`, or nothing where it is packed in a way that is not known here."""
        if self._unknown:
            try:
                codecs.utf_8_decode(body, "strict", False)  # its last letter may be cut
            except UnicodeDecodeError:
                return b""
        return body

    def close(self) -> None:
        """Takes the end. Raises `DamagedBodyError` if it came too early."""
        if self._unpacker is not None:
            self._unpacker.close()


class _Pieces:
    """The pieces of a body that is read as a whole."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Raises `APIResponseValidationError` beyond the limit."""
        self._pieces.append(piece)
        self.size += len(piece)
        if self.size > self._limit:
            raise APIResponseValidationError(
                f"The answer is larger than {self._limit:,} bytes; ask for less at a time."
            )

    def all(self) -> bytes:
        """All of it."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


class _Head:
    """What both kinds of answers know from the beginning."""

    gives_events = False
    status: int
    headers: dict[str, str]
    """Names in lower case; a header that came several times is joined with commas."""
    max_bytes = MAX_BODY_BYTES
    """How large the whole body may be that `read` gives."""
    limits: Limits
    """The limits its waits keep; see `Limits.wait_deadline`."""

    def _begin(self, status: int, headers: dict[str, str], limits: Limits) -> None:
        self.status = status
        self.headers = headers
        self.limits = limits
        self._encoding = headers.get("content-encoding", "")
        self._unpacking: _Unpacking | None = None
        self._reader = OneReader()

    def _unpack(self, *, of_error: bool = False) -> _Unpacking:
        if self._unpacking is None:
            self._unpacking = _Unpacking(self._encoding, of_error=of_error)
        return self._unpacking

    def _hurry(self) -> None:
        """Leaves an error's body little time, without touching the limits of the call."""
        self.limits = self.limits.attempt()
        self.limits.enter("first_token")
        self.limits.finish_within(ERROR_SECONDS)

    def _failed(self, exc: BaseException) -> APIError:
        """The error for one of `FAULTS`."""
        raise NotImplementedError


class HTTPResponse(_Head):
    """Iterate it for the body's pieces as they arrive, or `read()` it whole.

    A body that ends too early raises `APIConnectionError`; it never looks finished. At its end
    the connection is free for the next call. Two threads that read it at the same time get an
    `LLMRouteError` (the second of them).
    """

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        # As `with self._reader`, without two calls for each piece of a stream.
        lock = self._reader.lock
        if not lock.acquire(False):
            self._reader.refuse()
        try:
            piece = self._piece() if self._encoding else self._raw()
        finally:
            lock.release()
        if piece is None:
            raise StopIteration
        return piece

    def read(self) -> bytes:
        """The rest of the body. Each piece counts as progress for the limit `idle`.

        Raises `APIResponseValidationError` for one of more than `max_bytes`.
        """
        pieces = _Pieces(self.max_bytes)
        with self._reader:
            try:
                while (piece := self._piece()) is not None:
                    self.limits.progressed()
                    pieces.add(piece)
            finally:
                self.close()
        return pieces.all()

    def read_error(self) -> bytes:
        """What can be had soon of the body, at most `MAX_ERROR_BYTES`; never raises for a body
        that is damaged, cut, late, or packed in an unknown way."""
        pieces = _Pieces(MAX_BODY_BYTES)
        with self._reader:
            self._hurry()
            unpacking = self._unpack(of_error=True)
            try:
                while pieces.size < MAX_ERROR_BYTES and (piece := self._piece()) is not None:
                    pieces.add(piece)
            except APIError:
                pass
            finally:
                self.close()
        return unpacking.readable(pieces.all()[:MAX_ERROR_BYTES])

    def close(self) -> None:
        """Closes the connection, unless the body has been read to its end. May be called twice,
        and from another thread than the one that reads: that one gets `APIConnectionError`."""
        raise NotImplementedError

    def _piece(self) -> bytes | None:
        """The next piece; `None` at the end."""
        if not self._encoding:
            return self._raw()
        try:
            unpacking = self._unpack()
            while (piece := unpacking.next()) is None:
                raw = self._raw()
                if raw is None:
                    unpacking.close()
                    return None
                unpacking.feed(raw)
            return piece
        except DamagedBodyError as exc:
            self.close()
            raise self._failed(exc) from exc

    def _raw(self) -> bytes | None:
        """The next piece as it came; `None` at the end."""
        raise NotImplementedError


class AsyncHTTPResponse(_Head):
    """The async twin of `HTTPResponse`."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        # As `with self._reader`, without two calls for each piece of a stream.
        lock = self._reader.lock
        if not lock.acquire(False):
            self._reader.refuse()
        try:
            piece = await (self._piece() if self._encoding else self._raw())
        finally:
            lock.release()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def read(self) -> bytes:
        """See `HTTPResponse.read`."""
        pieces = _Pieces(self.max_bytes)
        with self._reader:
            try:
                while (piece := await self._piece()) is not None:
                    self.limits.progressed()
                    pieces.add(piece)
            finally:
                await self.aclose()
        return pieces.all()

    async def read_error(self) -> bytes:
        """See `HTTPResponse.read_error`."""
        pieces = _Pieces(MAX_BODY_BYTES)
        with self._reader:
            self._hurry()
            unpacking = self._unpack(of_error=True)
            try:
                while pieces.size < MAX_ERROR_BYTES and (piece := await self._piece()) is not None:
                    pieces.add(piece)
            except APIError:
                pass
            finally:
                await self.aclose()
        return unpacking.readable(pieces.all()[:MAX_ERROR_BYTES])

    async def aclose(self) -> None:
        """See `HTTPResponse.close`."""
        raise NotImplementedError

    async def _piece(self) -> bytes | None:
        if not self._encoding:
            return await self._raw()
        try:
            unpacking = self._unpack()
            while (piece := unpacking.next()) is None:
                raw = await self._raw()
                if raw is None:
                    unpacking.close()
                    return None
                unpacking.feed(raw)
            return piece
        except DamagedBodyError as exc:
            await self.aclose()
            raise self._failed(exc) from exc

    async def _raw(self) -> bytes | None:
        raise NotImplementedError
