"""Unpacking a body that the server compressed although it was asked not to."""

from __future__ import annotations

import zlib
from typing import Protocol


class DamagedBodyError(ValueError):
    """A body that cannot be unpacked."""


class Unpacker(Protocol):
    """Undoes one content encoding, piece by piece."""

    def feed(self, data: bytes) -> bytes:
        """What `data` unpacks to; may be empty before the end."""

    def close(self) -> None:
        """Raises `DamagedBodyError` if the packed data ended too early."""


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inner = zlib.decompressobj(wbits)
        self._empty = True

    def feed(self, data: bytes) -> bytes:
        unpacked = b""
        while data:
            if self._inner.eof:  # gzip data may have several members
                self._inner = zlib.decompressobj(self._wbits)
            if self._empty and self._wbits == zlib.MAX_WBITS and data[0] & 0x0F != 8:
                # "deflate" means zlib's format, but some servers send bare deflate data.
                self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
            self._empty = False
            try:
                unpacked += self._inner.decompress(data)
            except zlib.error as exc:
                raise DamagedBodyError(f"the compressed answer is damaged: {exc}") from exc
            data = self._inner.unused_data
        return unpacked

    def close(self) -> None:
        if not self._empty and not self._inner.eof:
            raise DamagedBodyError("the compressed answer ended too early")


def unpacker(encoding: str) -> Unpacker | None:
    """What undoes a `content-encoding`; `None` for a plain body.

    Raises `DamagedBodyError` for an encoding that was never asked for and is not known here.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return _Zlib(zlib.MAX_WBITS | 16)
    if name == "deflate":
        return _Zlib(zlib.MAX_WBITS)
    raise DamagedBodyError(f"the answer is packed with {name!r}, which was not asked for")
