"""Whether two models mean the same by a token."""

from __future__ import annotations

from typing import Any

from .vocabulary import Vocabulary

_PADDING = 128
"""Tokens one vocabulary may have more than the other: sizes are rounded up differently."""
_CONTROL = 5
"""The first tokens are named differently in files of the same family. llama.cpp's own limits."""


def difference(lib: Any, one: Vocabulary, other: Vocabulary) -> str | None:
    """In what two vocabularies differ, in words; `None` if one model can draft for the other."""
    kinds = [lib.llama_vocab_type(vocabulary.handle) for vocabulary in (one, other)]
    if kinds[0] != kinds[1]:
        return f"their tokenizers are of types {kinds[0]} and {kinds[1]}"
    for name in ("bos", "eos"):
        adds, token = (getattr(lib, f"llama_vocab_{kind}") for kind in (f"get_add_{name}", name))
        added = [token(v.handle) if adds(v.handle) else None for v in (one, other)]
        if added[0] != added[1]:
            return f"they add {added[0]} and {added[1]} to a text as its {name} token"
    if abs(one.size - other.size) > _PADDING:
        return f"they have {one.size:,} and {other.size:,} tokens"
    text = lib.llama_vocab_get_text
    for token in range(_CONTROL, min(one.size, other.size)):
        texts = text(one.handle, token), text(other.handle, token)
        if texts[0] != texts[1]:
            written = [(raw or b"").decode("utf-8", "replace") for raw in texts]
            return f"token {token} is {written[0]!r} and {written[1]!r}"
    return None
