"""Checks an image encoder's file before llama.cpp sees it, which ends the process over some."""

from __future__ import annotations

from pathlib import Path

from ..gguf.header import GGUFHeader, read_any_header, refused

_VISION = "clip.vision."
_PATCHES = "v.patch_embd.weight"
_POSITIONS = "v.position_embd.weight"
_WHOLE_IMAGE = ("mlp", "mlp_norm", "ldp", "ldpv2")
"""Projectors of encoders that see an image in one size, with a position for each patch."""
_MOST = 1 << 16


def check_encoder(path: Path) -> None:
    """Raises `NotFoundError` or `ModelFileError` for a file that is no sound image encoder.

    The settings are those that llama.cpp asserts or computes with (found by setting values until
    the process died, llama.cpp 0c1e57098).
    """
    header = read_any_header(path)
    if header.architecture != "clip" or not header.metadata.get("clip.has_vision_encoder"):
        raise refused(path, "is no image encoder (mmproj) for a model")
    width, heads = _number(header, "embedding_length"), _number(header, "attention.head_count")
    size, patch = _number(header, "image_size"), _number(header, "patch_size")
    epsilon = header.metadata.get(_VISION + "attention.layer_norm_epsilon")
    patches = header.tensors.get(_PATCHES)
    shape = patches.shape if patches else ()
    attends = any(".attn_" in name for name in header.tensors)
    checks = {
        "image_size": size is None or patch is None or 0 < patch <= size <= _MOST,
        "patch_size": patch is None or len(shape) < 4 or shape[:2] == (patch, patch),
        "embedding_length": width is None or len(shape) < 4 or shape[3] == width,
        "attention.head_count": not attends
        or heads is None
        or (0 < heads <= _MOST and (width or 0) % heads == 0),
        "attention.layer_norm_epsilon": epsilon is None
        or (isinstance(epsilon, float) and 0 <= epsilon < 1),
        "block_count": (_number(header, "block_count") or 0) <= _MOST,
        "position_embd": _has_positions(header, size, patch),
    }
    for name, sound in checks.items():
        if not sound:
            raise refused(path, f"is damaged: its {_VISION}{name} does not fit the rest")


def _number(header: GGUFHeader, name: str) -> int | None:
    value = header.metadata.get(_VISION + name)
    return value if isinstance(value, int) else None


def _has_positions(header: GGUFHeader, size: int | None, patch: int | None) -> bool:
    tensor = header.tensors.get(_POSITIONS)
    if header.metadata.get("clip.projector_type") not in _WHOLE_IMAGE or not (tensor and size):
        return True
    patches = (size // patch) ** 2 if patch else 0
    return patches <= tensor.shape[-1] <= patches + 1  # one more for the whole image
