"""Arguments as they are written, in the types that schemas give them, and always JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from taken_apart import read, read_every_way

from llmroute.engine.tools.families import GENERIC
from llmroute.engine.tools.families.dsml import DSML
from llmroute.engine.tools.families.glm import GLM
from llmroute.engine.tools.families.lfm import LFM
from llmroute.engine.tools.families.llama import LLAMA
from llmroute.engine.tools.families.qwen_coder import QWEN_CODER

STRING = {"type": "string"}
OPTIONAL = {"anyOf": [STRING, {"type": "null"}]}
DEFS = {"$defs": {"S": STRING, "N": {"$ref": "#/$defs/M"}, "M": {"type": ["integer", "null"]}}}


@pytest.mark.parametrize(
    ("schema", "written", "expected"),
    [
        (STRING, "42", "42"),
        (STRING, "null", "null"),
        (STRING, ' "a" ', ' "a" '),
        (STRING, "{\n}", "{\n}"),
        (OPTIONAL, "10115", "10115"),
        (OPTIONAL, "true", "true"),
        (OPTIONAL, "null", None),
        ({"enum": ["7", "8"]}, "7", "7"),
        ({"enum": [7, 8]}, "7", 7),
        ({"enum": [7, "8"]}, "8", 8),
        ({"const": "7"}, "7", "7"),
        ({"$ref": "#/$defs/S"}, "7", "7"),
        ({"$ref": "#/$defs/N"}, "null", None),
        ({"$ref": "#/$defs/N"}, "7", 7),
        ({"allOf": [{"$ref": "#/$defs/S"}, {"minLength": 1}]}, "7", "7"),
        ({"oneOf": [{"type": "object"}, STRING]}, '{"a": 1}', {"a": 1}),
        ({"oneOf": [{"type": "object"}, STRING]}, "{a", "{a"),
        ({"type": ["string", "integer"]}, "7", 7),
        ({"type": ["string", "integer"]}, "7.5", "7.5"),
        ({"type": ["string", "integer"]}, "7 apples", "7 apples"),
        ({"type": "integer"}, " 7 ", 7),
        ({"type": "integer"}, "seven", "seven"),
        ({"type": "number"}, "-0.5e3", -500.0),
        ({"type": "boolean"}, "True", True),
        ({"type": "null"}, "None", None),
        ({"type": "number"}, "NaN", "NaN"),
        ({"type": "number"}, "Infinity", "Infinity"),
        ({"type": "array"}, "[1, [2]]", [1, [2]]),
        ({"type": "object"}, '{\'a\': True, "b": "x\ny"}', {"a": True, "b": "x\ny"}),
        ({"type": "array"}, "[1, 2,", "[1, 2,"),
        ({}, "7", 7),
        ({}, "007", "007"),
        ({}, "[1, 2", "[1, 2"),
        ({"$ref": "#/$defs/none"}, "7", 7),
        ({"$ref": "#/properties/x"}, "7", 7),
        ({"anyOf": [{"$ref": "#/properties/x"}, {"type": "integer"}]}, "7", 7),
    ],
)
@pytest.mark.parametrize("family", [QWEN_CODER, GLM], ids=lambda family: family.name)
def test_a_value_in_tags_has_the_type_of_its_schema(
    family: Any, schema: Any, written: str, expected: Any
) -> None:
    pairs = family.syntax.pairs
    before, after = family.syntax.around("f")
    text = before + pairs.before.replace("{key}", "x") + written + pairs.after + after
    result = read_every_way(family, text, schemas={"f": {"properties": {"x": schema}, **DEFS}})
    assert [json.loads(arguments) for _, arguments in result.calls] == [{"x": expected}]


@pytest.mark.parametrize("number", ["1e400", "123456789012345678901234567890", "1.50", "-0"])
def test_numbers_stay_as_they_are_written(number: str) -> None:
    text = f"<function=now>\n<parameter=x>\n{number}\n</parameter>\n</function>"
    assert read(QWEN_CODER, [text]).calls == [("now", f'{{"x": {number}}}')]


def test_an_end_of_a_value_counts_only_where_a_value_can_end() -> None:
    code = 'x = "</parameter>"\n</parameter> <b>\n</function>'
    text = f"<function=get_weather>\n<parameter=city>\n{code}\n</parameter>\n</function>"
    ((_, arguments),) = read_every_way(QWEN_CODER, text).calls
    assert json.loads(arguments) == {"city": code}


def test_properties_are_found_behind_references() -> None:
    schemas = {"f": {"$ref": "#/$defs/F", "$defs": {"F": {"properties": {"x": STRING}}}}}
    text = "<function=f>\n<parameter=x>\n7\n</parameter>\n</function>"
    assert read(QWEN_CODER, [text], schemas=schemas).calls == [("f", '{"x": "7"}')]


def test_a_schema_that_branches_without_end_takes_no_time() -> None:
    names = [f"d{number}" for number in range(60)]
    branches = {
        name: {"anyOf": [{"$ref": f"#/$defs/{after}"}, {"$ref": f"#/$defs/{after}"}]}
        for name, after in zip(names, [*names[1:], "d0"], strict=True)
    }
    schema = {"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": branches}
    text = "<function=f>\n<parameter=x>\n7\n</parameter>\n</function>"
    assert read(QWEN_CODER, [text], schemas={"f": schema}).calls == [("f", '{"x": 7}')]


def test_dsml_says_what_is_text() -> None:
    text = "".join(
        f'<｜DSML｜parameter name="{key}" string="{is_text}">7</｜DSML｜parameter>\n'
        for key, is_text in [("a", "true"), ("b", "false"), ("n", "true"), ("city", "false")]
    )
    text = f'<｜DSML｜invoke name="get_weather">\n{text}</｜DSML｜invoke>'
    ((_, arguments),) = read(DSML, [text]).calls
    assert json.loads(arguments) == {"a": "7", "b": 7, "n": 7, "city": "7"}


# JSON, nearly


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{"a": "one\ntwo\tthree"}', {"a": "one\ntwo\tthree"}),
        ('{"a": "C:\\dir \\u00e9 \\n \\" \\u12"}', {"a": 'C:\\dir é \n " \\u12'}),
        ("{'a': 'it\\'s \"x\"'}", {"a": 'it\'s "x"'}),
        ('{a: b c, "d": True, "e": None}', {"a": "b c", "d": True, "e": None}),
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('{"a": 1 , , "b": "x" "c": 2}', {"a": 1, "b": "x", "c": 2}),
        ('{"a": NaN, "b": 007}', {"a": "NaN", "b": "007"}),
        ('{"a", "b": , "c": }', {"a": None, "b": None, "c": None}),
        ('{"a": [, 1, , 2], , "b": 3}', {"a": [1, 2], "b": 3}),
        ('{"a": {"b": [}]', {"a": {"b": []}}),
    ],
)
def test_arguments_that_are_nearly_json_become_json(written: str, expected: Any) -> None:
    text = f'<tool_call>\n{{"name": "now", "arguments": {written}}}\n</tool_call>'
    result = read_every_way(GENERIC, text)
    assert [json.loads(arguments) for _, arguments in result.calls] == [expected]


@pytest.mark.parametrize("nothing", ["null", '""', '"{}"', "{}"])
def test_no_arguments_are_an_empty_object(nothing: str) -> None:
    text = f'<tool_call>{{"name": "now", "arguments": {nothing}}}</tool_call>'
    assert read_every_way(GENERIC, text).calls == [("now", "{}")]


def test_arguments_as_text_are_made_json_too() -> None:
    text = '<tool_call>{"name": "now", "arguments": "{\\"a\\": \'x\'}"}</tool_call>'
    ((_, arguments),) = read(GENERIC, [text]).calls
    assert json.loads(arguments) == {"a": "x"}


# Python


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("'it\\'s'", "it's"),
        ('"a\nb"', "a\nb"),
        ('"""say "hi"\n"""', 'say "hi"\n'),
        ("'\\x41\\u00e9\\t\\q\\\n'", "Aé\t\\q"),
        ('""', ""),
        ("(1, 'two', (3,))", [1, "two", [3]]),
        ("{1: 'one', 'k': False}", {"1": "one", "k": False}),
        ("-1.5e-3", -0.0015),
        ("get-weather", "get-weather"),
        ("[True, false, None, null]", [True, False, None, None]),
    ],
)
def test_values_as_python_writes_them(written: str, expected: Any) -> None:
    result = read_every_way(LFM, f"<|tool_call_start|>[now(a={written}, b=1)]<|tool_call_end|>")
    assert [json.loads(arguments) for _, arguments in result.calls] == [{"a": expected, "b": 1}]


def test_names_with_dashes_are_not_mixed_up() -> None:
    schemas = {"get-x": {}, "get_x": {}}
    text = '[get_x(note="run get-x(1)"), get-x()]'
    assert read_every_way(LLAMA, text, schemas=schemas).calls == [
        ("get_x", '{"note": "run get-x(1)"}'), ("get-x", "{}")
    ]  # fmt: skip


def test_what_follows_a_call_that_goes_wrong_is_text() -> None:
    assert read_every_way(LLAMA, "[now(a=1), 3]").content == ", 3]"
    assert read_every_way(LLAMA, "[now(a=1, **{})]").calls == [("now", '{"a": 1}')]
