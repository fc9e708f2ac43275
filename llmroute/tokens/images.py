"""How large an image is, from its first bytes, and how many tokens Llama 4 makes of it."""

from __future__ import annotations

import base64
import binascii
import struct

TILE = 336
"""Width and height of a tile, in pixels."""
TILE_TOKENS = 144
MAX_TILES = 16

# How much of the base64 text is decoded: 300 kB, which even a JPEG with a preview picture in its
# metadata needs less than. A multiple of four, so that whole bytes come out.
_HEAD = 400_000

_CANVASES = [(r, c) for r in range(1, MAX_TILES + 1) for c in range(1, MAX_TILES // r + 1)]

MOST_IMAGE_TOKENS = 1 + MAX_TILES * (TILE_TOKENS + 1) + 1 + TILE_TOKENS + 1
"""What the largest image costs; the count for one whose size isn't known."""

# JPEG's start-of-frame markers; C4, C8 and CC are tables, not frames (ITU T.81, table B.1).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def image_tokens(width: int, height: int) -> int:
    """The tokens Llama 4 makes of an image of `width` by `height` pixels.

    The image is cut into tiles on the canvas that fits it best; several tiles are followed by the
    whole image in one more. Every tile is 144 tokens, and single tokens separate tiles and rows.
    """
    rows, columns = _canvas(width, height)
    if rows * columns == 1:
        return 1 + TILE_TOKENS + 2
    row = columns * TILE_TOKENS + (columns - 1) + 1
    return 1 + rows * row + 1 + TILE_TOKENS + 1


def _canvas(width: int, height: int) -> tuple[int, int]:
    """Rows and columns: the least enlargement, else the least reduction, then the least area."""

    def scale(canvas: tuple[int, int]) -> float:
        rows, columns = canvas
        return min(columns * TILE / width, rows * TILE / height)

    larger = [scale(canvas) for canvas in _CANVASES if scale(canvas) >= 1]
    best = min(larger) if larger else max(map(scale, _CANVASES))
    return min((c for c in _CANVASES if scale(c) == best), key=lambda c: c[0] * c[1])


def data_uri_size(url: str) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG, JPEG, GIF or WebP image in a base64 data URI.

    `None` for any other URL and for data that is none of these.
    """
    head, comma, body = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    try:
        data = base64.b64decode(body[:_HEAD])
    except binascii.Error:
        return None
    size = image_size(data)
    return size if size and size[0] > 0 and size[1] > 0 else None


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels as a PNG, JPEG, GIF or WebP image's first bytes say.

    `None` for data that is none of these.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if data.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack_from("<HH", data, 6)
            return width, height
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp_size(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
    except (struct.error, IndexError):
        pass  # cut short before the size
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """RFC 9649: a lossy, lossless or extended first chunk."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        return (high_w << 16 | low_w) + 1, (high_h << 16 | low_h) + 1
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """The first frame header; every segment before it says its own length."""
    at = 2
    while True:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            at += 2 + length
