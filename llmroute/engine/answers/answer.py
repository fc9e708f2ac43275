"""From the tokens of one answer to the pieces its caller gets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...providers.base import LocalLogprob, LocalToken
from ..tools.reader import Parts, Reader
from ..vocabulary.vocabulary import Vocabulary
from .chain import log_probability, logprob_of
from .sampling import Sampling
from .text_cutter import TextCutter


class Answer:
    """The text of one choice while it is written, and when it ends."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        sampling: Sampling,
        *,
        index: int,
        limit: int,
        reader: Reader,
        markers: Mapping[int, bytes],
    ) -> None:
        """`markers` are control tokens that the reader wants to see, and how they are written."""
        self._reader = reader
        self._markers = markers
        self._vocabulary = vocabulary
        self._logprobs = sampling.logprobs
        self._rated = sampling.chooses
        self._cutter = TextCutter(sampling.stop)
        self._index = index
        self.remaining = limit
        """Tokens that may still be generated."""
        self.finished = False
        self._shown = 0
        self._held: deque[tuple[int, int, LocalLogprob]] = deque()
        """Tokens whose text is held back, with the characters where it starts and ends."""
        self._generated = 0
        self._logprob_sum = 0.0

    @property
    def mean_logprob(self) -> float:
        """The log probability per generated token; known if more answers are generated than
        given."""
        return self._logprob_sum / max(1, self._generated)

    def echo(self, text: str, logprobs: Sequence[LocalLogprob]) -> LocalToken:
        """The prompt given back before the answer; the last piece if no answer is wanted."""
        self.finished = self.remaining <= 0
        return LocalToken(self._index, text, logprobs, "length" if self.finished else None)

    def accept(self, token: int, logits: Callable[[], Any]) -> LocalToken | None:
        """The piece that `token` completes, if any. `logits` gives the scores it was chosen from.

        The token that ends an answer counts as generated, as in llama.cpp's server, but has no
        text and no log probability.
        """
        self.remaining -= 1
        if self._rated:
            self._rate(token, logits())
        if self._vocabulary.is_end(token):
            return self._finish(self._cutter.finish(), "stop")
        start = self._cutter.decoded
        raw = self._markers.get(token) or self._vocabulary.bytes_of(token)
        text = self._cutter.feed(raw)
        if self._logprobs is not None:
            found = logprob_of(self._vocabulary, logits(), token, self._logprobs)
            self._held.append((start, self._cutter.decoded, found))
        if self._cutter.stopped:
            return self._cut(text)
        if self.remaining <= 0:
            return self._finish(text + self._cutter.finish(), "length")
        return self._piece(text)

    def _rate(self, token: int, logits: Any) -> None:
        self._generated += 1
        self._logprob_sum += log_probability(logits, token)

    def _piece(self, text: str) -> LocalToken | None:
        self._shown += len(text)
        logprobs = []
        while self._held and self._held[0][1] <= self._shown:
            logprobs.append(self._held.popleft()[2])
        return self._told(self._reader.feed(text), logprobs) if text or logprobs else None

    def _cut(self, text: str) -> LocalToken:
        """The last piece, before a stop string: tokens wholly behind the cut are not told."""
        self.finished = True
        end = self._shown + len(text)
        logprobs = [found for start, _, found in self._held if start < end]
        return self._last(text, logprobs, "stop")

    def _finish(self, text: str, reason: str) -> LocalToken:
        self.finished = True
        if self._cutter.stopped:  # the end of the text completed a stop string
            return self._cut(text)
        return self._last(text, [found for _, _, found in self._held], reason)

    def _told(self, parts: Parts, logprobs: Sequence[LocalLogprob]) -> LocalToken | None:
        """The piece that is certain, if any; the last one if no more is wanted."""
        if self._reader.finished:
            self.finished = True
        reason = self._reader.reason("stop") if self.finished else None
        if not (parts.content or parts.reasoning or parts.calls or logprobs or reason):
            return None
        return LocalToken(
            self._index, parts.content, logprobs, reason, parts.reasoning, parts.calls
        )

    def _last(self, text: str, logprobs: Sequence[LocalLogprob], reason: str) -> LocalToken:
        parts = self._reader.finish(text)
        reason = self._reader.reason(reason)
        return LocalToken(
            self._index, parts.content, logprobs, reason, parts.reasoning, parts.calls
        )
