"""How to load a model: the options of `model_kwargs`, checked."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import BadRequestError, UnsupportedOperationError, UnsupportedParamsError
from .checks import bad, integer, switch

_CACHE_TYPES = ("f32", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
IDLE_VARIABLE = "LLMROUTE_LLAMACPP_IDLE_UNLOAD"
"""The environment variable for `idle_unload`."""
_POOLINGS = ("mean", "cls", "last")
_ALIASES = {"embedding": "embeddings", "clip_model_path": "mmproj", "max_parallel": "n_parallel"}
_FOR_IMAGES = frozenset({"allow_image_urls", "allow_local_images", "chat_handler_name"})
"""Options of a call that loading has nothing to do with; see `image_sources` and `handlers`."""
_OTHER_OPERATIONS = {
    "draft_model": "draft models",
    "lora_path": "LoRA adapters",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How one model is loaded. Equal options share a loaded model."""

    n_ctx: int | None = None
    """The context window in tokens. `None` takes the one the model was trained with, or less where
    its cache would take more than a quarter of the free memory. Requests that run at once share
    it: each may use all of it when it is alone."""
    n_parallel: int = 4
    """How many answers are generated at once; the others wait. `max_parallel` is accepted too."""
    max_queue: int = 512
    """How many answers may wait; one more is a `RateLimitError`."""
    n_batch: int = 512
    """Tokens computed in one step, over all requests."""
    n_ubatch: int | None = None
    """Tokens computed at once within a step; `None` means `n_batch`."""
    n_threads: int | None = None
    """Threads that generate; `None` means one per processor core this process may use."""
    n_threads_batch: int | None = None
    """Threads that read prompts; `None` means as `n_threads`."""
    n_gpu_layers: int | None = None
    """Layers put on the GPU, -1 for all; `None` leaves it to llama.cpp."""
    main_gpu: int | None = None
    """Which GPU, counted from 0; `None` leaves it to llama.cpp."""
    use_mmap: bool | None = None
    """Map the file instead of reading it; `None` leaves it to llama.cpp."""
    use_mlock: bool = False
    """Keep the model from being swapped out."""
    flash_attn: bool | None = None
    """Flash attention; `None` lets llama.cpp decide, but leaves it off for models with very short
    attention heads, where it is slower on the CPU."""
    prefix_cache: bool = True
    """Keep what was computed of ended calls as long as there is room, so that a prompt that begins
    alike is read from there on."""
    idle_unload: float | None = None
    """Seconds without a call after which the model is unloaded; the next call loads it again.
    `None` takes those of the environment variable `LLMROUTE_LLAMACPP_IDLE_UNLOAD`; without it, the
    model stays."""
    swa_full: bool = False
    """Keep the whole context in the cache also for layers that look at a sliding window."""
    rope_freq_base: float | None = None
    """RoPE's base frequency; `None` takes the model's."""
    rope_freq_scale: float | None = None
    """RoPE's frequency scale; `None` takes the model's."""
    mmproj: str | None = None
    """The image encoder that goes with the model, a GGUF file of its own. `clip_model_path` is
    accepted too."""
    embeddings: bool = False
    """Make vectors instead of text. `embedding()` and `rerank()` set it themselves; it is for
    `warm_up`. `n_parallel`, `n_batch` and `n_ubatch` then have no effect: a text is computed whole,
    with others if they fit into `n_ctx` together, which is at most 2,048 by default."""
    pooling: str | None = None
    """How the vectors of a text's tokens become one: mean, cls (the first), last. `None` takes what
    the file says, or mean. Only for `embedding()`."""
    spm_infill: bool | None = None
    """For `suffix`: give the model the suffix before the prefix. `None` does so where the model has
    no token for the middle, as Mistral's, and takes the common order elsewhere."""
    type_k: str = "f16"
    """Number type of the cache's keys: f32, f16, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl."""
    type_v: str = "f16"
    """Number type of the cache's values, as above; a quantised one needs flash attention."""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> LoadOptions:
        """Options from what a caller wrote; entries that are `None` keep the default.

        Raises `UnsupportedParamsError` for an unknown name, `UnsupportedOperationError` for one
        that belongs to something this engine does not do, `BadRequestError` for a bad value.
        """
        options: dict[str, Any] = {}
        for written, value in given.items():
            if written in _FOR_IMAGES:
                continue
            name = _ALIASES.get(written, written)
            if name not in _CHECKS:
                raise _unknown(written)
            if value is not None:
                options[name] = _CHECKS[name](written, value)
        result = cls(**options)
        if result.n_parallel > result.n_batch:
            raise bad("n_parallel", f"must not be more than n_batch ({result.n_batch})")
        if result.pooling and not result.embeddings:
            raise bad("pooling", "is for embedding(); leave it out of other calls")
        return result


