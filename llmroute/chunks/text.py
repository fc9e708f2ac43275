"""Chunks of a text completion back into one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..types.lenient import validate_leniently
from ..types.text import TextChoice, TextCompletion, TextLogprobs
from .assembler import ChoiceAssembler, ChoiceState
from .fields import merge


@dataclass(slots=True)
class _Choice(ChoiceState):
    text: list[str] = field(default_factory=list)


class TextAssembler(ChoiceAssembler[_Choice]):
    """Collects the chunks of a text completion; see `Assembler`."""

    def __init__(self, expected: int = 1, shows_usage: bool = False) -> None:
        super().__init__(expected, shows_usage)
        self._first: TextCompletion | None = None
        self._rest: dict[str, Any] = {}

    def add(self, chunk: TextCompletion) -> bool:
        """See `Assembler.add`."""
        first = self._first
        if first is None or (chunk.choices and not first.choices):
            self._first = chunk  # a chunk without choices may come before, with a head of its own
        self.says_something = False
        for choice in chunk.choices:
            self._add_choice(choice)
        usage = chunk.usage
        self._add_usage(usage, any(choice.text for choice in chunk.choices))
        if chunk.system_fingerprint is not None:
            self._rest["system_fingerprint"] = chunk.system_fingerprint
        if chunk.__pydantic_extra__:
            merge(self._rest, chunk.__pydantic_extra__)
        self.spoke = self.spoke or self.says_something
        return bool(chunk.choices) or self._shows_usage or usage is None

    def completion(self) -> TextCompletion:
        """See `Assembler.completion`."""
        first = self._first
        payload = {
            **self._rest,
            "id": first.id if first else "",
            "created": first.created if first else 0,
            "model": first.model if first else "",
            "choices": [_choice(index, state) for index, state in sorted(self._choices.items())],
        }
        if self._usage is not None:
            payload["usage"] = self._usage
        return validate_leniently(TextCompletion, payload)

    def _add_choice(self, piece: TextChoice) -> None:
        choice = self._choices.get(piece.index)
        is_new = choice is None
        if choice is None:
            choice = self._begin(piece.index, _Choice())
        choice.text.append(piece.text)
        self._account(piece, choice, bool(piece.text), is_new)


def _choice(index: int, choice: _Choice) -> dict[str, Any]:
    return {
        **choice.extra,
        "index": index,
        "text": "".join(choice.text),
        "finish_reason": choice.finish_reason,
        "logprobs": _logprobs(choice.logprobs),
    }


def _logprobs(pieces: list[TextLogprobs]) -> dict[str, Any] | None:
    if not pieces:
        return None
    names = ("text_offset", "token_logprobs", "tokens", "top_logprobs")
    joined = {name: [x for piece in pieces for x in getattr(piece, name) or ()] for name in names}
    return {name: values or None for name, values in joined.items()}
