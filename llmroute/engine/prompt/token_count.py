"""Counting the tokens of a prompt as the engine would, without loading the weights."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ...providers.base import LocalCall
from .. import extra as extra  # first of the engine's modules
from ..gguf.check import read_header
from ..gguf.files import find_model, registered_options
from ..gguf.overrides import Overrides
from ..options.load import LoadOptions
from ..vocabulary.standalone import VocabularyOnly
from .prompts import prompts_of

_lock = threading.Lock()
"""Guards the vocabularies and everything done with them."""
_vocabularies: dict[Path, tuple[tuple[int, int, Overrides], VocabularyOnly]] = {}
"""By file, with its time of change, its size and what is overridden of it."""


def count_tokens(call: LocalCall) -> int:
    """The `prompt_tokens` that `call` would report.

    Loads the vocabulary when it is first needed, which may take a second, and keeps it until
    `forget`. Raises as the call itself would for a bad file or prompt.
    """
    path = find_model(call.path).resolve()
    load = LoadOptions.parse({**registered_options(call.path), **call.load})
    header = read_header(path, load.kv_overrides)
    with _lock:
        vocabulary = _loaded(path, load.kv_overrides).vocabulary
        return sum(len(prompt.tokens) for prompt in prompts_of(call, vocabulary, header))


def forget(path: Path) -> None:
    """Give back the memory of a file's vocabulary."""
    with _lock:
        _, vocabulary = _vocabularies.pop(path, (None, None))
        if vocabulary is not None:
            vocabulary.free()


def _loaded(path: Path, overrides: Overrides) -> VocabularyOnly:
    stat = path.stat()
    version = (stat.st_mtime_ns, stat.st_size, overrides)
    known, vocabulary = _vocabularies.get(path, (None, None))
    if vocabulary is None or known != version:
        if vocabulary is not None:
            vocabulary.free()
            del _vocabularies[path]
        vocabulary = VocabularyOnly(path, overrides)
        _vocabularies[path] = (version, vocabulary)
    return vocabulary


def _in_forked_child() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
