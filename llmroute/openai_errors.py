"""What lets `except openai.RateLimitError` catch our `RateLimitError`, without needing openai.

`except` looks at the real bases of an error's class and at nothing else. So where a program has
imported openai, its classes become bases of ours of the same names, when an error is made. Our
classes stay the same objects: `isinstance`, `type(error)`, pickles and names do not change.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
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
    """The request that went to `url`, without its headers and body, which may hold secrets."""
    import httpx  # loaded only for who asks: it takes 50 ms, and most calls do without it

    return httpx.Request("POST", url or "")


def response_of(
    status: int | None, headers: Mapping[str, str], body: object, url: str | None
) -> httpx.Response | None:
    """An answer as httpx has it; `None` without a status, as nothing was answered then."""
    if status is None:
        return None
    import httpx  # as in `request_of`

    return httpx.Response(
        status,
        headers={name: value for name, value in headers.items() if name not in _OF_THE_WIRE},
        content=_as_bytes(body),
        request=request_of(url),
    )


def _as_bytes(body: object) -> bytes:
    if body is None:
        return b""
    if isinstance(body, Mapping) or (isinstance(body, Sequence) and not isinstance(body, str)):
        return json.dumps(body, ensure_ascii=False).encode()
    return str(body).encode()
