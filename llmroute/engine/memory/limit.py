"""How much memory the models of this process may take together."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ...errors import BadRequestError
from ..gguf.check import read_header
from ..gguf.header import GGUFHeader
from ..options.load import LoadOptions
from . import machine
from .recurrent_states import states_bytes
from .window import cache_bytes

VARIABLE = "LLMROUTE_LLAMACPP_MEMORY"
"""The environment variable that sets it, in bytes or as `8GiB`."""
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?B|)\s*", re.I)


class Limit(NamedTuple):
    """A limit in bytes."""

    size: int | None
    """`None` where the machine does not say how much it has."""
    given: bool
    """Whether the user set it. Then it is never passed; else a single model may be larger."""


def memory_limit() -> Limit:
    """What the environment says, or three quarters of this machine's memory.

    Raises `BadRequestError` for a value that is no amount of memory.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if text:
        return Limit(_parsed(text), given=True)
    total = machine.total_memory()
    return Limit(total and total * 3 // 4, given=False)


def _parsed(text: str) -> int:
    found = _AMOUNT.fullmatch(text)
    if not found:
        raise BadRequestError(
            f"{VARIABLE}={text!r} is no amount of memory. Write bytes, or for example 8GiB.",
            param=VARIABLE,
        )
    return int(float(found[1]) * _UNITS[found[2].upper()])


def needed_bytes(header: GGUFHeader, options: LoadOptions, n_ctx: int) -> int:
    """What a model takes: its files, as if all were read into memory, its cache and its states;
    and a draft model beside it the same.

    Raises what is wrong with the draft model's file.
    """
    beside = [file for file in (options.mmproj, options.lora_path) if file and os.path.isfile(file)]
    files = header.file_size + sum(os.path.getsize(file) for file in beside)
    cache = n_ctx * (cache_bytes(header, options) or 0)
    draft = 0
    draft_options = options.for_draft_model()
    if draft_options and options.draft_model:
        draft = needed_bytes(read_header(options.draft_model), draft_options, n_ctx)
    return files + cache + states_bytes(header, options) + draft


def check_allowed(needed: int, limit: Limit) -> None:
    """Raises `BadRequestError` for a model that alone is larger than the limit the user set."""
    if limit.given and limit.size is not None and needed > limit.size:
        raise BadRequestError(
            f"The model and its cache need {needed / 2**30:.2f} GiB, and {VARIABLE} allows "
            f"{limit.size / 2**30:.2f} GiB. Set a smaller n_ctx in model_kwargs, take a smaller "
            "model, or allow more.",
            param=VARIABLE,
        )
