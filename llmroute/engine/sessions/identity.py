"""What a saved state belongs to: a model's file, and all that decides what its cache looks like."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from .. import native
from ..gguf.check import other_parts, read_any_header
from ..gguf.header import GGUFHeader
from ..options.load import LoadOptions
from .file import Identity

_SAMPLES, _SAMPLE = 256, 4096
"""How many places of a file are looked at, and how many bytes of each. Reading a whole model takes
longer than reading most prompts."""
_POSITIONS = (
    *("rope_scaling_type", "rope_freq_base", "rope_freq_scale", "yarn_ext_factor"),
    *("yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow", "yarn_orig_ctx"),
)
"""Options that decide how positions are written into keys."""


def identity_of(path: Path, options: LoadOptions, n_ctx: int) -> Identity:
    """The identity of a model that is loaded. `n_ctx` is its context window, in tokens."""
    header = read_any_header(path)
    files = [header, *other_parts(header)]
    return {
        "model": _fingerprint(files),
        "mmproj": options.mmproj and _fingerprint([read_any_header(options.mmproj)]),
        "lora_path": options.lora_path and _fingerprint([read_any_header(options.lora_path)]),
        "lora_scale": options.lora_scale,
        "kv_overrides": repr(options.kv_overrides),
        "llama-cpp-python": native.version(),
        "type_k": options.type_k,
        "type_v": options.type_v,
        "flash_attn": options.flash_attn,
        "swa_full": options.swa_full,
        **{name: getattr(options, name) for name in _POSITIONS},
        "a context beyond the original one": _is_extended(files, n_ctx),
        # llama.cpp's own switch for how it writes quantised caches.
        "LLAMA_ATTN_ROT_DISABLE": os.environ.get("LLAMA_ATTN_ROT_DISABLE"),
    }


def _fingerprint(files: Iterable[GGUFHeader]) -> str:
    """The same for copies of a model; another one for one that was trained or quantised again."""
    digest = hashlib.sha256()
    for header in files:
        told = (header.file_size, sorted(header.metadata.items()), [*header.tensors.values()])
        digest.update(repr(told).encode())
        with header.path.open("rb") as file:
            for number in range(_SAMPLES):
                file.seek(header.file_size * number // _SAMPLES)
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def _is_extended(files: Iterable[GGUFHeader], n_ctx: int) -> bool:
    """Whether positions are written another way, as some models do in long contexts (LongRoPE)."""
    original = next(iter(files)).number("rope.scaling.original_context_length")
    has_factors = any(
        name.endswith("rope_factors_long.weight") for file in files for name in file.tensors
    )
    return has_factors and original is not None and n_ctx > original
