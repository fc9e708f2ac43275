"""Small pictures, made with nothing but Python."""

from __future__ import annotations

import base64
import struct
import zlib

RED, BLUE = (255, 0, 0), (0, 0, 255)


def png(colour: tuple[int, int, int], width: int = 8, height: int = 8) -> bytes:
    """A PNG of one colour."""
    rows = (b"\0" + bytes(colour) * width) * height
    return _png(width, height, zlib.compress(rows))


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be large."""
    return _png(width, height, zlib.compress(b"\0"))


def _png(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_uri(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode()


def part(url: object) -> dict[str, object]:
    """A part of a message that is an image."""
    return {"type": "image_url", "image_url": {"url": url}}


def asking(*content: object) -> list[dict[str, object]]:
    """A conversation of one message; texts among `content` become parts."""
    parts = [{"type": "text", "text": item} if isinstance(item, str) else item for item in content]
    return [{"role": "user", "content": parts}]
