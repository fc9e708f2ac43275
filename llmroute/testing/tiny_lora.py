"""A tiny LoRA adapter for tests, to go beside a model of `write_random`."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from .gguf_writer import Tensor, Value, write_gguf

_SHAPES = {
    "blk.0.attn_q.weight": (64, 64),
    "blk.0.ffn_down.weight": (96, 64),
    "blk.1.attn_v.weight": (64, 64),
}
"""The weights it changes: numbers that go in, numbers that come out."""
_RANK, _ALPHA = 4, 8.0


def write_lora(
    path: str | PathLike[str],
    *,
    seed: int = 0,
    metadata: Mapping[str, Value] | None = None,
    shapes: Mapping[str, tuple[int, ...] | None] | None = None,
) -> Path:
    """Write an adapter with random weights, and return its path.

    `lora_changes(seed)` is what it adds to a model's weights. `metadata` adds to the file's
    metadata or replaces it; `shapes` gives tensors (`blk.0.attn_q.weight.lora_a`) other shapes, or
    leaves them out (`None`), which makes an adapter that is not sound.
    """
    tensors = []
    for name, (a, b) in _factors(seed).items():
        ins, outs = _SHAPES[name]
        tensors.append(Tensor(f"{name}.lora_a", (ins, _RANK), a))
        tensors.append(Tensor(f"{name}.lora_b", (_RANK, outs), b))
    for name, shape in (shapes or {}).items():
        tensors = [tensor for tensor in tensors if tensor.name != name]
        if shape is not None:
            tensors.append(Tensor(name, shape, array("f", [0.5]) * math.prod(shape)))
    fields: dict[str, Value] = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": _ALPHA,
    }
    return write_gguf(Path(path), fields | dict(metadata or {}), tensors)


def lora_changes(seed: int = 0, scale: float = 1.0) -> dict[str, array[float]]:
    """What the adapter of this seed adds to the weights of the tensors it changes."""
    factor = scale * _ALPHA / _RANK
    changes = {}
    for name, (a, b) in _factors(seed).items():
        ins, outs = _SHAPES[name]
        changes[name] = array(
            "f",
            (
                factor * sum(b[out * _RANK + r] * a[r * ins + i] for r in range(_RANK))
                for out in range(outs)
                for i in range(ins)
            ),
        )
    return changes


def _factors(seed: int) -> dict[str, tuple[array[float], array[float]]]:
    rng = random.Random(seed)

    def noise(count: int) -> array[float]:
        return array("f", (rng.uniform(-0.3, 0.3) for _ in range(count)))

    return {
        name: (noise(ins * _RANK), noise(_RANK * outs)) for name, (ins, outs) in _SHAPES.items()
    }
