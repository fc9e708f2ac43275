"""A content block of Bedrock that comes in pieces, put together as a whole answer has it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping

from pydantic_core import from_json

from ..types.request import JSON


class GrowingBlock:
    """One block of a stream; its start says what it is, unless it is text or reasoning."""

    def __init__(self, start: Mapping[str, JSON]) -> None:
        self._start = start
        self._text: list[str] = []
        self._input: list[str] = []
        self._thought: list[str] = []
        self._signature: list[str] = []
        self._redacted: list[str] = []
        self._citations: list[JSON] = []
        self._results: list[JSON] = []
        self._other: dict[str, JSON] = {}

    @property
    def has_input(self) -> bool:
        """Whether a piece of a tool's input has come."""
        return any(self._input)

    def add(self, delta: Mapping[str, JSON]) -> None:
        """Takes the next piece; of a kind that is not known, the latest stands."""
        match delta:
            case {"text": str(text)}:
                self._text.append(text)
            case {"toolUse": {"input": str(piece)}}:
                self._input.append(piece)
            case {"reasoningContent": {"text": str(text)}}:
                self._thought.append(text)
            case {"reasoningContent": {"signature": str(signature)}}:
                self._signature.append(signature)
            case {"reasoningContent": {"redactedContent": str(data)}}:
                self._redacted.append(data)
            case {"citation": citation}:
                self._citations.append(citation)
            case {"toolResult": list(results)}:
                self._results += results
            case _:
                self._other.update(delta)

    def whole(self) -> dict[str, JSON]:
        """The block as a whole answer has it."""
        match self._start:
            case {"toolUse": Mapping() as use}:
                return {"toolUse": {**use, "input": _input("".join(self._input))}}
            case {"toolResult": Mapping() as result}:
                return {"toolResult": {**result, "content": self._results}}
        if self._start or self._other:
            return _merged(self._start, self._other)
        if self._redacted:
            return {"reasoningContent": {"redactedContent": _joined(self._redacted)}}
        if self._thought or self._signature:
            thought: dict[str, JSON] = {"text": "".join(self._thought)}
            if self._signature:
                thought["signature"] = "".join(self._signature)
            return {"reasoningContent": {"reasoningText": thought}}
        text = {"text": "".join(self._text)}
        if self._citations:
            return {"citationsContent": {"content": [text], "citations": self._citations}}
        return text


def _input(text: str) -> JSON:
    """A tool's input; one that the limit of tokens cut stays as it was written."""
    try:
        return from_json(text) if text else {}
    except ValueError:
        return text


def _joined(pieces: list[str]) -> str:
    """Base64 of all bytes; each piece is base64 of its own."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return b64encode(b"".join(map(b64decode, pieces))).decode()
    except ValueError:
        return "".join(pieces)


def _merged(start: Mapping[str, JSON], more: Mapping[str, JSON]) -> dict[str, JSON]:
    block = dict(start)
    for key, value in more.items():
        old = block.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = {**old, **value}
        block[key] = value
    return block
