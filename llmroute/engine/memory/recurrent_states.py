"""The states of recurrent layers: how large they are, and how many to have.

Such layers have one state for each sequence, however long it is, and llama.cpp sets all of them
aside when it loads a model.
"""

from __future__ import annotations

from ..gguf.header import GGUFHeader
from ..options.load import LoadOptions

CACHED_ANSWERS = 4
"""Ended answers that stay cached for prompts that begin alike; more if more run at once. In
recurrent layers each leaves two states, at its end and before the end of its prompt."""
_CACHED_BYTES = 512 * 2**20
"""What cached states may take: those of large models have a hundred megabytes each."""
_NUMBER_SIZE = 4


def cached_states(header: GGUFHeader, options: LoadOptions) -> int:
    """How many states to have for what ended calls leave."""
    if not options.prefix_cache or options.embeddings:
        return 0
    size = state_bytes(header)
    wanted = 2 * max(CACHED_ANSWERS, options.at_once)
    return max(1, min(wanted, _CACHED_BYTES // size)) if size else wanted


def states_bytes(header: GGUFHeader, options: LoadOptions) -> int:
    """Bytes of all states; 0 for a model without."""
    return state_bytes(header) * (options.at_once + cached_states(header, options))


def state_bytes(header: GGUFHeader) -> int:
    """Bytes of the state of one sequence; 0 for a model without, or whose size is not known here.

    As `llama_hparams::n_embd_r` and `n_embd_s` of llama.cpp have it for Mamba, RWKV and LFM2 and
    what is built of their layers.
    """
    return _recurrent_layers(header) * _numbers(header) * _NUMBER_SIZE


def _numbers(header: GGUFHeader) -> int:
    """Numbers in the state of one layer."""
    width = header.number("embedding_length") or 0
    inner, size = (header.number(f"ssm.{name}") or 0 for name in ("inner_size", "state_size"))
    if inner and size:
        groups = header.number("ssm.group_count") or 0
        past = max(0, (header.number("ssm.conv_kernel") or 1) - 1)
        return past * (inner + 2 * groups * size) + inner * size
    if head := header.number("wkv.head_size"):
        return width * ((header.number("token_shift_count") or 2) + head)
    return width * max(0, (header.number("shortconv.l_cache") or 1) - 1)


def _recurrent_layers(header: GGUFHeader) -> int:
    heads = header.setting("attention.head_count_kv")
    if isinstance(heads, tuple) and 0 in heads:  # those without attention
        return heads.count(0)
    return header.number("block_count") or 0
