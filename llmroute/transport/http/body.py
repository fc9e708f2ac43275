"""Unpacking a body that the server compressed although it was asked not to."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

PIECE_BYTES = 256 * 1024
"""How much of a compressed body is unpacked at a time: a few bytes may stand for gigabytes."""
_SLICE_BYTES = 16 * 1024

_PLAIN = ("", "identity", "none", "utf-8", "utf8", "ascii", "us-ascii")
"""What servers write for a body that is not packed; a character set by mistake."""


class DamagedBodyError(ValueError):
    """A body that cannot be unpacked."""


class Unpacker(Protocol):
    """Undoes one content encoding, piece by piece."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` unpacks to, in pieces of at most `PIECE_BYTES`."""

    def close(self) -> None:
        """Raises `DamagedBodyError` if the packed data ended too early."""


class _Zlib:
    def __init__(self, wbits: int, slice_bytes: int) -> None:
        self._wbits = wbits
        self._slice_bytes = slice_bytes
        self._inner = zlib.decompressobj(wbits)
        self._empty = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), self._slice_bytes):
            yield from self._unpack(data[at : at + self._slice_bytes])

    def _unpack(self, packed: bytes) -> Iterator[bytes]:
        full = False  # whether zlib may have more to say without being given more
        while packed or full:
            if self._inner.eof:  # gzip data may have several members
                self._inner = zlib.decompressobj(self._wbits)
            if self._empty and self._wbits == zlib.MAX_WBITS and packed[0] & 0x0F != 8:
                # "deflate" means zlib's format, but some servers send bare deflate data.
                self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
            self._empty = False
            try:
                piece = self._inner.decompress(packed, PIECE_BYTES)
            except zlib.error as exc:
                raise DamagedBodyError(f"the compressed answer is damaged: {exc}") from exc
            if piece:
                yield piece
            packed = self._inner.unconsumed_tail or self._inner.unused_data
            full = len(piece) == PIECE_BYTES and not self._inner.eof

    def close(self) -> None:
        if not self._empty and not self._inner.eof:
            raise DamagedBodyError("the compressed answer ended too early")


def unpacker(encoding: str, *, slice_bytes: int = _SLICE_BYTES) -> Unpacker | None:
    """What undoes a `content-encoding`; `None` for a plain body.

    Raises `DamagedBodyError` for an encoding that was never asked for and is not known here. What
    comes out of damaged data is lost from the slice of `slice_bytes` on that holds the damage.
    """
    names = [name.strip().lower() for name in encoding.split(",")]
    packings = [name for name in names if name not in _PLAIN]
    if not packings:
        return None
    if packings in (["gzip"], ["x-gzip"]):
        return _Zlib(zlib.MAX_WBITS | 16, slice_bytes)
    if packings == ["deflate"]:
        return _Zlib(zlib.MAX_WBITS, slice_bytes)
    raise DamagedBodyError("the answer is packed in a way that was not asked for")
