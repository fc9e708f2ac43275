"""Keeps control tokens out of the texts that callers send.

The name of a control token in such a text (`<|im_end|>`) stays text; the same name written by the
chat template is the token. That holds, too, for a name that a template puts together from pieces
of callers' texts, as one does that changes their case or cuts something out of them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from ..vocabulary.control_tokens import ControlTokens, Segment
from ..vocabulary.names import NameFinder, replaced

JSON: TypeAlias = Any
Span: TypeAlias = tuple[int, int]

_MOST_NAMES = 64
"""Different control tokens in one prompt whose pieces are looked for; no template uses as many."""
_SAME_CASE = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ\u212a\u017f\u0130\u0131", "abcdefghijklmnopqrstuvwxyzksii"
)
"""Letters that become the same when a template changes the case of a text."""


def quoted(
    render: Callable[..., str], variables: Mapping[str, JSON], control: ControlTokens
) -> tuple[Segment, ...]:
    """What `render` makes of callers' `variables`, as segments for the tokenizer."""
    if not control.names:
        return (Segment(render(**variables), parse_special=True),)
    whole = _Marks(control.names.spans)
    text, owned = whole.reveal(render(**whole.hide(variables)))
    written = {text[start:end] for start, end in _apart(control.names.spans(text), owned)}
    if 0 < len(written) <= _MOST_NAMES:
        pieces = _Marks(_Pieces.of(frozenset(written), control.names).spans)
        hidden = pieces.hide(variables)
        if pieces.count > whole.count:  # some text has a piece of a name
            text, owned = pieces.reveal(render(**hidden))
    return tuple(_segments(text, _touched(control.names.spans(text), owned)))


class _Marks:
    """Takes parts out of callers' texts for marks that no template changes and nobody can guess,
    and finds in the prompt where they went. What a template drops takes its marks along."""

    def __init__(self, spans: Callable[[str], Iterable[Span]]) -> None:
        self._spans = spans
        self._parts: list[str] = []
        self._nonce = str(secrets.randbelow(10**18))

    @property
    def count(self) -> int:
        """How many parts have been taken out."""
        return len(self._parts)

    def hide(self, value: Any) -> Any:
        """A copy of `value` with marks, in every text at any depth."""
        if isinstance(value, str):
            return replaced(value, self._spans(value), self._mark)
        if isinstance(value, Mapping):
            return {self.hide(key): self.hide(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(item) for item in value]
        return value

    def _mark(self, part: str) -> str:
        self._parts.append(part)
        return f"\ue000{self._nonce}-{len(self._parts) - 1}\ue001"

    def reveal(self, rendered: str) -> tuple[str, list[Span]]:
        """The rendered prompt with its parts put back, and where they are."""
        # A template may write its JSON with every letter beyond ASCII escaped.
        mark = rf"(?:\ue000|\\ue000){self._nonce}-([0-9]+)(?:\ue001|\\ue001)"
        text, owned, length = [], [], 0
        for number, part in enumerate(re.split(mark, rendered, flags=re.IGNORECASE)):
            if number % 2:
                part = self._parts[int(part)]
                owned.append((length, length + len(part)))
            text.append(part)
            length += len(part)
        return "".join(text), owned


class _Pieces:
    """Finds pieces of names: of whatever two pieces a name is put together, one is at least half
    of it, at its beginning or at its end."""

    def __init__(self, names: Iterable[str], whole: NameFinder) -> None:
        self._whole = whole
        same_case = [name.translate(_SAME_CASE) for name in names]
        self._beginnings = NameFinder(p for name in same_case for p in _beginnings(name))
        self._endings = NameFinder(p for name in same_case for p in _beginnings(name[::-1]))

    @classmethod
    def of(cls, names: frozenset[str], whole: NameFinder) -> _Pieces:
        """A finder for pieces of `names` and for whole names."""
        return _pieces(names, whole)

    def spans(self, text: str) -> list[Span]:
        """Where such pieces and whole names are in a text, in their order."""
        same, length = text.translate(_SAME_CASE), len(text)
        backwards = self._endings.spans(same[::-1])
        found = [
            *self._whole.spans(text),
            *self._beginnings.spans(same),
            *((length - end, length - start) for start, end in backwards),
        ]
        return _joined(sorted(found))


@lru_cache(maxsize=64)
def _pieces(names: frozenset[str], whole: NameFinder) -> _Pieces:
    return _Pieces(names, whole)


def _beginnings(name: str) -> Iterator[str]:
    """The beginnings that are at least half of a name; what reads as a word is none, as roles are
    words that a template puts into a name itself."""
    for length in range(max(2, -(-len(name) // 2)), len(name) + 1):
        if not re.fullmatch(r"\w*", name[:length]):
            yield name[:length]


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in their order, with those that overlap made one."""
    result: list[Span] = []
    for start, end in spans:
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _touched(names: Iterable[Span], owned: list[Span]) -> Iterator[Span]:
    """The names of which a part is the caller's."""
    place = 0
    for start, end in names:
        while place < len(owned) and owned[place][1] <= start:
            place += 1
        if place < len(owned) and owned[place][0] < end:
            yield start, end


def _apart(names: Iterable[Span], owned: list[Span]) -> Iterator[Span]:
    """The names that are the template's alone."""
    every = list(names)
    touched = set(_touched(every, owned))
    return (span for span in every if span not in touched)


def _segments(text: str, plain: Iterable[Span]) -> Iterator[Segment]:
    """The prompt, cut where a name is plain text; one segment where none is."""
    position = 0
    for start, end in plain:
        if start > position:
            yield Segment(text[position:start], parse_special=True)
        yield Segment(text[start:end], parse_special=False)
        position = end
    if position < len(text) or not text:
        yield Segment(text[position:], parse_special=True)
