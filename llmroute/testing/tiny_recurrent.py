"""Tiny models for tests that remember a text in a state instead of a cache of its tokens.

`write_recurrent` makes one with such layers only, `write_hybrid` one that has attention too.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from .gguf_writer import Tensor, Value, write_gguf
from .tiny_gguf import _CONTROL, CHAT_TEMPLATE, _vocabulary

_WIDTH, _FEED, _HEADS = 64, 96, 2
_INNER, _STATE, _KERNEL, _RANK = 2 * _WIDTH, 16, 4, 4


def write_recurrent(
    path: str | PathLike[str], *, seed: int = 0, chat_template: str = CHAT_TEMPLATE
) -> Path:
    """Write a two-layer Mamba with random weights and return its path.

    At temperature 0 its answer is a fixed function of the prompt's every token and of `seed`. It
    says only bytes, never a control token, so it does not stop by itself.
    """
    noise = _Noise(seed)
    tensors = _ends(noise)
    for layer in (0, 1):
        tensors += _norm(f"blk.{layer}.attn_norm")
        tensors += _mamba(noise, layer)
    return write_gguf(Path(path), _metadata("mamba", chat_template), tensors)


def write_hybrid(
    path: str | PathLike[str], *, seed: int = 0, chat_template: str = CHAT_TEMPLATE
) -> Path:
    """Write a Jamba whose first layer is one of Mamba and whose second is attention, with random
    weights, and return its path. It answers as the model of `write_recurrent` does."""
    noise = _Noise(seed)
    tensors = _ends(noise)
    for layer in (0, 1):
        tensors += _norm(f"blk.{layer}.attn_norm")
        tensors += _mamba(noise, layer, normed=True) if layer == 0 else _attention(noise, layer)
        tensors += _norm(f"blk.{layer}.ffn_norm")
        for name, shape in (("gate", (_WIDTH, _FEED)), ("up", (_WIDTH, _FEED))):
            tensors.append(noise(f"blk.{layer}.ffn_{name}.weight", *shape))
        tensors.append(noise(f"blk.{layer}.ffn_down.weight", _FEED, _WIDTH))
    fields = _metadata("jamba", chat_template)
    fields |= {"jamba.attention.head_count": _HEADS, "jamba.attention.head_count_kv": [0, _HEADS]}
    return write_gguf(Path(path), fields, tensors)


class _Noise:
    """Makes tensors of random numbers, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def __call__(self, name: str, *shape: int, scale: float = 0.35, around: float = 0.0) -> Tensor:
        values = (around + self._rng.uniform(-scale, scale) for _ in range(math.prod(shape)))
        return Tensor(name, shape, array("f", values))


def _ends(noise: _Noise) -> list[Tensor]:
    """What comes before and after the layers."""
    size = len(_CONTROL) + 256
    output = noise("output.weight", _WIDTH, size, scale=0.6)
    silent = len(_CONTROL) * _WIDTH
    output.data[:silent] = array("f", bytes(4 * silent))
    return [noise("token_embd.weight", _WIDTH, size, scale=1.0), *_norm("output_norm"), output]


def _norm(name: str, width: int = _WIDTH) -> Iterator[Tensor]:
    yield Tensor(f"{name}.weight", (width,), array("f", [1.0]) * width)


def _mamba(noise: _Noise, layer: int, *, normed: bool = False) -> Iterator[Tensor]:
    block = f"blk.{layer}.ssm_"
    yield noise(f"{block}in.weight", _WIDTH, 2 * _INNER)
    yield noise(f"{block}conv1d.weight", _KERNEL, _INNER)
    yield noise(f"{block}conv1d.bias", _INNER)
    yield noise(f"{block}x.weight", _INNER, _RANK + 2 * _STATE)
    if normed:
        yield from _norm(f"{block}dt_norm", _RANK)
        yield from _norm(f"{block}b_norm", _STATE)
        yield from _norm(f"{block}c_norm", _STATE)
    yield noise(f"{block}dt.weight", _RANK, _INNER)
    yield noise(f"{block}dt.bias", _INNER, around=-2.0)
    # Below 0: how fast a number of the state fades.
    yield noise(f"{block}a", _STATE, _INNER, around=-0.05, scale=0.04)
    yield noise(f"{block}d", _INNER, around=1.0)
    yield noise(f"{block}out.weight", _INNER, _WIDTH)


def _attention(noise: _Noise, layer: int) -> Iterator[Tensor]:
    for part in "qkv":
        yield noise(f"blk.{layer}.attn_{part}.weight", _WIDTH, _WIDTH)
    yield noise(f"blk.{layer}.attn_output.weight", _WIDTH, _WIDTH)


def _metadata(architecture: str, chat_template: str) -> dict[str, Value]:
    settings: dict[str, Value] = {
        "context_length": 2048,
        "embedding_length": _WIDTH,
        "block_count": 2,
        "feed_forward_length": _FEED,
        "attention.head_count": 0,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "ssm.conv_kernel": _KERNEL,
        "ssm.inner_size": _INNER,
        "ssm.state_size": _STATE,
        "ssm.time_step_rank": _RANK,
    }
    general: dict[str, Value] = {
        "general.architecture": architecture,
        "general.name": "tiny",
        "general.license": "mit",
        "tokenizer.chat_template": chat_template,
    }
    named = {f"{architecture}.{name}": value for name, value in settings.items()}
    return general | named | _vocabulary([], [], add_bos=False)
