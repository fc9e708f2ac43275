"""LoRA adapters: checked against the model's header, then put onto its context."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from .. import native
from ..gguf.header import GGUFHeader, TensorInfo, read_any_header, refused

_Pair: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Four dimensions of the two matrices whose product is added to a weight."""

_PARTS = (".lora_a", ".lora_b")
_NOT_ADDED = "_norm.weight"
_EMBEDDING = "token_embd.weight"
_NO_FACTORS = frozenset({9, 15, 24, 25, 26, 27, 28})
"""Tensor types that ggml cannot multiply with: Q8_1, Q8_K, whole numbers, F64."""


def check_adapter(path: Path, model: GGUFHeader, tensors: Mapping[str, TensorInfo]) -> None:
    """Raises `NotFoundError` or `ModelFileError` for a file that is no adapter for the model.

    `tensors` are the model's, of all its parts. What llama.cpp asserts is in llama-adapter.cpp and
    in build_lora_mm of llama-graph.cpp (llama.cpp 0c1e57098).
    """
    adapter = read_any_header(path)
    _check_kind(adapter, model)
    for name, (a, b) in _pairs(adapter).items():
        weight = tensors.get(name)
        if weight is None:
            raise refused(path, f"does not fit the model, which has no tensor {name!r}")
        if not _fits(name, _four(weight.shape), a, b):
            raise refused(
                path,
                f"does not fit the model: it changes {name!r} of the shape {weight.shape} by "
                f"matrices of {a} and {b}",
            )
        if name == _EMBEDDING and "output.weight" not in tensors:
            raise refused(
                path,
                f"changes {name!r}, which the model also writes with; llama.cpp cannot do that. "
                "Merge it into the model",
            )


def _check_kind(adapter: GGUFHeader, model: GGUFHeader) -> None:
    path, metadata = adapter.path, adapter.metadata
    kind = metadata.get("general.type"), metadata.get("adapter.type")
    if kind != ("adapter", "lora"):
        raise refused(path, f"is no LoRA adapter (general.type and adapter.type are {kind})")
    if adapter.architecture != model.architecture:
        raise refused(
            path,
            f"is an adapter for models of the architecture {adapter.architecture!r}, and "
            f"{model.path.name} is of {model.architecture!r}",
        )
    if not isinstance(metadata.get("adapter.lora.alpha", 0.0), float):
        raise refused(path, "is damaged: its adapter.lora.alpha is no float")
    if "adapter.alora.invocation_tokens" in metadata:
        raise refused(
            path,
            "is an activated LoRA, which begins at certain tokens; this engine only has adapters "
            "for whole texts",
        )


def _pairs(adapter: GGUFHeader) -> dict[str, _Pair]:
    """The two matrices of each weight that it changes."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in adapter.tensors.items():
        if name.endswith(_NOT_ADDED):
            native.logger.warning("%s: llama.cpp passes over its %s", adapter.path, name)
            continue
        weight, part = name[: -len(_PARTS[0])], name[-len(_PARTS[0]) :]
        if part not in _PARTS or not weight:
            raise refused(adapter.path, f"has a tensor {name!r}, which is no part of a LoRA")
        if tensor.type in _NO_FACTORS:
            raise refused(adapter.path, f"has {name!r} in a number type that cannot be used so")
        found.setdefault(weight, {})[part] = _four(tensor.shape)
    if not found:
        raise refused(adapter.path, "is an adapter that changes nothing")
    for name, parts in found.items():
        if len(parts) != len(_PARTS):
            raise refused(adapter.path, f"is damaged: of two matrices for {name!r} it has one")
    return {name: (parts[_PARTS[0]], parts[_PARTS[1]]) for name, parts in found.items()}


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape + (1,) * (4 - len(shape))


def _fits(name: str, weight: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    if not weight[2:] == a[2:] == b[2:]:
        return False
    if name == _EMBEDDING:  # whose rows are looked up, not multiplied
        return (b[1], a[1], a[0]) == (weight[0], weight[1], b[0])
    return (a[0], b[1], a[1]) == (weight[0], weight[1], b[0])


def put_on(lib: Any, model: Any, context: Any, path: Path, scale: float) -> None:
    """Let everything the context computes be changed by an adapter, which lives as long as the
    model. Raises `ModelFileError`."""
    with native.logged_errors() as errors:
        adapter = lib.llama_adapter_lora_init(model, os.fsencode(path))
        if not adapter:
            words = native.last_words(errors)
            raise refused(path, f"cannot be loaded by llama.cpp as an adapter{words}")
        adapters = (lib.llama_adapter_lora_p_ctypes * 1)(adapter)
        if lib.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(scale)):
            raise refused(path, f"cannot be used by llama.cpp{native.last_words(errors)}")
