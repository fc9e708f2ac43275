"""An answer taken apart, in whatever pieces it comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmroute.engine.tools.parser import ToolCallParser
from llmroute.engine.tools.pieces import Thought
from llmroute.engine.tools.reasoning import Tags
from llmroute.engine.tools.syntax import Family
from llmroute.providers.base import LocalToolCall

CITY = {"type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "integer"}}}
SCHEMAS: dict[str, Any] = {"get_weather": CITY, "now": {}, "a.b-c": {}}


@dataclass
class Read:
    """What came of a text."""

    content: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    complete: bool = True
    thinking: str = ""


def read(
    family: Family,
    pieces: list[str],
    *,
    schemas: Mapping[str, Any] = SCHEMAS,
    parallel: bool = True,
    tags: Tags | None = None,
    open: bool = False,
) -> Read:
    """What comes of an answer in these pieces."""
    parser = ToolCallParser(family.syntax, schemas, parallel=parallel, tags=tags, open=open)
    result = Read()
    for piece in [part for text in pieces for part in parser.feed(text)] + parser.finish():
        if isinstance(piece, Thought):
            assert piece.text
            result.thinking += piece.text
        elif not isinstance(piece, LocalToolCall):
            assert piece
            result.content += piece
        elif piece.name is not None:
            assert piece.index == len(result.calls)
            result.calls.append((piece.name, piece.arguments))
        else:
            assert piece.index == len(result.calls) - 1
            name, arguments = result.calls[-1]
            result.calls[-1] = (name, arguments + piece.arguments)
    result.complete = parser.complete
    return result


def read_every_way(family: Family, text: str, **options: Any) -> Read:
    """Whole, letter by letter, and cut at every border: always the same."""
    whole = read(family, [text], **options)
    assert read(family, list(text), **options) == whole
    for cut in range(len(text)):
        assert read(family, [text[:cut], text[cut:]], **options) == whole
    return whole
