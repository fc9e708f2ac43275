"""Finished values checked against schemas: exactly, and never for long."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("llguidance")
from llmroute.json_schemas.keywords import TREATMENTS
from llmroute.json_schemas.matching import has_match
from llmroute.json_schemas.modern import modern
from llmroute.json_schemas.refusal import GrammarError
from llmroute.json_schemas.validity import problem_of


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"multipleOf": 0.1}, [0.3, 1, 10**20], [0.35]),
        ({"multipleOf": 7}, [14, 0, -7.0], [1, 10**30]),
        ({"uniqueItems": True}, [[1, "1"], []], [[1, 1.0], [{}, {}]]),
        ({"pattern": "^\\p{L}+$"}, ["é", 3], ["1"]),
        ({"not": {"pattern": "x"}}, ["a"], ["axa"]),
        ({"patternProperties": {"^i": {"type": "integer"}}}, [{"i": 1, "x": ""}], [{"i": ""}]),
        (
            {
                "patternProperties": {"^i": {}},
                "properties": {"a": {}},
                "additionalProperties": False,
            },
            [{"i": 1, "a": 1}],
            [{"b": 1}],
        ),
        ({"items": [{"type": "integer"}], "additionalItems": False}, [[1]], [[""], [1, 2]]),
        ({"minimum": 3, "exclusiveMinimum": True}, [4], [3]),
        ({"dependencies": {"a": ["b"]}}, [{"a": 1, "b": 1}], [{"a": 1}]),
        ({"dependencies": {"a": {"required": ["b"]}}}, [{"a": 1, "b": 1}], [{"a": 1}]),
        ({"contains": {"const": 1}, "minContains": 2}, [[1, 1]], [[1]]),
        ({"$ref": "#/x/y", "x": {"y": {"type": "null"}}}, [None], [1]),
        ({"format": "date", "contentEncoding": "base64", "x-y": 1}, ["no date"], []),
    ],
)
def test_values_are_judged(schema: Any, valid: list[Any], invalid: list[Any]) -> None:
    assert [problem_of(value, schema) for value in valid] == [None] * len(valid)
    assert all(problem_of(value, schema) for value in invalid)


def test_the_problem_is_told_with_its_place() -> None:
    problem = problem_of({"a": [1, 7]}, {"properties": {"a": {"items": {"multipleOf": 7}}}})
    assert problem == "1 is not a multiple of 7 at $.a[0]"


def test_no_schema_takes_long() -> None:
    doubling = {f"a{n}": {"oneOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 10} for n in range(40)} | {
        "a40": {"type": "string"}
    }
    evil = {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}
    begun = time.monotonic()
    assert problem_of("x", {"$ref": "#/$defs/a0", "$defs": doubling}) is None
    assert problem_of({"a" * 5000 + "!": 1}, evil)
    assert not has_match("^(a|aa)+$", "a" * 20_000 + "!")
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        ("a|b$", ["xax", "xb"], ["bx"]),
        ("(^foo$)|(^bar$)", ["foo", "bar"], ["xfoo", "bars"]),
        ("^(?=.*\\d)(?=.*[a-z]).{4,}$", ["abc1"], ["abcd", "1234"]),
        ("^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$", ["1.5", "+2"], ["", "+", "."]),
        ("[[]", ["["], ["]"]),
        ("^a{,3}$", ["a{,3}"], ["aaa"]),
        ('^[^\\\\"]*$', ["a\n"], ["a\\", '"']),
        ("^[\\w-.]+$", ["a-b.c"], ["a b"]),
        ("(?<year>\\d{4})", ["in 2024"], ["24"]),
        ("^\\ud83d\\ude42$", ["🙂"], ["🙃"]),
    ],
)
def test_patterns(pattern: str, found: list[str], not_found: list[str]) -> None:
    assert all(has_match(pattern, text) for text in found)
    assert not any(has_match(pattern, text) for text in not_found)


def test_annotations_are_left_out() -> None:
    schema = {"title": "t", "x-a": {"type": "bad"}, "default": 1, "type": "integer", "enum": [1]}
    assert modern(schema).root == {"type": "integer", "enum": [1]}


def test_every_keyword_has_a_treatment() -> None:
    """Those of draft 2020-12 that say which values are valid, as `jsonschema` knows them."""
    from jsonschema import Draft202012Validator

    known = set(Draft202012Validator.VALIDATORS) | {"then", "else", "minContains", "maxContains"}
    assert known - {"format", "$dynamicRef"} == set(TREATMENTS)


def test_what_is_no_schema() -> None:
    with pytest.raises(GrammarError, match="object"):
        problem_of(1, {"items": 3})
