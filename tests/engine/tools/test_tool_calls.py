"""Tools of a request: which may be called, whether one must be, and how a model is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from grammar_check import allows

from llmroute.engine.grammar.lark import Lark
from llmroute.engine.tools.definitions import Tools
from llmroute.engine.tools.families import FAMILIES, GENERIC
from llmroute.engine.tools.families.qwen_coder import QWEN_CODER
from llmroute.engine.tools.forced import calls_grammar
from llmroute.engine.tools.syntax import Family
from llmroute.errors import BadRequestError, UnsupportedParamsError


def tool(name: str, parameters: Any = None) -> dict[str, Any]:
    function = {"name": name} | ({} if parameters is None else {"parameters": parameters})
    return {"type": "function", "function": function}


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [tool("get_weather", CITY), tool("now")]
FORCED = (GENERIC, *FAMILIES)


def _grammar(family: Family, parameters: Any, *, parallel: bool) -> str:
    lark = Lark()
    return lark.finish(calls_grammar(lark, family.syntax, parameters, parallel=parallel))


PLACE = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "n": {"type": "integer"},
        "kind": {"enum": ["a b", "c"]},
    },
    "required": ["city"],
}


@pytest.mark.native
@pytest.mark.parametrize("family", FORCED, ids=lambda family: family.name)
def test_forced_calls_are_in_the_family_s_own_syntax(family: Family) -> None:
    parameters = {"get_weather": PLACE, "now": {"type": "object", "additionalProperties": False}}
    grammar = _grammar(family, parameters, parallel=True)

    def is_allowed(*calls: tuple[str, Any]) -> bool:
        return allows(grammar, family.syntax.written(calls))

    for city in ("Rome", "", 'a "quoted" <b> name\nof a place'):
        assert is_allowed(("get_weather", {"city": city}))
    assert is_allowed(("get_weather", {"city": "Rome", "n": 2, "kind": "a b"}))
    assert is_allowed(("get_weather", {"city": "Rome", "kind": "c"}))
    assert is_allowed(("now", {}))
    assert not is_allowed(("get_weather", {"n": 2}))
    assert not is_allowed(("get_weather", {"city": "Rome", "n": "x"}))
    assert not is_allowed(("get_weather", {"city": "Rome", "kind": "d"}))
    assert not is_allowed(("later", {}))
    several = family.syntax.between is not None
    assert is_allowed(("now", {}), ("now", {})) is several
    one = _grammar(family, parameters, parallel=False)
    assert not allows(one, family.syntax.written([("now", {})] * 2))


def test_choices() -> None:
    auto = Tools.parse({"tools": TOOLS})
    assert auto is not None
    assert (auto.forced, auto.parallel, list(auto.parameters)) == (
        False,
        True,
        ["get_weather", "now"],
    )
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


@pytest.mark.parametrize(
    ("family", "example"),
    [
        (GENERIC, '<tool_call>\n{"name": "<name>", "arguments": {...}}\n</tool_call>'),
        (
            QWEN_CODER,
            "<tool_call>\n<function=<name>>\n<parameter=<argument>>\n<value>\n</parameter>\n"
            "</function>\n</tool_call>",
        ),
    ],
)
def test_told_shows_the_tools_and_the_family_s_own_syntax(family: Family, example: str) -> None:
    tools = Tools.parse({"tools": TOOLS})
    assert tools is not None
    told = tools.told(family.syntax)
    assert told.endswith(f"\n{example}")
    assert all(json.dumps(tool) in told for tool in TOOLS)


def test_other_kinds_of_tools_are_refused() -> None:
    with pytest.raises(UnsupportedParamsError):
        Tools.parse({"tools": [{"type": "web_search"}]})
