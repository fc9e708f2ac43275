"""Counting the tokens of a prompt as the engine would, without loading the weights."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...providers.base import LocalCall
from ...runtime import shared
from .. import extra as extra  # first of the engine's modules
from ..gguf.check import read_header
from ..gguf.files import find_model, registered_options
from ..gguf.overrides import Overrides
from ..options.load import LoadOptions
from ..vocabulary.standalone import VocabularyOnly
from ..vocabulary.vocabulary import Vocabulary
from .prompts import prompts_of
from .rendered import rendered_chat


class Vocabularies:
    """The vocabularies of models whose tokens were counted, without their weights."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[Path, tuple[tuple[int, int, Overrides], VocabularyOnly]] = {}

    def renew_lock(self) -> None:
        """In a forked child: a thread of the parent may have held the lock, and is not there."""
        self._lock = threading.Lock()

    @contextmanager
    def use(self, path: Path, overrides: Overrides) -> Iterator[Vocabulary]:
        """A file's vocabulary, for one thread at a time. Loads it when it is first needed."""
        with self._lock:
            yield self._find(path, overrides).vocabulary

    def forget(self, path: Path) -> None:
        """Give back the memory of a file's vocabulary."""
        with self._lock:
            _, vocabulary = self._loaded.pop(path, (None, None))
            if vocabulary is not None:
                vocabulary.free()

    def _find(self, path: Path, overrides: Overrides) -> VocabularyOnly:
        stat = path.stat()
        version = (stat.st_mtime_ns, stat.st_size, overrides)
        known, vocabulary = self._loaded.get(path, (None, None))
        if vocabulary is None or known != version:
            if vocabulary is not None:
                vocabulary.free()
                del self._loaded[path]
            vocabulary = VocabularyOnly(path, overrides)
            self._loaded[path] = (version, vocabulary)
        return vocabulary


def count_tokens(call: LocalCall) -> int:
    """The `prompt_tokens` that `call` would report.

    Loads the vocabulary when it is first needed, which may take a second, and keeps it until the
    model is unloaded. Raises as the call itself would for a bad file or prompt.
    """
    path = find_model(call.path).resolve()
    load = LoadOptions.parse({**registered_options(call.path), **call.load})
    header = read_header(path, load.kv_overrides)
    chat = None
    if call.operation == "chat":  # a template may take its time: others need not wait for it
        with shared(Vocabularies).use(path, load.kv_overrides) as vocabulary:
            control = vocabulary.control
        chat = rendered_chat(call, header, control)
    with shared(Vocabularies).use(path, load.kv_overrides) as vocabulary:
        prompts = prompts_of(call, vocabulary, header, rendered=chat)
        return sum(len(prompt.tokens) for prompt in prompts)


def _in_forked_child() -> None:
    shared(Vocabularies).renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
