"""What each load option may be."""

from __future__ import annotations

import os

from ..checks import Check, bad, integer, number, one_of, path, positive, switch, unless
from ..gguf import overrides as kv_overrides
from ..gguf.check import ROPE_SCALINGS
from ..gguf.files import find_model

PROMPT_LOOKUP = "prompt_lookup"
"""What `draft_model` is without a model."""
CACHE_TYPES = {
    "f32": 0,
    "f16": 1,
    "q8_0": 8,
    "q5_1": 7,
    "q5_0": 6,
    "q4_1": 3,
    "q4_0": 2,
    "iq4_nl": 20,
}
"""Number types that a cache may have, with ggml's numbers for them."""
_SPLIT_MODES = ("none", "layer", "row")
_NUMA = ("distribute", "isolate", "numactl")
_POOLING_NUMBERS = {-1: None, 1: "mean", 2: "cls", 3: "last"}
_MOST_DEVICES = 128
_LARGEST_FACTOR = 1e6
"""No model has a factor of YaRN near it, and none below it leaves the range of a float."""


def _pooling(name: str, value: object) -> str | None:
    if value == "none":
        raise bad(name, "must not be 'none': that is one vector for every token, not for a text")
    chosen: str | None = one_of("mean", "cls", "last", numbers=_POOLING_NUMBERS)(name, value)
    return chosen


def _tensor_split(name: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= _MOST_DEVICES:
        raise bad(name, f"must be a list of 1 to {_MOST_DEVICES} numbers, not {value!r:.100}")
    parts = tuple(number(0, 1e9)(f"{name}[{at}]", part) for at, part in enumerate(value))
    if not any(parts):
        raise bad(name, "must have a number above 0: a GPU that gets a part of the model")
    return parts


def _numa(name: str, value: object) -> str | None:
    if isinstance(value, bool):
        return "distribute" if value else None
    chosen: str | None = one_of(*_NUMA, numbers={0: None, **dict(enumerate(_NUMA, 1))})(name, value)
    return chosen


def _draft_model(name: str, value: object) -> str:
    if value == PROMPT_LOOKUP:
        return PROMPT_LOOKUP
    if not isinstance(value, str | os.PathLike):
        raise bad(
            name,
            f"must be {PROMPT_LOOKUP!r} or a GGUF file, not {value!r:.100}. llama-cpp-python's "
            f"LlamaPromptLookupDecoding(num_pred_tokens=10) is draft_model={PROMPT_LOOKUP!r}, "
            "n_draft=10",
        )
    return str(find_model(value).absolute())


def _is_zero(value: float) -> bool:
    return value == 0


def _is_negative(value: float) -> bool:
    return value < 0


_FACTOR = unless(_is_negative, number(0, _LARGEST_FACTOR))
_CACHE_TYPE = one_of(*CACHE_TYPES, numbers={number: name for name, number in CACHE_TYPES.items()})
CHECKS: dict[str, Check] = {
    "n_ctx": unless(_is_zero, integer(8, 2**24)),
    "n_parallel": integer(1, 256),
    "max_queue": integer(1, 2**20),
    "n_batch": integer(1, 2**16),
    "n_ubatch": integer(1, 2**16),
    "n_threads": integer(1, 512),
    "n_threads_batch": integer(1, 512),
    "n_gpu_layers": integer(-1, 2**16),
    "main_gpu": integer(0, 255),
    "split_mode": one_of(*_SPLIT_MODES, numbers=dict(enumerate(_SPLIT_MODES))),
    "tensor_split": _tensor_split,
    "offload_kqv": switch,
    "op_offload": switch,
    "numa": _numa,
    "use_mmap": switch,
    "use_mlock": switch,
    "check_tensors": switch,
    "flash_attn": switch,
    "prefix_cache": switch,
    "idle_unload": positive,
    "swa_full": switch,
    "rope_freq_base": unless(_is_zero, positive),
    "rope_freq_scale": unless(_is_zero, positive),
    "rope_scaling_type": one_of(
        *ROPE_SCALINGS, numbers={-1: None, **dict(enumerate(ROPE_SCALINGS))}
    ),
    "yarn_ext_factor": _FACTOR,
    "yarn_attn_factor": _FACTOR,
    "yarn_beta_fast": _FACTOR,
    "yarn_beta_slow": _FACTOR,
    "yarn_orig_ctx": unless(_is_zero, integer(1, 2**24)),
    "kv_overrides": kv_overrides.parse,
    "lora_path": path,
    "lora_scale": number(-_LARGEST_FACTOR, _LARGEST_FACTOR),
    "mmproj": path,
    "draft_model": _draft_model,
    "n_draft": integer(1, 64),
    "embeddings": switch,
    "pooling": _pooling,
    "spm_infill": switch,
    "type_k": _CACHE_TYPE,
    "type_v": _CACHE_TYPE,
}
