"""Loads only the vocabulary of a model: to count tokens, and to try what goes with it."""

from __future__ import annotations

from pathlib import Path

from .. import native
from ..gguf.header import refused
from ..gguf.overrides import Overrides, native_overrides
from .vocabulary import Vocabulary


class VocabularyOnly:
    """A model of which only the vocabulary is loaded. Raises `ModelFileError`."""

    def __init__(self, path: Path, overrides: Overrides = ()) -> None:
        self._lib = native.library()
        params = self._lib.llama_model_default_params()
        params.vocab_only = True
        if overrides:
            params.kv_overrides = native_overrides(self._lib, overrides)
        with native.logged_errors() as errors:
            self.native = self._lib.llama_model_load_from_file(bytes(path), params)
        if not self.native:
            words = native.last_words(errors)
            raise refused(path, f"cannot be loaded for its vocabulary by llama.cpp{words}")
        self.vocabulary = Vocabulary(self._lib, self.native)
        if not self.vocabulary.usable:
            self.free()
            raise refused(path, "has no tokenizer")

    def free(self) -> None:
        """Give the memory back. The vocabulary may not be used afterwards."""
        self._lib.llama_model_free(self.native)
        self.native = None
