"""Text, thinking and calls of an answer, apart in whatever pieces it comes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from taken_apart import CITY, SCHEMAS, Read, read, read_every_way

from llmroute.engine.tools.families import FAMILIES, GENERIC
from llmroute.engine.tools.families.deepseek import DEEPSEEK
from llmroute.engine.tools.families.functionary import FUNCTION_TAG
from llmroute.engine.tools.families.functionary_v3_2 import FUNCTIONARY_V3_2
from llmroute.engine.tools.families.gemma import GEMMA
from llmroute.engine.tools.families.glm import GLM
from llmroute.engine.tools.families.gpt_oss import GPT_OSS
from llmroute.engine.tools.families.kimi import KIMI
from llmroute.engine.tools.families.lfm import LFM
from llmroute.engine.tools.families.llama import LLAMA
from llmroute.engine.tools.families.minimax_m3 import MINIMAX_M3
from llmroute.engine.tools.families.mistral import MISTRAL, MISTRAL_ARGS
from llmroute.engine.tools.families.qwen_coder import QWEN_CODER
from llmroute.engine.tools.parser import ToolCallParser
from llmroute.engine.tools.reader import Reader
from llmroute.engine.tools.reasoning import Tags, tags_of
from llmroute.engine.tools.syntax import Family
from llmroute.providers.base import LocalToolCall

ALL = (GENERIC, *FAMILIES)
TAGS = Tags("<think>", "</think>")
by_name = pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)

# What is no call is text, every character of it.
TEXTS = [
    (GENERIC, "Use <tool_call> like <tool_call>{this}</tool_call>, or <tool_ca"),
    (GENERIC, '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>'),
    (GENERIC, '<tool_call>{"name": "now", "arguments": [1]}</tool_call>'),
    (GENERIC, '<tool_call>{"name": 3}</tool_call>'),
    (GENERIC, '<tool_call>{"name": ["now"], "arguments": {}}</tool_call>'),
    (GENERIC, '<tool_call>{"name": "now", "other": {}, "arguments": {}}</tool_call>'),
    (GENERIC, "<tool_call>\n[1]"),
    (GENERIC, '<tool_call>{"name": "no'),
    (GENERIC, "  \n"),
    (GENERIC, " <"),
    (GENERIC, "<tool_call><function=unknown></function></tool_call>"),
    (GENERIC, "<tool_call><function=now>prose</function></tool_call>"),
    (GENERIC, "<tool_call>now and then</tool_call>"),
    (GENERIC, "<tool_call>unknown<arg_key>"),
    (QWEN_CODER, "#include <functional>\n<function=unknown>\n<parameter=a>"),
    (MISTRAL, "[TOOL_CALLS]hello world [1]"),
    (MISTRAL, '[TOOL_CALLS][{"name": "unknown", "arguments": {}}]'),
    (MISTRAL_ARGS, "[TOOL_CALLS]unknown[ARGS]{}"),
    (MISTRAL_ARGS, "[TOOL_CALLS]now[AR"),
    (LLAMA, '{"answer": 42, "name": "now"}'),
    (LLAMA, '{"name": "Alice", "age": 3}'),
    (LLAMA, '{"name": "now", "parameters": 3}'),
    (LLAMA, "{}"),
    (LLAMA, "{ [x] }"),
    (LLAMA, "[1, 2]"),
    (LLAMA, "[link](https://example.org)"),
    (LLAMA, "[unknown(a=1)]"),
    (LLAMA, "[now(1)]"),
    (LLAMA, "[now(a=open('x'))]"),
    (LLAMA, "[now(**{})]"),
    (LLAMA, "[now(a="),
    (LLAMA, "<|python_tag|>import os\nprint(1)"),
    (LLAMA, 'Text, then {"name": "now", "parameters": {}}'),
    (LFM, "<|tool_call_start|>[now(1)]<|tool_call_end|>"),
    (LFM, "A list: [now(a=1)]"),
    (FUNCTION_TAG, "<function=unknown>{}</function>"),
    (FUNCTION_TAG, "a < b, <function=x"),
    (FUNCTIONARY_V3_2, "Hello\n>>> now()\n>>>later\n{}"),
    (DEEPSEEK, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>unknown<｜tool▁sep｜>{}"),
    (DEEPSEEK, "<｜tool▁calls▁begin｜>nothing at all"),
    (KIMI, "<|tool_call_begin|>functions.unknown:0<|tool_call_argument_begin|>{}"),
    (GEMMA, "<|tool_call>call:unknown{}<tool_call|>"),
    (GEMMA, "<|tool_call>say it"),
    (MINIMAX_M3, ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="unknown">'),
    (GPT_OSS, "No header at all"),
]


@pytest.mark.parametrize(("family", "text"), TEXTS)
def test_what_only_looks_like_a_call_stays_text(family: Family, text: str) -> None:
    assert read_every_way(family, text) == Read(text, [])


@by_name
def test_nothing_is_a_call_where_no_tools_are_offered(family: Family) -> None:
    if family.syntax.read_answer is None and not family.syntax.silent:
        text = family.syntax.written([("now", {"a": 1})])
        assert read(family, [text], schemas={}) == Read(text, [])


@by_name
def test_text_before_and_behind_calls_stays(family: Family) -> None:
    syntax = family.syntax
    if syntax.read_answer is None and not syntax.starters:
        text = f"Let me see.\n{syntax.written([('now', {})])}\nDone."
        result = read_every_way(family, text)
        assert result.content.split() == ["Let", "me", "see.", "Done."]
        assert result.calls == [("now", "{}")]


# Calls that are cut


@by_name
def test_a_call_that_is_cut_is_handed_out_as_far_as_it_came(family: Family) -> None:
    text = family.syntax.written([("get_weather", {"city": "far away in the north"})])
    result = read_every_way(family, text[: text.index("north")])
    assert [name for name, _ in result.calls] == ["get_weather"]
    assert not result.complete
    if family is not MINIMAX_M3:  # whose values are known when they are whole
        assert result.calls[0][1].endswith("far away in the ")
    assert "away" not in result.content


@pytest.mark.parametrize(
    ("family", "text", "arguments"),
    [
        (QWEN_CODER, "<tool_call>\n<function=now>", "{"),
        (QWEN_CODER, "<tool_call>\n<function=now>\n<parameter=a", "{"),
        (GLM, "<tool_call>now\n", "{"),
        (LFM, "<|tool_call_start|>[now(a=", '{"a": '),
        (LFM, "<|tool_call_start|>[now(", "{"),
        (GENERIC, '<tool_call>{"name": "now"', ""),
        (GENERIC, '<tool_call>{"name": "now", "arguments": {"a": [1, ', '{"a": [1'),
        (KIMI, "<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>", ""),
    ],
)
def test_a_call_that_is_cut_early(family: Family, text: str, arguments: str) -> None:
    assert read_every_way(family, text) == Read("", [("now", arguments)], complete=False)


def test_arguments_come_as_they_are_written() -> None:
    parser = ToolCallParser(GENERIC.syntax, SCHEMAS)
    assert parser.feed('<tool_call>{"name": "now", "arguments": ') == []
    assert parser.feed('{"a"') == [LocalToolCall(0, "now"), LocalToolCall(0, None, '{"a"')]
    assert parser.feed(': "') == [LocalToolCall(0, None, ': "')]
    assert parser.feed('x"}}</tool_call>') == [LocalToolCall(0, None, 'x"}')]
    assert parser.feed("more") == ["more"]


def test_texts_in_tags_come_as_they_are_written() -> None:
    parser = ToolCallParser(QWEN_CODER.syntax, SCHEMAS)
    parser.feed("<tool_call>\n<function=get_weather>\n<parameter=city>\n")
    assert parser.feed('Os"lo ') == [LocalToolCall(0, None, 'Os\\"lo ')]
    assert parser.feed("</param") == []
    assert parser.feed("s>\n") == [LocalToolCall(0, None, "</params>")]
    assert parser.feed("</parameter>\n</function>") == [LocalToolCall(0, None, '"}')]


@by_name
def test_one_call_only(family: Family) -> None:
    text = family.syntax.written([("get_weather", {"city": "Rome"}), ("now", {})])
    parser = ToolCallParser(family.syntax, SCHEMAS, parallel=False)
    pieces = [piece for character in text for piece in parser.feed(character)]
    assert parser.finished
    assert {piece.index for piece in pieces if isinstance(piece, LocalToolCall)} == {0}
    assert not any(isinstance(piece, str) for piece in pieces)


# Thinking


@pytest.mark.parametrize(
    ("text", "open", "expected"),
    [
        ("<think>\nHm, a < b.\n</think>\n\nYes. ", False, ("Hm, a < b.", "Yes. ")),
        ("\n<think></think>Yes", False, ("", "Yes")),
        ("Hm.\n</think>\n\nYes", True, ("Hm.", "Yes")),
        ("</think>\n\nYes", False, ("", "Yes")),
        ("Hm.</thin", True, ("Hm.</thin", "")),
        ("<think>Hm", False, ("Hm", "")),
        ("<thin", False, ("", "<thin")),
        ("Yes <think>no</think>", False, ("", "Yes <think>no</think>")),
        ("  Yes", False, ("", "  Yes")),
        ("", False, ("", "")),
        ("<think>a  b \n c</think> x </think>", False, ("a  b \n c", "x </think>")),
    ],
)
def test_thinking_comes_apart(text: str, open: bool, expected: tuple[str, str]) -> None:
    result = read_every_way(GENERIC, text, tags=TAGS, open=open)
    assert (result.thinking, result.content) == expected


def test_no_part_of_a_tag_is_shown() -> None:
    parser = ToolCallParser(GENERIC.syntax, {}, tags=TAGS)
    reader = Reader(parser)
    shown = [reader.feed(character) for character in "<think>Hm</think>Yes"]
    assert [(part.reasoning, part.content) for part in shown if part.reasoning or part.content] == [
        ("H", ""), ("m", ""), ("", "Y"), ("", "e"), ("", "s")
    ]  # fmt: skip


def test_tags_by_template() -> None:
    assert tags_of("{% if '</think>' in content %}") == TAGS
    assert tags_of("[THINK]x[/THINK]") == Tags("[THINK]", "[/THINK]")
    assert tags_of("nothing") is None


def test_thinking_then_content_then_calls() -> None:
    text = (
        "<think>I need <tool_call>.</think>\nLooking.\n"
        '<tool_call>{"name": "now", "arguments": {}}</tool_call>'
    )
    for pieces in ([text], list(text)):
        reader = Reader(ToolCallParser(GENERIC.syntax, SCHEMAS, tags=TAGS))
        parts = [reader.feed(piece) for piece in pieces] + [reader.finish("")]
        assert "".join(part.reasoning for part in parts) == "I need <tool_call>."
        assert "".join(part.content for part in parts) == "Looking.\n"
        assert [c.name for part in parts for c in part.calls if c.name] == ["now"]
        assert reader.reason("stop") == "tool_calls"
        assert reader.reason("length") == "length"


@pytest.mark.parametrize("family", [QWEN_CODER, GLM, KIMI], ids=lambda family: family.name)
def test_a_call_ends_thinking_that_has_no_end(family: Family) -> None:
    text = f"I must look.\n{family.syntax.written([('now', {})])}"
    result = read_every_way(family, text, tags=TAGS, open=True)
    assert result == Read("", [("now", "{}")], thinking="I must look.")
    late = read_every_way(family, f"{text}</think>\nDone", tags=TAGS, open=True)
    assert late.content.strip() == "Done"


def test_a_call_in_thinking_is_thinking_where_the_family_closes_it() -> None:
    tags = Tags("[THINK]", "[/THINK]")
    text = "[THINK]Shall I [TOOL_CALLS]now[ARGS]{}?[/THINK][TOOL_CALLS]now[ARGS]{}"
    assert read_every_way(MISTRAL_ARGS, text, tags=tags) == Read(
        "", [("now", "{}")], thinking="Shall I [TOOL_CALLS]now[ARGS]{}?"
    )


# Whatever comes

_TEXT = st.text(st.sampled_from("ab \n\t\"'\\{}[]:,=é😀-.0"), max_size=12)
_VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_ARGUMENTS = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True), _VALUES)
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}


def schema_of(arguments: dict[str, Any]) -> dict[str, Any]:
    kinds = {type(None): "null", dict: "object", **_TYPES}
    return {"properties": {key: {"type": kinds[type(v)]} for key, v in arguments.items()}}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(ALL),
    st.lists(st.tuples(st.sampled_from(["one", "two_b", "a.b-c"]), _ARGUMENTS), min_size=1,
             max_size=3, unique_by=lambda call: call[0]),
    st.data(),
)  # fmt: skip
def test_any_arguments_in_any_pieces(
    family: Family, calls: list[tuple[str, Any]], data: st.DataObject
) -> None:
    if family.syntax.between is None:
        calls = calls[:1]
    schemas = {name: schema_of(arguments) for name, arguments in calls}
    text = family.syntax.written(calls)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    result = read(family, pieces, schemas=schemas)
    assert [(name, json.loads(arguments)) for name, arguments in result.calls] == calls
    assert (result.content, result.complete) == ("", True)


TOKENS = [
    *("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[", "]", "{", "}", '"name": "now"', ","),
    *("now", "[ARGS]", "<|python_tag|>", "(", ")", '"', "<function=", ">", " ", "\n", ";", "=1"),
    *("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "```json", "text", "\\"),
    *("=now>", "<parameter=a>", "</parameter>", "<arg_key>", "</arg_key>", "<arg_value>"),
    *('"arguments": {}', '"parameters": {"a": 1}', "</function>", "'", ":", "null", "a="),
    *("<think>", "</think>", "<|tool_call>", "call:now", '<|"|>', "<tool_call|>", "<channel|>"),
    *("<|channel|>", "<|message|>", "final", "analysis", " to=functions.now", "<|end|>"),
    *("all\n", ">>>", "now\n", "functools[", "Action:", "<|tool_call_start|>", "now("),
    *("]<]minimax[>[", "<|start|>"),
    *('<invoke name="now">', "</invoke>", "<a>", "</a>", "<item>", "</item>", ' to=now<|message|>'),
    *('<function name="now">', '<param name="a">', "</param>", "</arg_value>", "<TOOLCALL>"),
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ALL), st.lists(st.sampled_from(TOKENS), max_size=12), st.booleans())
def test_streamed_is_the_same_as_whole(family: Family, parts: list[str], open: bool) -> None:
    text = "".join(parts)
    for options in ({}, {"tags": TAGS, "open": open}):
        whole = read(family, [text], **options)
        assert read(family, parts, **options) == whole
        assert read(family, list(text), **options) == whole
        for _, arguments in whole.calls if whole.complete else ():
            assert isinstance(json.loads(arguments), dict)
    if family.syntax.read_answer is None and not family.syntax.silent:
        plain = read(family, [text])
        assert plain.calls or plain.content == text


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*"{}[]:,\"'\\=() \n1a-", "True", "null", '<|"|>'])))
@pytest.mark.parametrize("family", [KIMI, GEMMA, LFM], ids=lambda family: family.name)
def test_arguments_are_valid_json_whatever_is_written(family: Family, parts: list[str]) -> None:
    before, after = family.syntax.around("now")
    written = "".join(parts)
    text = family.syntax.begin + before + ("{" + written if family is KIMI else written) + after
    result = read(family, [text])
    assert read(family, list(text)) == result
    for _, arguments in result.calls if result.complete else ():
        assert isinstance(json.loads(arguments), dict)


@by_name
def test_reading_takes_time_in_proportion(family: Family) -> None:
    body = "line of code here; " * 5000
    schemas = {"now": {"properties": {"a": {"type": "string"}, "b": {"type": "array"}}}}
    text = family.syntax.written([("now", {"a": body, "b": [body]})])
    began = time.perf_counter()
    result = read(family, [text[at : at + 4] for at in range(0, len(text), 4)], schemas=schemas)
    assert json.loads(result.calls[0][1]) == {"a": body, "b": [body]}
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>" * 10_000,
        '<tool_call>{"arguments": {"a": "' * 3_000,
        "<tool_call><function=now><parameter=a>" + "</parameter>x" * 10_000,
        "<" * 30_000,
        " " * 100_000 + "x",
        "[" * 30_000,
        '<tool_call>{"name": "now", "arguments": ' + '{"a":' * 20_000,
    ],
)
@pytest.mark.parametrize("family", [GENERIC, QWEN_CODER, LLAMA], ids=lambda family: family.name)
def test_reading_adverse_text_takes_time_in_proportion(family: Family, text: str) -> None:
    began = time.perf_counter()
    read(family, [text[at : at + 4] for at in range(0, len(text), 4)], tags=TAGS)
    assert time.perf_counter() - began < 10


def test_keys_swapped_take_time_in_proportion() -> None:
    body = "line of code here; " * 5000
    text = f'<tool_call>\n{{"arguments": {{"content": "{body}"}}, "name": "now"}}\n</tool_call>'
    began = time.perf_counter()
    result = read(GENERIC, [text[at : at + 4] for at in range(0, len(text), 4)])
    assert json.loads(result.calls[0][1]) == {"content": body}
    assert time.perf_counter() - began < 10


def test_schemas_do_not_matter_to_the_text_of_json_calls() -> None:
    text = '<tool_call>{"name": "get_weather", "arguments": {"city": 1, "n": "x"}}</tool_call>'
    assert read(GENERIC, [text], schemas={"get_weather": CITY}).calls == [
        ("get_weather", '{"city": 1, "n": "x"}')
    ]
