"""Checks a model file before llama.cpp sees it.

llama.cpp reports a file it cannot load without a reason, and ends the whole process over some.
"""

from __future__ import annotations

import os
import re

from ...errors import NotFoundError
from .header import (
    ArrayInfo,
    GGUFHeader,
    TensorInfo,
    read_any_header,
    read_array,
    refused,
)
from .overrides import Overrides, overridden

__all__ = [
    "ArrayInfo",
    "GGUFHeader",
    "other_parts",
    "read_any_header",
    "read_array",
    "read_header",
]

# Limits and names that llama.cpp asserts (src/llama-hparams.h, src/llama-model.cpp; found by
# flipping bits and setting values until the process died, llama.cpp 0c1e57098).
_MAX_LAYERS = 512
_MAX_EXPERTS = 512
_MAX_HEADS = _MAX_HEAD_LENGTH = 0xFFFF  # so that their product fits the 32 bits it is given
ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
"""How RoPE may reach beyond the trained window, in the order of llama.cpp's numbers."""
_HEAD_LENGTHS = ("attention.key_length", "attention.value_length", "rope.dimension_count")
_EPSILONS = ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon")
_HEAD_TENSORS = {
    "attention.head_count": "attn_q.weight",
    "attention.head_count_kv": "attn_k.weight",
}
_SPLIT_NAME = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


def read_header(path: str | os.PathLike[str], overrides: Overrides = ()) -> GGUFHeader:
    """The header of a model, checked as far as a header can tell that llama.cpp will take it, with
    `overrides` in place of settings of the file.

    A model in several parts is named by its first part; all parts are checked. The result is kept
    until the file changes.

    Raises `NotFoundError` for a missing file or part, `ModelFileError` for a directory, a file
    that is no GGUF, is cut off or damaged, or holds something other than a model.
    """
    header = overridden(read_any_header(path), overrides)
    _check_kind(header)
    parts = other_parts(header)
    _check_sizes(header)
    _check_vocabulary(header)
    if not any(part.tensors for part in [header, *parts]):
        raise refused(header.path, "holds a vocabulary without weights")
    return header


def all_tensors(header: GGUFHeader) -> dict[str, TensorInfo]:
    """The tensors of a model, of all its parts."""
    headers = [header, *other_parts(header)]
    return {name: tensor for part in headers for name, tensor in part.tensors.items()}


def _check_kind(header: GGUFHeader) -> None:
    kind = header.text("general.type")
    if header.architecture == "clip" or kind == "mmproj":
        raise refused(
            header.path,
            "is a projector for images (mmproj), not a model; it goes beside a model, "
            'as model_kwargs={"mmproj": ...}',
        )
    if kind in ("adapter", "imatrix") or header.text("adapter.type"):
        raise refused(header.path, f"is no model but an {kind or 'adapter'} for one")
    if not header.architecture:
        raise refused(header.path, "does not say which architecture it has")


def other_parts(header: GGUFHeader) -> list[GGUFHeader]:
    """The other parts of a model that was split over several files."""
    number, count = header.metadata.get("split.no"), header.metadata.get("split.count")
    if not isinstance(count, int) or count < 2:
        return []
    match = _SPLIT_NAME.search(header.path.name)
    if number != 0 or not match:
        first = _SPLIT_NAME.sub(f"-00001-of-{count:05}.gguf", header.path.name)
        raise refused(
            header.path,
            f"is one of {count} parts of a model; name the first one, as it was called when it "
            f"was made ({first})",
        )
    stem = header.path.name[: match.start()]
    return [_part(header, f"{stem}-{n:05}-of-{count:05}.gguf") for n in range(2, count + 1)]


def _part(header: GGUFHeader, name: str) -> GGUFHeader:
    try:
        return read_any_header(header.path.with_name(name))
    except NotFoundError as exc:
        exc.message = f"{header.path} needs its other parts beside it; {name} is missing."
        raise


def _check_sizes(header: GGUFHeader) -> None:
    """Settings that llama.cpp asserts or divides by instead of reporting."""
    layers = header.number("block_count")
    experts, used = header.number("expert_count") or 0, header.setting("expert_used_count")
    embedding = header.tensors.get("token_embd.weight")
    has_experts = any("_exps." in name for name in header.tensors) or _is_split(header)
    checks = {
        "block_count": layers is None or 0 < layers <= _MAX_LAYERS,
        "nextn_predict_layers": (header.number("nextn_predict_layers") or 0) < (layers or 1),
        "embedding_length": embedding is None
        or header.number("embedding_length") in (None, embedding.shape[0]),
        "expert_count": experts <= _MAX_EXPERTS and (has_experts or not experts),
        "expert_used_count": not used
        if not experts
        else isinstance(used, tuple) or (isinstance(used, int) and 0 < used <= experts),
        "rope.scaling.type": header.setting("rope.scaling.type") in (None, *ROPE_SCALINGS),
        **{name: _is_epsilon(header.setting(name)) for name in _EPSILONS},
        **{name: (header.number(name) or 0) <= _MAX_HEAD_LENGTH for name in _HEAD_LENGTHS},
        **{name: _has_heads(header, name) for name in _HEAD_TENSORS},
    }
    for name, sound in checks.items():
        if not sound:
            value = header.setting(name)
            raise refused(header.path, f"is damaged: {header.architecture}.{name} is {value!r}")


def _is_split(header: GGUFHeader) -> bool:
    return "split.count" in header.metadata


def _is_epsilon(value: object) -> bool:
    return value is None or (isinstance(value, float) and 0 <= value < 1)


def _has_heads(header: GGUFHeader, name: str) -> bool:
    """Whether every layer that has the tensor also has heads; the others may have none."""
    heads = header.setting(name)
    if not isinstance(heads, tuple):
        return heads is None or (isinstance(heads, int) and 0 <= heads <= _MAX_HEADS)
    tensor = _HEAD_TENSORS[name]
    return all(
        isinstance(count, int)
        and 0 <= count <= _MAX_HEADS
        and (count > 0 or f"blk.{layer}.{tensor}" not in header.tensors)
        for layer, count in enumerate(heads)
    )


def _check_vocabulary(header: GGUFHeader) -> None:
    """Lists that llama.cpp reads side by side with the vocabulary, without looking at their end."""
    for key, item_types in (
        ("tokenizer.ggml.token_type", ("i32", "u32")),
        ("tokenizer.ggml.scores", ("f32",)),
    ):
        values = header.metadata.get(key)
        if isinstance(values, ArrayInfo):
            sound = values.count == header.vocabulary_size and values.item_type in item_types
        else:
            sound = values is None or (
                isinstance(values, tuple) and len(values) == header.vocabulary_size
            )
        if not sound:
            raise refused(header.path, f"is damaged: {key} does not match the vocabulary")
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    in_pieces = header.text("tokenizer.ggml.model") == "llama"
    # SentencePiece writes what it does not know in bytes, and llama.cpp looks for no other way.
    if in_pieces and isinstance(tokens, ArrayInfo) and not tokens.spells_bytes:
        problem = "has a vocabulary of tokenizer.ggml.model 'llama' without all bytes"
        raise refused(header.path, problem)
