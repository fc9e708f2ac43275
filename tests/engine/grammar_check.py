"""llama.cpp's own grammar engine on a tiny vocabulary of bytes, to ask what a grammar allows."""

from __future__ import annotations

import ctypes
import functools
import random
import tempfile
from pathlib import Path
from typing import Any

from llmroute.engine import native
from llmroute.testing.tiny_gguf import write_random

_FIRST_BYTE, _END = 4, 3  # token ids of the tiny models: control tokens, then bytes
_TOKENS = [_END, *range(_FIRST_BYTE, _FIRST_BYTE + 256)]


@functools.cache
def _vocabulary() -> tuple[Any, Any]:
    lib = native.library()
    params = lib.llama_model_default_params()
    params.vocab_only = True
    with tempfile.TemporaryDirectory() as folder:
        path = write_random(Path(folder) / "tiny.gguf")
        model = lib.llama_model_load_from_file(bytes(path), params)
    return lib, lib.llama_model_get_vocab(model)


class Grammar:
    """One grammar, standing at some place in a text."""

    def __init__(self, text: str) -> None:
        self._lib, vocabulary = _vocabulary()
        self._handle = self._lib.llama_sampler_init_grammar(vocabulary, text.encode(), b"root")
        assert self._handle, "llama.cpp rejects the grammar"

    def allowed(self, tokens: list[int] = _TOKENS) -> list[int]:
        """Which of the tokens may come next."""
        data = (self._lib.llama_token_data * len(tokens))()
        for entry, token in zip(data, tokens, strict=True):
            entry.id, entry.logit = token, 1.0
        array = self._lib.llama_token_data_array(data, len(tokens), -1, False)
        self._lib.llama_sampler_apply(self._handle, ctypes.byref(array))
        return [entry.id for entry in data if entry.logit > -1e30]

    def accept(self, token: int) -> None:
        self._lib.llama_sampler_accept(self._handle, token)

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._lib.llama_sampler_free(self._handle)


def allows(grammar: str, text: str) -> bool:
    """Whether a whole text is one the grammar allows."""
    state = Grammar(grammar)
    for byte in text.encode():
        token = _FIRST_BYTE + byte
        if not state.allowed([token]):
            return False
        state.accept(token)
    return bool(state.allowed([_END]))


# Bytes that no UTF-8 text has, and what may not follow the first byte of a longer character;
# llama.cpp lets them through.
_INVALID = {0xC0, 0xC1, *range(0xF5, 0x100)}
_TOO_LOW = {0xE0: 0xA0, 0xF0: 0x90}
_CLOSING = [_FIRST_BYTE + ord(character) for character in '"]}']


def _is_text(token: int, lowest: int) -> bool:
    byte = token - _FIRST_BYTE
    return token == _END or (byte not in _INVALID and byte >= lowest)


def random_text(grammar: str, chance: random.Random, limit: int = 3000) -> str | None:
    """A text by the grammar, at random; `None` if it does not come to an end."""
    state, written = Grammar(grammar), bytearray()
    while len(written) < limit:
        lowest = _TOO_LOW.get(written[-1], 0) if written else 0
        allowed = [token for token in state.allowed() if _is_text(token, lowest)]
        assert allowed, f"dead end after {written!r}"
        closing = [token for token in _CLOSING if token in allowed]
        if allowed[0] == _END and (len(allowed) == 1 or chance.random() < 0.3):
            return written.decode()
        others = [token for token in allowed if token != _END]
        hurry = closing and chance.random() < 0.1 + len(written) / 500
        token = chance.choice(closing if hurry else others)
        state.accept(token)
        written.append(token - _FIRST_BYTE)
    return None
