"""The bytes of every token of a vocabulary, for llguidance."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from ...json_schemas.matching import library
from .vocabulary import Vocabulary

_ROW, _LONG_ROW = 32, 4096
"""Bytes set aside for a token's text; longer ones are read again. Longer still are left out."""


def guidance_tokens(vocabulary: Vocabulary) -> Any:
    """The vocabulary as an `llguidance.LLTokenizer`.

    Takes half a second for 262,144 tokens. A control token is none of a grammar's texts; a grammar
    names it by its number.
    """
    # Without slices, which speed up masks of tokens within strings but take as long again to make:
    # such a mask is needed only where the model's own choice is refused.
    return library().LLTokenizer(_Table(vocabulary), eos_token=_ends(vocabulary), slices=[])


def _ends(vocabulary: Vocabulary) -> list[int]:
    return list(vocabulary.ends) or [vocabulary.size]


class _Table:
    """What `llguidance.LLTokenizer` asks for."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = _texts(vocabulary)
        for token, name in vocabulary.control_names.items():
            self.tokens[token] = name.encode()
        self.special_token_ids = sorted({*vocabulary.control_names, *_ends(vocabulary)})
        self.eos_token_id = _ends(vocabulary)[0]
        if self.eos_token_id == vocabulary.size:  # a vocabulary without an end gets one
            self.tokens.append(b"")

    def __call__(self, text: bytes) -> Sequence[int]:
        raise NotImplementedError  # only where grammars choose tokens themselves; ours do not


def _texts(vocabulary: Vocabulary) -> list[bytes]:
    texts = _read(vocabulary, range(vocabulary.size), _ROW)
    longer = [token for token, text in enumerate(texts) if text is None]
    for token, text in zip(longer, _read(vocabulary, longer, _LONG_ROW), strict=True):
        texts[token] = text
    return [text or b"" for text in texts]


def _read(vocabulary: Vocabulary, tokens: Sequence[int], size: int) -> list[bytes | None]:
    """What some tokens add to a text; `None` for more than `size` bytes."""
    rows = (ctypes.c_char * size * len(tokens))()
    row, strip, special = repeat(size), repeat(0), repeat(False)
    read = vocabulary.lib.llama_token_to_piece
    lengths = list(map(read, repeat(vocabulary.handle), tokens, rows, row, strip, special))
    raw = bytes(rows)
    starts = range(0, len(raw), size)
    return [
        raw[at : at + length] if length >= 0 else None
        for at, length in zip(starts, lengths, strict=True)
    ]
