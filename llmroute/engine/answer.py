"""From the tokens of one answer to the pieces its caller gets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..providers.base import LocalLogprob, LocalToken
from .chain import logprob_of
from .sampling import Sampling
from .text import TextCutter
from .vocabulary import Vocabulary


class Answer:
    """The text of one choice while it is written, and when it ends."""

    def __init__(
        self, vocabulary: Vocabulary, sampling: Sampling, *, index: int, limit: int
    ) -> None:
        self._vocabulary = vocabulary
        self._logprobs = sampling.logprobs
        self._cutter = TextCutter(sampling.stop)
        self._index = index
        self.remaining = limit
        """Tokens that may still be generated."""
        self.finished = False
        self._shown = 0
        self._held: deque[tuple[int, int, LocalLogprob]] = deque()
        """Tokens whose text is held back, with the characters where it starts and ends."""

    def accept(self, token: int, logits: Callable[[], Any]) -> LocalToken | None:
        """The piece that `token` completes, if any. `logits` gives the scores it was chosen from.

        The token that ends an answer counts as generated, as in llama.cpp's server, but has no
        text and no log probability.
        """
        self.remaining -= 1
        if self._vocabulary.is_end(token):
            return self._finish(self._cutter.finish(), "stop")
        start = self._cutter.decoded
        text = self._cutter.feed(self._vocabulary.bytes_of(token))
        if self._logprobs is not None:
            found = logprob_of(self._vocabulary, logits(), token, self._logprobs)
            self._held.append((start, self._cutter.decoded, found))
        if self._cutter.stopped:
            return self._cut(text)
        if self.remaining <= 0:
            return self._finish(text + self._cutter.finish(), "length")
        return self._piece(text)

    def _piece(self, text: str) -> LocalToken | None:
        self._shown += len(text)
        logprobs = []
        while self._held and self._held[0][1] <= self._shown:
            logprobs.append(self._held.popleft()[2])
        return LocalToken(self._index, text, logprobs) if text or logprobs else None

    def _cut(self, text: str) -> LocalToken:
        """The last piece, before a stop string: tokens wholly behind the cut are not told."""
        self.finished = True
        end = self._shown + len(text)
        logprobs = [found for start, _, found in self._held if start < end]
        return LocalToken(self._index, text, logprobs, "stop")

    def _finish(self, text: str, reason: str) -> LocalToken:
        self.finished = True
        if self._cutter.stopped:  # the end of the text completed a stop string
            return self._cut(text)
        return LocalToken(self._index, text, [found for _, _, found in self._held], reason)
