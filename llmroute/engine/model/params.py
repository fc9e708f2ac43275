"""Load options in the structs that llama.cpp takes."""

from __future__ import annotations

import ctypes
from typing import Any

from .. import native
from ..checks import bad
from ..gguf.header import GGUFHeader
from ..gguf.overrides import native_overrides
from ..memory import machine
from ..memory.recurrent_states import CACHED_ANSWERS, cached_states
from ..memory.window import head_length
from ..options.load import LoadOptions
from ..options.pooling import pooling_of
from ..options.table import CACHE_TYPES

_FLASH_HEAD_LENGTH = 64
"""On the CPU flash attention skips what other sequences have in the cache; with heads shorter than
this, as no real model has them, it is still slower."""
_TEXTS = 64
"""Texts that can get their vectors in one step. They take no memory of their own, except for the
states of recurrent layers."""
_FOR_GPU = ("n_gpu_layers", "main_gpu", "split_mode", "tensor_split", "offload_kqv", "op_offload")
_YARN = ("yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow", "yarn_orig_ctx")


def weights_params(lib: Any, options: LoadOptions) -> Any:
    """How to load the weights. What the struct points to lives as long as it does.

    Raises `BadRequestError` for more parts than llama.cpp knows devices.
    """
    params = lib.llama_model_default_params()
    params.check_tensors = options.check_tensors
    for name in ("n_gpu_layers", "main_gpu"):
        _set(params, name, getattr(options, name))
    if options.split_mode is not None:
        params.split_mode = getattr(lib, f"LLAMA_SPLIT_MODE_{options.split_mode.upper()}")
    if options.tensor_split is not None:
        params.tensor_split = _parts(lib, options.tensor_split)
    if options.kv_overrides:
        params.kv_overrides = native_overrides(lib, options.kv_overrides)
    if options.use_mmap is not None or options.use_mlock:
        mapped = options.use_mmap is not False
        params.load_mode = {
            (True, True): lib.LLAMA_LOAD_MODE_MMAP_MLOCK,
            (True, False): lib.LLAMA_LOAD_MODE_MMAP,
            (False, True): lib.LLAMA_LOAD_MODE_MLOCK,
            (False, False): lib.LLAMA_LOAD_MODE_NONE,
        }[mapped, options.use_mlock]
    return params


def _set(params: Any, name: str, value: object) -> None:
    if value is not None:
        setattr(params, name, value)


def _parts(lib: Any, parts: tuple[float, ...]) -> Any:
    most = lib.llama_max_devices()  # llama.cpp reads that many
    if len(parts) > most:
        raise bad("tensor_split", f"must not have more than {most} numbers")
    return (ctypes.c_float * most)(*parts)


def context_params(
    lib: Any, model: Any, header: GGUFHeader, options: LoadOptions, n_ctx: int, abort: native.Flag
) -> Any:
    """How to make a context with a window of `n_ctx` tokens; `abort` breaks a decode off."""
    params = lib.llama_context_default_params()
    params.n_ctx = n_ctx
    params.n_batch = options.n_batch
    params.n_ubatch = min(options.n_ubatch or options.n_batch, options.n_batch)
    params.n_seq_max = options.at_once
    if options.prefix_cache:
        # llama.cpp aborts where there are more sequences than tokens in a batch.
        most = min(options.n_batch, lib.llama_max_parallel_sequences())
        cached = max(CACHED_ANSWERS, options.at_once)
        if not can_cut(lib, model):
            cached = cached_states(header, options)
        elif lib.llama_model_n_swa(model):
            cached *= 2  # and as many checkpoints
        params.n_seq_max = min(options.at_once + cached, most)
    params.n_threads = options.n_threads or machine.cores()
    params.n_threads_batch = options.n_threads_batch or params.n_threads
    params.flash_attn_type = _flash_attention(lib, header, options)
    params.rope_freq_base = options.rope_freq_base or 0.0
    params.rope_freq_scale = options.rope_freq_scale or 0.0
    if options.rope_scaling_type is not None:
        params.rope_scaling_type = getattr(
            lib, f"LLAMA_ROPE_SCALING_TYPE_{options.rope_scaling_type.upper()}"
        )
    for name in (*_YARN, "offload_kqv", "op_offload"):
        _set(params, name, getattr(options, name))
    params.type_k = CACHE_TYPES[options.type_k]
    params.type_v = CACHE_TYPES[options.type_v]
    params.kv_unified = True
    params.swa_full = options.swa_full
    params.no_perf = True
    params.abort_callback = abort.callback
    params.abort_callback_data = abort.argument
    if options.embeddings:
        params.embeddings = True
        params.pooling_type = pooling_of(header, options)
        texts = _TEXTS if can_cut(lib, model) else options.at_once
        params.n_seq_max = min(texts, n_ctx)  # as above
        # The vectors of a text's tokens are pooled within what is computed at once.
        params.n_batch = params.n_ubatch = n_ctx
    return params


def can_cut(lib: Any, model: Any) -> bool:
    """Whether a sequence's beginning can be had without what follows it: recurrent layers have one
    state of all of it."""
    return not (lib.llama_model_is_recurrent(model) or lib.llama_model_is_hybrid(model))


def _flash_attention(lib: Any, header: GGUFHeader, options: LoadOptions) -> int:
    if options.flash_attn is None:
        length, gpu = head_length(header) or 0, lib.llama_supports_gpu_offload()
        gains = gpu or length >= _FLASH_HEAD_LENGTH
        chosen = lib.LLAMA_FLASH_ATTN_TYPE_AUTO if gains else lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    elif options.flash_attn:
        chosen = lib.LLAMA_FLASH_ATTN_TYPE_ENABLED
    else:
        chosen = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return int(chosen)


def warn_about_gpu(lib: Any, options: LoadOptions) -> None:
    """Tell of options that have no effect without a GPU."""
    given = {name: getattr(options, name) for name in _FOR_GPU if getattr(options, name)}
    if given and not lib.llama_supports_gpu_offload():
        native.logger.warning(
            "%s: no effect, as the installed llama-cpp-python is built without GPU support",
            ", ".join(f"{name}={value!r}" for name, value in given.items()),
        )
