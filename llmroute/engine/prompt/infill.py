"""Prompts that ask for what stands between two texts: filling in the middle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UnsupportedOperationError
from ..checks import bad
from ..vocabulary.vocabulary import Vocabulary

_LETTER = "☺"
"""Any that no tokenizer merges with what follows."""


def suffix_of(params: Mapping[str, Any]) -> str:
    """The text after the answer; `""` for none. Raises `BadRequestError` for one that is none."""
    suffix = params.get("suffix")
    if suffix is not None and not isinstance(suffix, str):
        raise bad("suffix", f"must be a text, not {suffix!r:.200}")
    return suffix or ""


def infill_tokens(
    vocabulary: Vocabulary, prefix: list[int], suffix: str, *, suffix_first: bool | None
) -> list[int]:
    """The tokens of a prompt that asks for what stands between `prefix` and `suffix`.

    `suffix_first` tells whether the suffix goes before the prefix; `None` says so of models
    without a token for the middle (Mistral's), which know no other order. Raises
    `UnsupportedOperationError` for a model without tokens for it.
    """
    marks = vocabulary.infill
    if marks is None:
        raise UnsupportedOperationError(
            "This model has no tokens for filling in the middle, so it does not take suffix. Leave "
            "it out, or use a model trained for that, as many of those for code are.",
            param="suffix",
        )
    before = [marks.prefix, *prefix]
    after = [marks.suffix, *_going_on(vocabulary, suffix)]
    if suffix_first is None:
        suffix_first = not marks.middle
    texts = after + before if suffix_first else before + after
    return [*vocabulary.around_texts.begin, *texts, *marks.middle]


def _going_on(vocabulary: Vocabulary, text: str) -> list[int]:
    """The tokens of a text that goes on from another.

    SentencePiece puts a space before every text it is given, and a suffix with one would be another
    text; Code Llama's and Mistral's own code get around it like this, too.
    """
    letter = vocabulary.tokenize(_LETTER, add_special=False, parse_special=False)
    both = vocabulary.tokenize(_LETTER + text, add_special=False, parse_special=False)
    if both[: len(letter)] == letter:
        return both[len(letter) :]
    return vocabulary.tokenize(text, add_special=False, parse_special=False)
