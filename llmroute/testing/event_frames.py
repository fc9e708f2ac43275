"""Frames of AWS's binary event stream, as a service writes them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

_TEXT = 7


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message, with its two checksums."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    body = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return body + struct.pack(">I", crc32(body))


def event_frame(name: str, payload: bytes) -> bytes:
    """An event."""
    kind = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(kind, payload)


def exception_frame(name: str, payload: bytes) -> bytes:
    """An error in a stream that has begun."""
    kind = {":exception-type": name, ":content-type": "application/json"}
    return frame({**kind, ":message-type": "exception"}, payload)


def _header(name: str, value: str) -> bytes:
    data = value.encode()
    return bytes([len(name)]) + name.encode() + struct.pack(">BH", _TEXT, len(data)) + data
