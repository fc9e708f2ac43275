"""What a grammar makes a model write is read back as the call that it is, in every family."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

pytest.importorskip("llguidance")
from grammar_check import allows, random_text
from jsonschema import Draft202012Validator

from llmroute.engine.grammar.compiling import check
from llmroute.engine.grammar.lark import Lark
from llmroute.engine.tools.families import FAMILIES, GENERIC
from llmroute.engine.tools.forced import calls_grammar, text_grammar, with_thinking
from llmroute.engine.tools.parser import ToolCallParser
from llmroute.engine.tools.reader import Reader
from llmroute.engine.tools.reasoning import Tags
from llmroute.engine.tools.syntax import Family
from llmroute.json_schemas.refusal import GrammarError

pytestmark = pytest.mark.native

SHIP = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Paris", "New York"]},
        "n": {"type": "integer", "minimum": 0, "maximum": 99},
        "a-b": {"type": ["boolean", "null"]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
        "size": {"$ref": "#/$defs/Size"},
    },
    "required": ["city", "n"],
    "$defs": {
        "Size": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    },
}
SCHEMAS: dict[str, Any] = {"ship": SHIP, "now": {"type": "object", "properties": {}}}
ALL = [*FAMILIES, GENERIC]


def _grammar(family: Family, schemas: dict[str, Any], *, parallel: bool = True) -> str:
    lark = Lark()
    return lark.finish(calls_grammar(lark, family.syntax, schemas, parallel=parallel))


def _read(family: Family, text: str) -> tuple[str, list[tuple[str, Any]]]:
    reader = Reader(ToolCallParser(family.syntax, SCHEMAS, parallel=True, tags=None, open=False))
    parts = [reader.feed(text), reader.finish("")]
    calls: list[list[str]] = []
    for call in (call for part in parts for call in part.calls):
        if call.name is not None:
            calls.append([call.name, call.arguments])
        else:
            calls[-1][1] += call.arguments
    content = "".join(part.content for part in parts)
    return content.strip(), [(name, json.loads(text or "{}")) for name, text in calls]


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_forced_calls_are_read_as_calls(family: Family) -> None:
    grammar = _grammar(family, SCHEMAS)
    check(grammar)
    texts = [random_text(grammar, random.Random(seed)) for seed in range(12)]
    finished = [text for text in texts if text is not None]
    assert finished
    for text in finished:
        content, calls = _read(family, text)
        assert calls, text
        assert not content, text
        for name, arguments in calls:
            Draft202012Validator(SCHEMAS[name]).validate(arguments)


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_what_a_family_writes_is_allowed(family: Family) -> None:
    grammar = _grammar(family, {"ship": SHIP})
    call = ("ship", {"city": "Paris", "n": 7, "tags": ["a"]})
    assert allows(grammar, family.syntax.written([call]))
    many = family.syntax.between is not None
    assert allows(grammar, family.syntax.written([call, call])) == many
    one = _grammar(family, {"ship": SHIP}, parallel=False)
    assert not allows(one, family.syntax.written([call, call]))


def test_texts_are_written_as_they_are() -> None:
    family = next(family for family in FAMILIES if family.name == "qwen-coder")
    text = {"type": "object", "properties": {"code": {"type": "string"}}}
    written = family.syntax.written([("run", {"code": 'print("<a>")\n\\n {'})])
    assert allows(_grammar(family, {"run": text}), written)


def test_a_tool_whose_schema_is_not_taken_is_named() -> None:
    bad = {"type": "object", "properties": {"x": {"type": "string", "pattern": "(a)\\1"}}}
    with pytest.raises(GrammarError, match="pattern") as caught:
        _grammar(GENERIC, {"ship": SHIP, "bad": bad})
    assert caught.value.path == "#/properties/x of bad's parameters"


@pytest.mark.parametrize("control", [{}, {"<think>": 1, "</think>": 2}])
def test_thinking_comes_first(control: dict[str, int]) -> None:
    tags = Tags("<think>", "</think>")
    for open_ in (False, True):
        lark = Lark(control)
        answer = text_grammar(lark, lark.json({"enum": [1]}), None)
        grammar = lark.finish(with_thinking(lark, answer, tags, None, open=open_))
        check(grammar)
        if not control:
            begin = "" if open_ else "<think>"
            assert allows(grammar, f"{begin}a < b </thin\n</think>\n\n1")
            assert allows(grammar, "1") != open_
            assert not allows(grammar, f"{begin}a</think>\n\n2")
