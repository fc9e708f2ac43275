"""Reads the header of a GGUF file in pure Python, in little memory, and never the weights.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (checked 2026-11-22).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, TypeAlias

from ...errors import ModelFileError, NotFoundError
from .layout import BLOCKS, BrokenHeaderError, Reader, TypeName, scalar_type

_MAX_KEYS = 65_536
_MAX_TENSORS = 262_144
_MAX_KEPT_ITEMS = 1_024
"""Arrays up to this length are kept (per-layer settings); longer ones (vocabularies) are not."""


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """A long array, left in the file; `read_array` fetches it."""

    item_type: TypeName
    count: int
    offset: int
    """Where its first item starts in the file, in bytes."""
    spells_bytes: bool = False
    """Whether it is a vocabulary in which every byte can be written."""


Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | tuple[Scalar, ...] | ArrayInfo


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor; its bytes are known to lie within the file."""

    name: str
    shape: tuple[int, ...]
    """The fastest-running dimension first."""
    type: int
    """ggml's number of the element type; 0 is float32."""
    offset: int
    """From the start of the tensor data, in bytes."""
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """What a GGUF file says about itself."""

    path: Path
    version: int
    file_size: int
    """In bytes, of this file alone."""
    metadata: Mapping[str, Value]
    tensors: Mapping[str, TensorInfo]

    @property
    def architecture(self) -> str:
        """The model family, such as `"llama"`; `""` if the file doesn't say."""
        return self.text("general.architecture") or ""

    @property
    def context_length(self) -> int | None:
        """Tokens the model was trained to handle at once; `None` if the file doesn't say."""
        return self.number("context_length")

    @property
    def chat_template(self) -> str | None:
        """The default chat template, in Jinja; `None` for a model without one."""
        return self.text("tokenizer.chat_template")

    @property
    def chat_templates(self) -> Mapping[str, str]:
        """Further templates by name, such as `"tool_use"`."""
        prefix = "tokenizer.chat_template."
        return {
            key.removeprefix(prefix): value
            for key, value in self.metadata.items()
            if key.startswith(prefix) and isinstance(value, str)
        }

    def text(self, key: str) -> str | None:
        """The string under `key`; `None` if there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def setting(self, name: str) -> Value | None:
        """The value under `<architecture>.<name>`; `None` if there is none."""
        return self.metadata.get(f"{self.architecture}.{name}")

    def number(self, name: str) -> int | None:
        """The integer under `<architecture>.<name>`; `None` if there is none."""
        value = self.setting(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def vocabulary_size(self) -> int | None:
        """Tokens in the vocabulary; `None` for a file without one."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return tokens.count if isinstance(tokens, ArrayInfo) else None


def read_any_header(path: str | os.PathLike[str]) -> GGUFHeader:
    """The header of any GGUF file, a model or not. Kept until the file changes.

    Raises `NotFoundError` for a missing file and `ModelFileError` for one that is no GGUF, is cut
    off, or contradicts itself.
    """
    path = Path(path)
    try:
        path = path.absolute()
        stat = path.stat()
        if path.is_dir():
            raise refused(path, "is a directory, not a GGUF file")
        return _read(path, stat.st_mtime_ns, stat.st_size)
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no model file {path}.", provider="llamacpp", url=str(path)
        ) from None
    except (OSError, ValueError) as exc:  # ValueError: a NUL byte in the path
        raise refused(path, f"cannot be read: {exc}") from exc


def read_array(header: GGUFHeader, key: str) -> tuple[Scalar, ...]:
    """All items of an array, a long one read from the file again. Raises `KeyError`."""
    value = header.metadata[key]
    if isinstance(value, ArrayInfo):
        with header.path.open("rb") as file:
            reader = Reader(file, header.file_size, value.offset)
            return tuple(_items(reader, value.item_type, value.count))
    return value if isinstance(value, tuple) else (value,)


def refused(path: Path, problem: str) -> ModelFileError:
    """The error for a file that is no usable model."""
    return ModelFileError(f"{path} {problem}.", provider="llamacpp", url=str(path))


@lru_cache(maxsize=64)
def _read(path: Path, _modified: int, size: int) -> GGUFHeader:
    with path.open("rb") as file:
        try:
            return _parse(path, file, size)
        except BrokenHeaderError as exc:
            raise refused(path, f"{exc}. Download it again") from None


