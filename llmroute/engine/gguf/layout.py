"""The bytes of a GGUF header: number types, block sizes, and a reader that needs little memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, TypeAlias

TypeName: TypeAlias = Literal[
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"
]
_TYPES: tuple[TypeName, ...] = (
    *("u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64"),
    "f64",
)
_CODES: dict[TypeName, str] = {
    **{"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f"},
    **{"bool": "?", "u64": "Q", "i64": "q", "f64": "d"},
}
_FORMATS = {name: struct.Struct("<" + code) for name, code in _CODES.items()}

BLOCKS: dict[int, tuple[int, int]] = {
    **{0: (1, 4), 1: (1, 2), 30: (1, 2)},  # F32, F16, BF16
    **{2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40)},  # Q4_0..Q8_1
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176)},  # Q2_K..Q5_K
    **{14: (256, 210), 15: (256, 292)},  # Q6_K, Q8_K
    **{16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50)},  # IQ2_XXS..IQ1_S
    **{20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 29: (256, 56)},  # IQ4_NL..IQ1_M
    **{24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8)},  # I8..I64, F64
    **{34: (256, 54), 35: (256, 66)},  # TQ1_0, TQ2_0
    **{39: (32, 17), 40: (64, 36), 41: (128, 18)},  # MXFP4, NVFP4, Q1_0
}
"""ggml's tensor types: elements per block and bytes per block (ggml.h and ggml-common.h of
llama.cpp, as its `gguf` Python package lists them; checked 2026-11-22)."""

_WINDOW = 1 << 20
_MAX_STRING = 1 << 24
"""Bytes; the longest real strings are chat templates of some ten thousand."""
_MAX_KEPT = 1 << 26
"""Bytes of all strings kept from one header."""
_MAX_STRINGS = 1 << 22
"""Items of one array of strings; vocabularies and their merges stay below a million."""


class BrokenHeaderError(ValueError):
    """The header cannot be what it claims; the text says why, to follow the file's name."""


def scalar_type(number: int) -> TypeName | None:
    """GGUF's value type of this number; `None` if there is none."""
    return _TYPES[number] if number < len(_TYPES) else None


class Reader:
    """Reads forwards through a header, one window at a time."""

    def __init__(self, file: BinaryIO, size: int, position: int = 0) -> None:
        self.size = size
        self._file = file
        self._kept = 0
        self._window = b""
        self._base = position  # of the window in the file
        self._at = 0  # in the window
        file.seek(position)

    @property
    def position(self) -> int:
        """Bytes from the start of the file."""
        return self._base + self._at

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        self._need(count)
        start, self._at = self._at, self._at + count
        return self._window[start : self._at]

    def number(self, code: str) -> int:
        """The next unsigned number, `I` of four bytes or `Q` of eight."""
        return int.from_bytes(self.take(4 if code == "I" else 8), "little")

    def string(self) -> str:
        """The next string; bytes that are not UTF-8 become U+FFFD."""
        length = self._hold_string()
        self._kept += length
        if self._kept > _MAX_KEPT:
            raise BrokenHeaderError(f"is damaged: its texts have more than {_MAX_KEPT:,} bytes")
        return self.take(8 + length)[8:].decode("utf-8", "replace")

    def scalar(self, kind: TypeName) -> bool | int | float | str:
        """The next value of a type that is not an array."""
        if kind == "string":
            return self.string()
        layout = _FORMATS[kind]
        value: bool | int | float = layout.unpack(self.take(layout.size))[0]
        return value

    def skip_items(self, kind: TypeName, count: int) -> None:
        """Pass over `count` numbers."""
        target = self.position + count * _FORMATS[kind].size
        if target > self.size:
            raise BrokenHeaderError(f"is cut off or damaged: it claims a list of {count:,} numbers")
        self._seek(target)

    def skip_strings(self, count: int) -> None:
        """Pass over `count` strings."""
        for _ in self._raw_strings(count):
            pass

    def skip_tokens(self, count: int) -> tuple[str | None, bool]:
        """Pass over a vocabulary; the first text that repeats another one, and whether every byte
        can be written in it.

        An empty text does not count: llama.cpp gives each a name of its own.
        """
        seen: set[bytes] = set()
        repeated: bytes | None = None
        for text in self._raw_strings(count):
            before = len(seen)
            seen.add(text)
            if len(seen) == before and text and repeated is None:
                repeated = text
        spelled = all(b"<0x%02X>" % byte in seen or bytes([byte]) in seen for byte in range(256))
        return None if repeated is None else repeated.decode("utf-8", "replace"), spelled

    def _raw_strings(self, count: int) -> Iterator[bytes]:
        if count > _MAX_STRINGS or count * 8 > self.size - self.position:
            raise BrokenHeaderError(f"is cut off or damaged: it claims a list of {count:,} texts")
        for _ in range(count):
            # Written out for speed: a vocabulary has up to 262,144 entries.
            start = self._at + 8
            length = int.from_bytes(self._window[self._at : start], "little")
            if start + length > len(self._window):
                # True as well where the window ends within the length itself.
                length = self._hold_string()
                start = self._at + 8
            end = start + length
            self._at = end
            yield self._window[start:end]

    def _hold_string(self) -> int:
        """Have the next string in the window, and its length."""
        self._need(8)
        length = int.from_bytes(self._window[self._at : self._at + 8], "little")
        if length > _MAX_STRING:
            raise BrokenHeaderError(f"is damaged: it claims a text of {length:,} bytes")
        self._need(8 + length)
        return length

    def _need(self, count: int) -> None:
        """Have `count` unread bytes in the window."""
        if self._at + count <= len(self._window):
            return
        if count > self.size - self.position:
            raise BrokenHeaderError(f"is cut off in its header, at byte {self.size:,}")
        rest = self._window[self._at :]
        self._base += self._at
        self._at = 0
        self._window = rest + self._file.read(max(_WINDOW, count - len(rest)))
        if len(self._window) < count:
            raise BrokenHeaderError("became shorter while it was read")

    def _seek(self, position: int) -> None:
        self._file.seek(position)
        self._base, self._at, self._window = position, 0, b""
