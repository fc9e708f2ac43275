"""What lets `except openai.RateLimitError` catch our `RateLimitError`, without needing openai.

`except` looks at the real bases of an error's class and at nothing else. So where a program has
imported openai, its classes become bases of ours of the same names, when an error is made. Our
classes stay the same objects: `isinstance`, `type(error)`, pickles and names do not change.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that do not hold for a body that is unpacked."""


class OpenAIBases:
    """Classes of ours that openai has by the same names."""

    def __init__(self, *classes: type[Exception]) -> None:
        """Of two classes, the one that inherits from the other comes later."""
        self.adopted = False
        """Whether openai's classes are bases of ours by now."""
        self._own = {cls: cls.__bases__ for cls in classes}

    def adopt(self) -> None:
        """Makes openai's classes bases of ours, if openai is loaded.

        Two threads may do so at once: both set the same bases.
        """
        loaded = sys.modules.get("openai")
        found = [getattr(loaded, cls.__name__, None) for cls in self._own]
        theirs = [cls for cls in found if isinstance(cls, type) and issubclass(cls, Exception)]
        if len(theirs) < len(self._own):  # not yet loaded as a whole, or before version 1
            return
        self.adopted = True
        try:
            for (ours, bases), base in zip(self._own.items(), theirs, strict=True):
                type.__setattr__(ours, "__bases__", (*bases, base))
        except TypeError:  # a caller's subclass that cannot have such a base; the error goes first
            self._give_back()

    def _give_back(self) -> None:
        for ours, bases in reversed(self._own.items()):
            type.__setattr__(ours, "__bases__", bases)


def request_of(url: str | None) -> httpx.Request:
    """The request that went to `url`, without its headers and body, which may hold secrets.

    Without its URL too, where that is none: an error about a URL may have such a one.
    """
    import httpx  # loaded only for who asks: it takes 50 ms, and most calls do without it

    try:
        return httpx.Request("POST", url or "")
    except httpx.InvalidURL:
        return httpx.Request("POST", "")


def response_of(
    status: int | None, headers: Mapping[str, str], body: object, url: str | None
) -> httpx.Response | None:
    """An answer as httpx has it; `None` without a status, as nothing was answered then."""
    if status is None:
        return None
    import httpx  # as in `request_of`

    return httpx.Response(
        status,
        headers=[(_bytes(name), _bytes(headers[name])) for name in headers.keys() - _OF_THE_WIRE],
        content=b"" if body is None else _bytes(body if isinstance(body, str) else _json(body)),
        request=request_of(url),
    )


def _json(body: object) -> str:
    return json.dumps(body, ensure_ascii=False, default=str)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