def _parse(path: Path, file: BinaryIO, size: int) -> GGUFHeader:
    reader = Reader(file, size)
    version = _version(path, reader, size)
    n_tensors, n_keys = reader.number("Q"), reader.number("Q")
    if n_keys > _MAX_KEYS or n_tensors > _MAX_TENSORS:
        raise refused(path, f"is damaged: it claims {n_keys:,} keys and {n_tensors:,} tensors")
    metadata: dict[str, Value] = {}
    for _ in range(n_keys):
        key = reader.string()
        if not key or key in metadata:
            raise refused(path, f"is damaged: the key {key!r} is empty or comes twice")
        metadata[key] = _value(path, reader, key)
    tensors = _tensors(path, reader, metadata, n_tensors)
    return GGUFHeader(path, version, size, MappingProxyType(metadata), MappingProxyType(tensors))


def _version(path: Path, reader: Reader, size: int) -> int:
    if size == 0:
        raise refused(path, "is empty")
    magic = reader.take(min(4, size))
    if magic != b"GGUF":
        raise refused(path, f"is not a GGUF file (it starts with {magic!r})")
    version = reader.number("I")
    if version & 0xFFFF == 0:
        raise refused(path, "is a big-endian GGUF file, which llama.cpp cannot load here")
    if version not in (2, 3):
        raise refused(path, f"is GGUF version {version}; versions 2 and 3 can be read")
    return version


def _value(path: Path, reader: Reader, key: str) -> Value:
    kind = _type(path, reader, key)
    if kind != "array":
        return reader.scalar(kind)
    item_type, count = _type(path, reader, key), reader.number("Q")
    if item_type == "array":
        raise refused(path, f"is damaged: {key!r} is an array of arrays")
    position = reader.position
    if key == "tokenizer.ggml.tokens":
        if item_type != "string":
            raise refused(path, "is damaged: its vocabulary is no list of texts")
        repeated, spells_bytes = reader.skip_tokens(count)
        if repeated is not None:  # llama.cpp would end the process
            raise refused(path, f"is damaged: its vocabulary has {repeated!r} twice")
        return ArrayInfo(item_type, count, position, spells_bytes)
    if count <= _MAX_KEPT_ITEMS:
        return tuple(_items(reader, item_type, count))
    if item_type == "string":
        reader.skip_strings(count)
    else:
        reader.skip_items(item_type, count)
    return ArrayInfo(item_type, count, position)


def _items(reader: Reader, item_type: TypeName, count: int) -> Iterator[Scalar]:
    return (reader.scalar(item_type) for _ in range(count))


def _type(path: Path, reader: Reader, key: str) -> TypeName:
    number = reader.number("I")
    kind = scalar_type(number)
    if kind is None:
        raise refused(path, f"is damaged: {key!r} has the unknown type {number}")
    return kind


def _tensors(
    path: Path, reader: Reader, metadata: Mapping[str, Value], count: int
) -> dict[str, TensorInfo]:
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 8 or alignment & (alignment - 1):
        raise refused(path, f"is damaged: its alignment is {alignment!r}")
    tensors: dict[str, TensorInfo] = {}
    end = 0
    for _ in range(count):
        tensor = _tensor(path, reader)
        if tensor.name in tensors or tensor.offset != end:
            raise refused(path, f"is damaged: tensor {tensor.name!r} is not where it should be")
        tensors[tensor.name] = tensor
        end = _aligned(end + tensor.size, alignment)
    data_start = _aligned(reader.position, alignment)
    missing = data_start + max((t.offset + t.size for t in tensors.values()), default=0)
    missing -= reader.size
    if tensors and missing > 0:
        raise refused(path, f"is cut off: {missing:,} bytes are missing. Download it again")
    return tensors


def _tensor(path: Path, reader: Reader) -> TensorInfo:
    name = reader.string()
    rank = reader.number("I")
    if len(name.encode()) > 63 or not 0 < rank <= 4:
        raise refused(path, f"is damaged: tensor {name[:80]!r} has {rank} dimensions")
    shape = tuple(reader.number("Q") for _ in range(rank))
    kind, offset = reader.number("I"), reader.number("Q")
    if kind not in BLOCKS:
        raise refused(path, f"has tensor {name!r} of type {kind}, which this version cannot read")
    per_block, block_size = BLOCKS[kind]
    elements = math.prod(shape)
    if not 0 < elements < 2**62 or shape[0] % per_block:
        raise refused(path, f"is damaged: tensor {name!r} has the shape {shape}")
    return TensorInfo(name, shape, kind, offset, elements // per_block * block_size)


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
