"""How large a context window to give a model: what it was trained for, and what fits."""

from __future__ import annotations

import logging

from ...errors import BadRequestError
from ..gguf.header import GGUFHeader
from ..gguf.layout import BLOCKS
from ..options.load import LoadOptions
from ..options.table import CACHE_TYPES
from . import machine

logger = logging.getLogger("llmroute.engine")

_SHARE = 4
"""The memory left by the weights, divided by this, is the most that a cache takes by default."""
_TIMES_FILE = 16
_LEAST_CAP = 256 << 20
"""Nor does it take more than this many times the file, or this many bytes if that is more: a file
may say anything of the window it was trained for."""
_ASSUMED_FREE = 8 << 30
"""Bytes of free memory, where the system does not tell."""
_MASK_BYTES = 4
"""Bytes for each token of a window and each of a micro-batch, which say what sees what."""
_UBATCH = 512
"""llama.cpp's own default for the size of a micro-batch."""
_BESIDE = 128
"""Bytes that llama.cpp keeps about a token in the cache."""
_WITHOUT_FACTS = 4096
"""The window for a file that doesn't say what it was trained for."""
_FOR_VECTORS = 2048
"""The largest window by default for vectors: the memory to compute a text at once grows with the
square of its length."""
_SMALLEST = 512


def cache_bytes(header: GGUFHeader, options: LoadOptions) -> int | None:
    """Bytes of cache one token takes; `None` for a file that doesn't say enough.

    Counts every layer in full, so it is too high for models with a sliding window or recurrent
    layers, never too low.
    """
    layers, width, heads = (
        header.number(key) for key in ("block_count", "embedding_length", "attention.head_count")
    )
    if not layers or not width or not heads:
        return None
    default = width // heads
    key = header.number("attention.key_length") or default
    value = header.number("attention.value_length") or default
    per_head = key * _element_bytes(options.type_k) + value * _element_bytes(options.type_v)
    return int(_cached_heads(header, layers, heads) * per_head)


def _element_bytes(cache_type: str) -> float:
    elements, size = BLOCKS[CACHE_TYPES[cache_type]]
    return size / elements


def head_length(header: GGUFHeader) -> int | None:
    """Numbers in a head's key for one token; `None` for a file that doesn't say."""
    width, heads = (header.number(key) for key in ("embedding_length", "attention.head_count"))
    own = header.number("attention.key_length")
    return own or (width // heads if width and heads else None)


def _cached_heads(header: GGUFHeader, layers: int, heads: int) -> int:
    """Heads with keys and values of their own, over all layers."""
    given = header.metadata.get(f"{header.architecture}.attention.head_count_kv")
    if isinstance(given, tuple):  # one figure a layer
        return sum(int(item) for item in given)
    return layers * (given if isinstance(given, int) and given else heads)


def choose(header: GGUFHeader, options: LoadOptions, most: int | None = None) -> int:
    """The context window to load with, in tokens, where models may take `most` bytes together.

    Raises `BadRequestError` when the caller's own `n_ctx` cannot fit into the free memory.
    """
    per_token, free = cache_bytes(header, options), machine.free_memory()
    if options.n_ctx is not None:
        _check_trained(header, options)
        _check_fits(options.n_ctx, per_token, free)
        return options.n_ctx
    trained = header.context_length or _WITHOUT_FACTS
    if options.embeddings:
        trained = min(trained, _FOR_VECTORS)
    free = _ASSUMED_FREE if free is None else free
    share = max(0, min(free, most or free) - header.file_size) // _SHARE
    share = min(share, max(_LEAST_CAP, header.file_size * _TIMES_FILE))
    each = (per_token or 0) + _BESIDE + _MASK_BYTES * (options.n_ubatch or _UBATCH)
    fitting = max(_SMALLEST, share // each // 256 * 256)
    if fitting < trained:
        logger.info(
            "n_ctx is %d, not the model's %d, to keep its cache under %d MB; set n_ctx for more",
            *(fitting, trained, share // 2**20),
        )
    return min(trained, fitting)


def _check_trained(header: GGUFHeader, options: LoadOptions) -> None:
    """A model for vectors may know its positions by a table, beyond whose end llama.cpp aborts."""
    trained = header.context_length
    if options.embeddings and options.n_ctx and trained and options.n_ctx > trained:
        raise BadRequestError(
            f"n_ctx={options.n_ctx:,} is more than the {trained:,} tokens that the model was "
            "trained with.",
            param="n_ctx",
        )


def _check_fits(n_ctx: int, per_token: int | None, free: int | None) -> None:
    if per_token and free is not None and n_ctx * per_token > free:
        raise BadRequestError(
            f"n_ctx={n_ctx:,} needs {n_ctx * per_token / 2**30:.1f} GiB of cache and "
            f"{free / 2**30:.1f} GiB of memory are free. Set n_ctx to "
            f"{free // per_token // 256 * 256:,} or less.",
            param="n_ctx",
        )
