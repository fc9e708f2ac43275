"""Settings of a model's file that a caller puts others in place of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from ...errors import BadRequestError
from ..checks import bad
from .header import ArrayInfo, GGUFHeader, Scalar

_NAME = "kv_overrides"
_LONGEST = 127
"""Bytes of a key, and of a text, for which llama.cpp has room."""
_MOST = 2**32 - 1
"""Whole numbers in a model's settings have 32 bits, without a sign."""
_TOKENIZER = "tokenizer.ggml.model"
"""Which kind of vocabulary the file has: llama.cpp ends the process over another one's."""
_KINDS: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str"}
_LARGEST_FLOAT = 3.4e38
_NATIVE = {
    "bool": ("LLAMA_KV_OVERRIDE_TYPE_BOOL", "val_bool"),
    "int": ("LLAMA_KV_OVERRIDE_TYPE_INT", "val_i64"),
    "float": ("LLAMA_KV_OVERRIDE_TYPE_FLOAT", "val_f64"),
    "str": ("LLAMA_KV_OVERRIDE_TYPE_STR", "val_str"),
}
"""Tag, and the member of the union that it stands for."""


@dataclass(frozen=True, slots=True)
class Override:
    """One setting. `kind` is there because 1, 1.0 and True are equal in Python."""

    key: str
    value: Scalar
    kind: str


Overrides: TypeAlias = tuple[Override, ...]


def parse(name: str, given: object) -> Overrides:
    """What a caller wrote, as a value. Raises `BadRequestError` for what cannot be a setting."""
    if not isinstance(given, Mapping):
        raise bad(name, f"must be a dict of settings, not {given!r:.100}")
    return tuple(sorted((_one(name, *item) for item in given.items()), key=lambda one: one.key))


def _one(name: str, key: object, value: object) -> Override:
    if not isinstance(key, str) or not _fits(key) or not key:
        raise bad(name, f"has the key {key!r:.150}, which is no text of 1 to {_LONGEST} bytes")
    if key == _TOKENIZER:
        raise bad(name, f"must not have {key!r}, as another tokenizer cannot read the vocabulary")
    kind = _KINDS.get(type(value))
    if kind is None:
        raise bad(name, f"must have a bool, int, float or str for {key!r}, not {value!r:.100}")
    if not _sound(value):
        raise bad(
            name,
            f"has {value!r:.150} for {key!r}; an int must be from 0 to {_MOST}, a float finite, a "
            f"text at most {_LONGEST} bytes of UTF-8 long",
        )
    assert isinstance(value, bool | int | float | str)
    return Override(key, value, kind)


def _sound(value: object) -> bool:
    if isinstance(value, int):
        return 0 <= value <= _MOST
    if isinstance(value, float):
        return math.isfinite(value) and abs(value) < _LARGEST_FLOAT
    return isinstance(value, str) and _fits(value)


def _fits(text: str) -> bool:
    try:
        return len(text.encode()) <= _LONGEST and "\0" not in text
    except UnicodeEncodeError:
        return False


def overridden(header: GGUFHeader, overrides: Overrides) -> GGUFHeader:
    """The header as llama.cpp takes it then.

    Raises `BadRequestError` for one that llama.cpp would pass over: of another type than in the
    file, or in place of a list.
    """
    if not overrides:
        return header
    for override in overrides:
        _check_type(header, override)
    changed = {**header.metadata, **{override.key: override.value for override in overrides}}
    return replace(header, metadata=MappingProxyType(changed))


def _check_type(header: GGUFHeader, override: Override) -> None:
    there = header.metadata.get(override.key)
    kind = "list" if isinstance(there, tuple | ArrayInfo) else _KINDS.get(type(there))
    if kind is not None and kind != override.kind:
        raise BadRequestError(
            f"{_NAME} has {override.value!r} for {override.key!r}, which has the type {kind} in "
            f"{header.path}" + (" and cannot be overridden." if kind == "list" else "."),
            param=_NAME,
        )


def native_overrides(lib: Any, overrides: Overrides) -> Any:
    """llama.cpp's array of them, with the empty one at its end."""
    array = (lib.llama_model_kv_override * (len(overrides) + 1))()
    for place, override in zip(array, overrides, strict=False):
        tag, field = _NATIVE[override.kind]
        text = isinstance(override.value, str)
        place.key = override.key.encode()
        place.tag = getattr(lib, tag)
        setattr(place.value, field, str(override.value).encode() if text else override.value)
    return array
