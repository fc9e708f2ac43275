"""Writes small GGUF files (version 3, little endian, float32 tensors) with nothing but Python."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Value: TypeAlias = bool | int | float | str | bytes | Sequence[int | float | str | bytes]
"""A metadata value: `int` is written as u32 (i32 in a list), `float` as f32, `str` as UTF-8."""

_ALIGNMENT = 32
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9


@dataclass(frozen=True, slots=True)
class Tensor:
    """A float32 tensor; `shape` is in GGUF's order, the fastest-running dimension first."""

    name: str
    shape: tuple[int, ...]
    data: array[float]


def write_gguf(path: Path, metadata: Mapping[str, Value], tensors: Sequence[Tensor] = ()) -> Path:
    """Write a GGUF file and return its path.

    The layout is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (checked
    2026-11-22).
    """
    header = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))]
    for key, value in metadata.items():
        header += [_string(key), _typed(value)]
    offset, blobs = 0, []
    for tensor in tensors:
        blob = _padded(tensor.data.tobytes())
        rank = len(tensor.shape)
        header.append(_string(tensor.name) + struct.pack(f"<I{rank}Q", rank, *tensor.shape))
        header.append(struct.pack("<IQ", 0, offset))  # type 0 is float32
        offset += len(blob)
        blobs.append(blob)
    path.write_bytes(_padded(b"".join(header)) + b"".join(blobs))
    return path


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)


def _string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def _typed(value: Value) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _U32, value)
    if isinstance(value, float):
        return struct.pack("<If", _F32, value)
    if isinstance(value, str | bytes):
        return struct.pack("<I", _STRING) + _string(value)
    return struct.pack("<I", _ARRAY) + _items(value)


def _items(values: Sequence[int | float | str | bytes]) -> bytes:
    count = len(values)
    if all(isinstance(value, str | bytes) for value in values):
        strings = (_string(value) for value in values if isinstance(value, str | bytes))
        return struct.pack("<IQ", _STRING, count) + b"".join(strings)
    if all(isinstance(value, int) for value in values):
        return struct.pack(f"<IQ{count}i", _I32, count, *values)
    return struct.pack(f"<IQ{count}f", _F32, count, *values)
