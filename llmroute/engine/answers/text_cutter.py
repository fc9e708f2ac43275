"""Bytes of tokens to text that can be shown: whole characters, cut at stop strings."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextCutter:
    """Decodes an answer as it comes and ends it at the first stop string.

    The pieces put together are the same as the whole answer decoded at once with
    `bytes.decode("utf-8", "replace")` and cut. Text that may be the beginning of a stop string is
    held back until it is known.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max(map(len, self._stops), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """Whether a stop string was found. Nothing more comes then."""
        self.decoded = 0
        """Characters decoded so far, shown or held back."""

    def feed(self, raw: bytes) -> str:
        """The text that can be shown after `raw`; may be empty."""
        return self._release(self._decoder.decode(raw))

    def finish(self) -> str:
        """What was held back, at the end of an answer that met no stop string."""
        text = self._release(self._decoder.decode(b"", True)) + self._held
        self._held = ""
        return text

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        self.decoded += len(text)
        if not self._stops:
            return text
        text = self._held + text
        found = [at for at in map(text.find, self._stops) if at >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        kept = self._beginning_of_stop(text)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def _beginning_of_stop(self, text: str) -> int:
        """Length of the longest end of `text` that some stop string begins with."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
