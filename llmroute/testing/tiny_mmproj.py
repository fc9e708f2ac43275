"""A tiny image encoder for tests, to go beside a tiny model as its `mmproj`."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from .gguf_writer import Tensor, Value, write_gguf

IMAGE_SIZE, PATCH_SIZE = 56, 14
IMAGE_TOKENS = (IMAGE_SIZE // PATCH_SIZE) ** 2
"""Positions that every image takes in the prompt."""

_WIDTH, _FEED, _HEADS, _LAYERS = 32, 64, 2, 2
_EPSILON = 1e-5


def write_mmproj(
    path: str | PathLike[str],
    *,
    seed: int = 0,
    model_width: int = 64,
    metadata: Mapping[str, Value] | None = None,
    shapes: Mapping[str, tuple[int, ...] | None] | None = None,
) -> Path:
    """Write a CLIP encoder with LLaVA's projector, and random weights, and return its path.

    It fits a model whose embedding has `model_width` numbers, as those of `write_random` have. An
    image is scaled to 56x56 pixels and becomes `IMAGE_TOKENS` embeddings, which depend on its
    every pixel. `metadata` adds to the file's metadata or replaces it; `shapes` gives tensors other
    shapes, or leaves them out (`None`), which makes an encoder that is not sound.
    """
    rng = random.Random(seed)

    def noise(name: str, *shape: int, scale: float = 0.3) -> Tensor:
        values = (rng.uniform(-scale, scale) for _ in range(math.prod(shape)))
        return Tensor(name, shape, array("f", values))

    def norm(name: str) -> list[Tensor]:
        ones = array("f", [1.0]) * _WIDTH
        zeros = array("f", bytes(4 * _WIDTH))
        return [
            Tensor(f"{name}.weight", (_WIDTH,), ones),
            Tensor(f"{name}.bias", (_WIDTH,), zeros),
        ]

    def linear(name: str, inputs: int, outputs: int) -> list[Tensor]:
        return [noise(f"{name}.weight", inputs, outputs), noise(f"{name}.bias", outputs)]

    tensors = [
        noise("v.class_embd", _WIDTH),
        noise("v.patch_embd.weight", PATCH_SIZE, PATCH_SIZE, 3, _WIDTH),
        noise("v.position_embd.weight", _WIDTH, IMAGE_TOKENS + 1),
        *norm("v.pre_ln"),
    ]
    for layer in range(_LAYERS):
        block = f"v.blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            tensors += linear(f"{block}.{part}", _WIDTH, _WIDTH)
        tensors += linear(f"{block}.ffn_up", _WIDTH, _FEED)
        tensors += linear(f"{block}.ffn_down", _FEED, _WIDTH)
        tensors += [*norm(f"{block}.ln1"), *norm(f"{block}.ln2")]
    tensors += linear("mm.0", _WIDTH, model_width)
    tensors += linear("mm.2", model_width, model_width)
    for name, shape in (shapes or {}).items():
        place = next(n for n, tensor in enumerate(tensors) if tensor.name == name)
        tensors[place : place + 1] = [] if shape is None else [noise(name, *shape)]
    return write_gguf(Path(path), _metadata(model_width) | dict(metadata or {}), tensors)


def _metadata(model_width: int) -> dict[str, Value]:
    return {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "general.name": "tiny",
        "general.license": "mit",
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": False,
        "clip.vision.image_size": IMAGE_SIZE,
        "clip.vision.patch_size": PATCH_SIZE,
        "clip.vision.embedding_length": _WIDTH,
        "clip.vision.feed_forward_length": _FEED,
        "clip.vision.projection_dim": model_width,
        "clip.vision.block_count": _LAYERS,
        "clip.vision.attention.head_count": _HEADS,
        "clip.vision.attention.layer_norm_epsilon": _EPSILON,
        "clip.vision.image_mean": [0.5, 0.5, 0.5],
        "clip.vision.image_std": [0.5, 0.5, 0.5],
    }
