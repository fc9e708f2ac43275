"""How likely a model finds a prompt: the log probability of each of its tokens after the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...providers.base import LocalLogprob
from ..vocabulary.vocabulary import Vocabulary
from .chain import logprob_of


class PromptLogprobs:
    """The log probabilities of one prompt's tokens, found step by step as it is read."""

    def __init__(self, vocabulary: Vocabulary, tokens: Sequence[int], text: str, top: int) -> None:
        """`top` is how many of the likeliest tokens to tell at each place."""
        self._vocabulary = vocabulary
        self._tokens = tokens
        self._pieces = pieces_of(vocabulary, tokens, text)
        self._top = top
        # Nothing comes before the first token, so nothing tells how likely it was.
        self.found = [LocalLogprob(_shown(self._pieces[0]), self._pieces[0], None)]

    @property
    def complete(self) -> bool:
        """Whether all are found."""
        return len(self.found) == len(self._tokens)

    def take(self, start: int, count: int, logits: Callable[[int], Any]) -> None:
        """Find those that follow `count` tokens just computed, the first of which is the one at
        `start`; `logits(i)` are the scores after the one at `i`."""
        for place in range(len(self.found), min(start + count + 1, len(self._tokens))):
            scores = logits(place - 1)
            found = logprob_of(self._vocabulary, scores, self._tokens[place], self._top)
            piece = self._pieces[place]
            self.found.append(replace(found, token=_shown(piece), raw=piece))


def pieces_of(vocabulary: Vocabulary, tokens: Sequence[int], text: str) -> list[bytes]:
    """The part of `text` that each token was made from; nothing for one that was put before it.

    If the tokens are not those of the text letter by letter, what each of them says.
    """
    raw, pieces, at = text.encode(), [], 0
    for token in tokens:
        spelled = _spellings(vocabulary, token)
        piece = next((found for found in spelled if raw.startswith(found, at)), b"")
        pieces.append(piece)
        at += len(piece)
    return pieces if at == len(raw) else [vocabulary.bytes_of(token) for token in tokens]


def _spellings(vocabulary: Vocabulary, token: int) -> Iterator[bytes]:
    """What a token may have been made from. Tokenizers may put a space before a text."""
    said = vocabulary.bytes_of(token)
    if said:
        yield said
        yield said.removeprefix(b" ")
    else:
        yield vocabulary.name_of(token).encode()


def _shown(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")
