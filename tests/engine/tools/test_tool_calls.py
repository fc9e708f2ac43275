"""Calls and thinking read out of a model's text, in whatever pieces it comes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from grammar_check import allows, random_text
from hypothesis import given, settings, strategies as st

from llmroute.engine.tools.definitions import Tools
from llmroute.engine.tools.families import GENERIC, Family, detect_family
from llmroute.engine.tools.forced import calls_grammar
from llmroute.engine.tools.parser import ToolCallParser
from llmroute.engine.tools.reader import Reader
from llmroute.engine.tools.reasoning import ReasoningSplitter, Tags, tags_of
from llmroute.errors import BadRequestError, UnsupportedParamsError
from llmroute.providers.base import LocalToolCall

_CITY = {"properties": {"city": {"type": "string"}, "n": {"type": "integer"}}}
SCHEMAS: dict[str, Any] = {"get_weather": _CITY, "now": {}, "a.b-c": {}}
NAMES = tuple(SCHEMAS)
TEMPLATES = {
    "hermes": "<tools></tools> <tool_call>\n",
    "mistral": "[AVAILABLE_TOOLS] [TOOL_CALLS]",
    "mistral-args": "[TOOL_CALLS]{{ name }}[ARGS]",
    "llama": 'tools "parameters": <|start_header_id|>ipython',
    "function-tag": "<function=example_function_name>",
    "deepseek": "<｜tool▁calls▁begin｜> <｜tool▁sep｜>",
    "deepseek-fenced": "<｜tool▁calls▁begin｜> <｜tool▁sep｜> ```json",
    "generic": "{{ messages }}",
}
FAMILIES = {name: detect_family(template) for name, template in TEMPLATES.items()}


@dataclass
class Read:
    """What came of a text."""

    content: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    complete: bool = True


def read(family: Family, pieces: list[str], *, parallel: bool = True) -> Read:
    parser = ToolCallParser(family.syntax, SCHEMAS, parallel=parallel)
    result = Read()
    for piece in [part for text in pieces for part in parser.feed(text)] + parser.finish():
        if isinstance(piece, str):
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


def read_every_way(family: Family, text: str) -> Read:
    """Whole, byte by byte, and cut at every border: always the same."""
    whole = read(family, [text])
    assert read(family, list(text)) == whole
    for cut in range(len(text)):
        assert read(family, [text[:cut], text[cut:]]) == whole
    return whole


PARIS = '{"city": "Pa\\"}ris"}'
WEATHER = ("get_weather", PARIS)
NOW = ("now", "{}")

# Family, text, content, calls.
WRITTEN: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    ("hermes", f'<tool_call>\n{{"name": "get_weather", "arguments": {PARIS}}}\n</tool_call>', "",
     [WEATHER]),
    ("hermes", f'Let me see.\n<tool_call>{{"name":"get_weather","arguments":{PARIS}}}</tool_call>'
     '\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call> Done.',
     "Let me see.\n Done.", [WEATHER, NOW]),
    ("hermes", '<tool_call>{"arguments": {"a": [1]}, "name": "now"}</tool_call>', "",
     [("now", '{"a": [1]}')]),
    ("hermes", '<tool_call>{"name": "now"}</tool_call>', "", [NOW]),
    ("hermes", '<tool_call>{"name": "now", "arguments": "{}"}</tool_call>', "", [NOW]),
    ("hermes", '<tool_call>{"name": "now", "arguments": {}}', "", [NOW]),
    ("hermes", "<tool_call>\n<function=get_weather>\n<parameter=city>\n12 <b>\n\n</parameter>\n"
     "<parameter=n>\n3\n</parameter>\n</function>\n</tool_call>", "",
     [("get_weather", '{"city": "12 <b>\\n", "n": 3}')]),
    ("hermes", "<tool_call><function=now>\n<parameter=x>True</parameter></function></tool_call>"
     "<tool_call>now\n</tool_call>", "", [("now", '{"x": true}'), NOW]),
    ("hermes", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>1</arg_value>\n"
     "<arg_key>n</arg_key><arg_value>[1]</arg_value>\n</tool_call>", "",
     [("get_weather", '{"city": "1", "n": [1]}')]),
    ("generic", ' <tool_call>{"name": "a.b-c", "arguments": {}}</tool_call> ', "",
     [("a.b-c", "{}")]),
    ("mistral", f'[TOOL_CALLS][{{"name": "get_weather", "arguments": {PARIS}}}]', "", [WEATHER]),
    ("mistral", f'[TOOL_CALLS] [{{"name": "get_weather", "arguments": {PARIS}, "id": "a}}b"}}, '
     '{"name": "now", "arguments": {}, "id": "abc123456"}]\n', "", [WEATHER, NOW]),
    ("mistral-args", f"[TOOL_CALLS]get_weather[ARGS]{PARIS}[TOOL_CALLS]now[CALL_ID]x1[ARGS]{{}}",
     "", [WEATHER, NOW]),
    ("mistral", "Hm. [TOOL_CALLS]now[ARGS] {}", "Hm. ", [NOW]),
    ("llama", f'{{"name": "get_weather", "parameters": {PARIS}}}', "", [WEATHER]),
    ("llama", f'<|python_tag|>{{"type": "function", "name": "get_weather", "parameters": {PARIS}}}'
     '; {"name": "now", "parameters": {}}', "", [WEATHER, NOW]),
    ("llama", '[get_weather(city="Paris", days=[1, 2.5], x={"a": None, "b": true}), now()]', "",
     [("get_weather", '{"city": "Paris", "days": [1, 2.5], "x": {"a": null, "b": true}}'), NOW]),
    ("llama", "<|python_start|>[a.b-c(x='it\\'s ]')]<|python_end|>", "",
     [("a.b-c", '{"x": "it\'s ]"}')]),
    ("llama", '\n {"function": {"name": "now", "arguments": {}}}', "", [NOW]),
    ("function-tag", f"<function=get_weather>{PARIS}</function> <function=now>\n{{}}</function>",
     "", [WEATHER, NOW]),
    ("deepseek", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>"
     f"{PARIS}<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{{}}<｜tool▁call▁end｜>"
     "<｜tool▁calls▁end｜>", "", [WEATHER, NOW]),
    ("deepseek-fenced", "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>"
     f"get_weather\n```json\n{PARIS}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function"
     "<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "Hm.",
     [WEATHER, NOW]),
]  # fmt: skip


@pytest.mark.parametrize(("family", "text", "content", "calls"), WRITTEN)
def test_calls_as_families_write_them(
    family: str, text: str, content: str, calls: list[tuple[str, str]]
) -> None:
    assert read_every_way(FAMILIES[family], text) == Read(content, calls)


# What is no call is text, every character of it.
TEXTS = [
    ("hermes", "Use <tool_call> like <tool_call>{this}</tool_call>, or <tool_ca"),
    ("hermes", '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "now", "arguments": [1]}</tool_call>'),
    ("hermes", '<tool_call>{"name": 3}</tool_call>'),
    ("hermes", "<tool_call>\n[1]"),
    ("hermes", '<tool_call>{"name": "no'),
    ("hermes", "  \n"),
    ("hermes", " <"),
    ("hermes", "<tool_call><function=unknown></function></tool_call>"),
    ("hermes", "<tool_call><function=now>prose</function></tool_call>"),
    ("hermes", "<tool_call><function=now><parameter=a>1"),
    ("hermes", "<tool_call>now and then</tool_call>"),
    ("hermes", "<tool_call>unknown<arg_key>"),
    ("mistral", "[TOOL_CALLS]hello world [1]"),
    ("mistral", '[TOOL_CALLS][{"name": "unknown", "arguments": {}}]'),
    ("mistral-args", "[TOOL_CALLS]unknown[ARGS]{}"),
    ("mistral-args", "[TOOL_CALLS]now[AR"),
    ("llama", '{"answer": 42, "name": "now"}'),
    ("llama", '{"name": "Alice", "age": 3}'),
    ("llama", '{"name": "now", "parameters": 3}'),
    ("llama", "{}"),
    ("llama", "{ [x] }"),
    ("llama", "[1, 2]"),
    ("llama", "[link](https://example.org)"),
    ("llama", "[unknown(a=1)]"),
    ("llama", "[now(1)]"),
    ("llama", "[now(a=open('x'))]"),
    ("llama", "[now(**{})]"),
    ("llama", "[now(a=1), 3]"),
    ("llama", "[now(a="),
    ("llama", "<|python_tag|>import os\nprint(1)"),
    ("llama", 'Text, then {"name": "now", "parameters": {}}'),
    ("function-tag", "<function=unknown>{}</function>"),
    ("function-tag", "a < b, <function=x"),
    ("deepseek", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>unknown<｜tool▁sep｜>{}"),
    ("deepseek", "<｜tool▁calls▁begin｜>nothing at all"),
]


@pytest.mark.parametrize(("family", "text"), TEXTS)
def test_what_only_looks_like_a_call_stays_text(family: str, text: str) -> None:
    assert read_every_way(FAMILIES[family], text) == Read(text, [])


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_call_that_is_cut_is_shown_as_far_as_it_came(family: Family) -> None:
    before, _ = family.around("get_weather")
    result = read_every_way(family, family.begin + before + PARIS[:12])
    assert result == Read("", [("get_weather", PARIS[:12])], complete=False)


def test_arguments_come_as_they_are_written() -> None:
    parser = ToolCallParser(FAMILIES["hermes"].syntax, SCHEMAS)
    assert parser.feed('<tool_call>{"name": "now", "arguments": ') == []
    assert parser.feed('{"a"') == [LocalToolCall(0, "now"), LocalToolCall(0, None, '{"a"')]
    assert parser.feed(': "') == [LocalToolCall(0, None, ': "')]
    assert parser.feed('x"}}</tool_call>') == [LocalToolCall(0, None, 'x"}')]
    assert parser.feed("more") == ["more"]


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_one_call_only(family: Family) -> None:
    (one, end), (two, _) = family.around("get_weather"), family.around("now")
    text = family.begin + one + PARIS + end + family.between + two + "{}" + end + family.end
    parser = ToolCallParser(family.syntax, SCHEMAS, parallel=False)
    pieces = [piece for character in text for piece in parser.feed(character)]
    assert parser.finished
    assert {piece.index for piece in pieces if isinstance(piece, LocalToolCall)} == {0}
    assert not any(isinstance(piece, str) for piece in pieces)


_ARGUMENTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(list(FAMILIES.values())),
    st.lists(st.tuples(st.sampled_from(NAMES), _ARGUMENTS), min_size=1, max_size=3),
    st.booleans(),
    st.data(),
)
def test_any_arguments_in_any_pieces(
    family: Family, calls: list[tuple[str, Any]], plain: bool, data: st.DataObject
) -> None:
    written = [(name, json.dumps(value, ensure_ascii=plain)) for name, value in calls]
    texts = [family.around(name)[0] + value + family.around(name)[1] for name, value in written]
    text = family.begin + family.between.join(texts) + family.end
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(family, pieces) == Read("", written)


TOKENS = [
    *("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[", "]", "{", "}", '"name": "now"', ","),
    *("now", "[ARGS]", "<|python_tag|>", "(", ")", '"', "<function=", ">", " ", "\n", ";", "=1"),
    *("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "```json", "text", "\\"),
    *("=now>", "<parameter=a>", "</parameter>", "<arg_key>", "</arg_key>", "<arg_value>"),
    *('"arguments": {}', '"parameters": {"a": 1}', "</function>"),
]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(FAMILIES.values())),
    st.lists(
        st.sampled_from(TOKENS),
        max_size=9,
    ),
)
def test_streamed_is_the_same_as_whole(family: Family, parts: list[str]) -> None:
    whole = read(family, ["".join(parts)])
    assert read(family, parts) == whole
    assert read(family, list("".join(parts))) == whole
    if not whole.calls:
        assert whole.content == "".join(parts)


# Thinking


def think(pieces: list[str], *, open: bool = False) -> tuple[str, str]:
    splitter = ReasoningSplitter(Tags("<think>", "</think>"), open=open)
    parts = [splitter.feed(piece) for piece in pieces] + [splitter.finish()]
    return "".join(part[0] for part in parts), "".join(part[1] for part in parts)


@pytest.mark.parametrize(
    ("text", "open", "expected"),
    [
        ("<think>\nHm, a < b.\n</think>\n\nYes. ", False, ("Hm, a < b.", "Yes. ")),
        ("\n<think></think>Yes", False, ("", "Yes")),
        ("Hm.\n</think>\n\nYes", True, ("Hm.", "Yes")),
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
    assert think([text], open=open) == expected
    assert think(list(text), open=open) == expected
    for cut in range(len(text)):
        assert think([text[:cut], text[cut:]], open=open) == expected


def test_no_part_of_a_tag_is_shown() -> None:
    splitter = ReasoningSplitter(Tags("<think>", "</think>"))
    shown = [splitter.feed(character) for character in "<think>Hm</think>Yes"]
    assert [part for part in shown if part != ("", "")] == [
        ("H", ""), ("m", ""), ("", "Y"), ("", "e"), ("", "s")
    ]  # fmt: skip


def test_tags_by_template() -> None:
    assert tags_of("{% if '</think>' in content %}") == Tags("<think>", "</think>")
    assert tags_of("[THINK]x[/THINK]") == Tags("[THINK]", "[/THINK]")
    assert tags_of("nothing") is None


def test_thinking_then_content_then_calls() -> None:
    text = (
        "<think>I need <tool_call>.</think>\nLooking.\n"
        '<tool_call>{"name": "now", "arguments": {}}</tool_call>'
    )
    for pieces in ([text], list(text)):
        parser = ToolCallParser(GENERIC.syntax, SCHEMAS)
        reader = Reader(ReasoningSplitter(Tags("<think>", "</think>")), parser)
        parts = [reader.feed(piece) for piece in pieces] + [reader.finish("")]
        assert "".join(part.reasoning for part in parts) == "I need <tool_call>."
        assert "".join(part.content for part in parts) == "Looking.\n"
        assert [c.name for part in parts for c in part.calls if c.name] == ["now"]
        assert reader.reason("stop") == "tool_calls"
        assert reader.reason("length") == "length"


# Which family, and what is forced


@pytest.mark.parametrize("name", FAMILIES)
def test_families_by_template(name: str) -> None:
    assert FAMILIES[name].name == name


def tool(name: str, parameters: Any = None) -> dict[str, Any]:
    function = {"name": name} | ({} if parameters is None else {"parameters": parameters})
    return {"type": "function", "function": function}


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [tool("get_weather", CITY), tool("now")]


@pytest.mark.native
@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_forced_calls_are_what_the_parser_reads(family: Family) -> None:
    tools = Tools.parse({"tools": TOOLS, "tool_choice": "required"})
    assert tools is not None
    grammar = calls_grammar(family, tools.parameters, parallel=True)
    chance = random.Random(1)
    for _ in range(4):
        text = random_text(grammar, chance)
        assert text is not None
        result = read(family, [text])
        assert result.content == ""
        assert result.complete
        assert result.calls
        for name, arguments in result.calls:
            assert json.loads(arguments).keys() == ({"city"} if name == "get_weather" else set())
    one = calls_grammar(family, tools.parameters, parallel=False)
    (before, after) = family.around("now")
    call = before + "{}" + after
    assert allows(one, family.begin + call + family.end)
    assert not allows(one, family.begin + call + family.between + call + family.end)
    assert allows(grammar, family.begin + call + family.between + call + family.end)


def test_choices() -> None:
    auto = Tools.parse({"tools": TOOLS})
    assert auto is not None
    assert (auto.forced, auto.parallel, list(auto.parameters)) == (False, True, list(NAMES[:2]))
    assert Tools.parse({"tools": TOOLS, "tool_choice": "none"}) is None
    assert Tools.parse({"tools": []}) is None
    assert Tools.parse({"tool_choice": "auto"}) is None
    one = Tools.parse({"tools": TOOLS, "parallel_tool_calls": False, "tool_choice": "auto"})
    assert one is not None
    assert not one.parallel
    named = Tools.parse({"tools": TOOLS, "tool_choice": tool("now")})
    assert named is not None
    assert (named.forced, named.parallel, list(named.parameters)) == (True, False, ["now"])
    assert len(named.definitions) == 2


@pytest.mark.parametrize(
    "params",
    [
        {"tools": "x"},
        {"tools": [3]},
        {"tools": [{"type": "function"}]},
        {"tools": [tool('a"b')]},
        {"tools": [tool("")]},
        {"tools": [tool("a"), tool("a")]},
        {"tools": TOOLS, "tool_choice": "any"},
        {"tools": TOOLS, "tool_choice": tool("other")},
        {"tools": TOOLS, "tool_choice": {"type": "function"}},
        {"tools": TOOLS, "parallel_tool_calls": "no"},
        {"tool_choice": "required"},
    ],
)
def test_wrong_tools_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as caught:
        Tools.parse(params)
    assert caught.value.param in params


def test_other_kinds_of_tools_are_refused() -> None:
    with pytest.raises(UnsupportedParamsError):
        Tools.parse({"tools": [{"type": "web_search"}]})


def test_a_schema_that_is_not_taken_is_named_with_its_function() -> None:
    with pytest.raises(BadRequestError) as caught:
        calls_grammar(GENERIC, {"f": {"properties": {"a": {"not": {}}}}}, parallel=True)
    assert "#/properties/a of f's parameters" in caught.value.message
    assert caught.value.param == "tools"