def idle_seconds(options: LoadOptions) -> float | None:
    """After how many seconds without a call a model is unloaded; `None` for never.

    Raises `BadRequestError` if the environment says something that is no number above 0.
    """
    text = os.environ.get(IDLE_VARIABLE, "").strip()
    if options.idle_unload is not None or not text:
        return options.idle_unload
    try:
        return _positive(IDLE_VARIABLE, float(text))
    except ValueError:
        raise bad(IDLE_VARIABLE, f"must be a number of seconds, not {text!r}") from None


def _unknown(name: str) -> BadRequestError:
    if name in _OTHER_OPERATIONS:
        return UnsupportedOperationError(
            f"llamacpp: {_OTHER_OPERATIONS[name]} are not supported yet, so model_kwargs "
            f"cannot take {name!r}. Leave it out.",
            param=name,
        )
    near = difflib.get_close_matches(name, _CHECKS, 1)
    hint = f"Did you mean {near[0]!r}?" if near else f"It takes: {', '.join(sorted(_CHECKS))}."
    return UnsupportedParamsError(
        f"llamacpp has no load option {name!r} (in model_kwargs). {hint}", param=name
    )


def _positive(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad(name, f"must be a number, not {value!r}")
    if not 0 < value < math.inf:
        raise bad(name, f"must be a finite number above 0, not {value!r}")
    return float(value)


def _cache_type(name: str, value: object) -> str:
    if value not in _CACHE_TYPES:
        raise bad(name, f"must be one of {', '.join(_CACHE_TYPES)}, not {value!r}")
    return str(value)


def _path(name: str, value: object) -> str:
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise bad(name, f"must be a path, not {value!r}")
    return str(Path(value).expanduser().absolute())


def _pooling(name: str, value: object) -> str:
    if value == "none":
        raise bad(name, "must not be 'none': that is one vector for every token, not for a text")
    if value not in _POOLINGS:
        raise bad(name, f"must be one of {', '.join(_POOLINGS)}, not {value!r}")
    return str(value)


_CHECKS: dict[str, Any] = {
    "n_ctx": integer(8, 2**24),
    "n_parallel": integer(1, 256),
    "max_queue": integer(1, 2**20),
    "n_batch": integer(1, 2**16),
    "n_ubatch": integer(1, 2**16),
    "n_threads": integer(1, 512),
    "n_threads_batch": integer(1, 512),
    "n_gpu_layers": integer(-1, 2**16),
    "main_gpu": integer(0, 255),
    "use_mmap": switch,
    "use_mlock": switch,
    "flash_attn": switch,
    "prefix_cache": switch,
    "idle_unload": _positive,
    "swa_full": switch,
    "rope_freq_base": _positive,
    "rope_freq_scale": _positive,
    "mmproj": _path,
    "embeddings": switch,
    "pooling": _pooling,
    "spm_infill": switch,
    "type_k": _cache_type,
    "type_v": _cache_type,
}
assert set(_CHECKS) == {field.name for field in fields(LoadOptions)}
