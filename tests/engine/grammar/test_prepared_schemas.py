"""JSON schemas as grammars, asked of llguidance on a vocabulary of bytes."""

from __future__ import annotations

import json
import random
import re
import string
from typing import Any

import pytest
from grammar_check import allowed, allows, matcher, random_text, schema_grammar
from hypothesis import given, settings, strategies as st
from jsonschema import Draft202012Validator

from llmroute.engine.grammar.compiling import check
from llmroute.json_schemas.refusal import GrammarError

pytestmark = pytest.mark.native

NODE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value"],
        }
    },
    "$ref": "#/$defs/node",
}
PERSON = {
    "title": "Person",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["a", "ab", "b"]}, "maxItems": 2},
    },
    "required": ["age"],
    "additionalProperties": False,
}
ODD_NAMES = {
    "type": "object",
    "properties": {
        'say "hi"': {"const": 'a "b" \\ c\n\u2028é'},
        "back\\slash\n": {"const": {"x": [1, 'q"', None, {}, []]}},
        "ünïcödé 🙂 \u0001": {"type": "null"},
    },
}
OPEN = {
    "type": "object",
    "properties": {"a": {"type": "boolean"}, 'a"b': {"type": "null"}, "": {"type": "null"}},
    "additionalProperties": {"type": "integer"},
}
_AB = {"a": {"type": "null"}}
ALL_OF = {
    "allOf": [
        {"$ref": "#/$defs/base"},
        {"properties": {"b": {"type": "null"}}, "required": ["b"]},
    ],
    "$defs": {"base": {"type": "object", "properties": _AB}},
}
LETTER = {"type": "string", "pattern": "^[a-c]$"}
PAIR = {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]}

# A schema, values that it takes, values that it doesn't.
CASES: list[tuple[Any, list[Any], list[Any]]] = [
    (True, [1, "x", None, [], {"a": [{}]}], []),
    ({"title": "any", "description": "d", "default": 1, "examples": []}, [1, {}], []),
    ({"type": "null"}, [None], [0, "null", False]),
    ({"type": "boolean"}, [True, False], [1, None, "true"]),
    ({"type": "integer"}, [0, -1, 10**17, -(10**17)], [1.5, "1", None, True]),
    ({"type": "number"}, [0, -1.5, 1e-7, 1e16, 3.141592653589793], ["1", None, True]),
    ({"type": ["string", "null"]}, ["", None, 'a"\\\n\té🙂'], [1, [], True]),
    ({"type": ["integer", "number"]}, [1, 1.5], ["x"]),
    ({"minLength": 2}, ["ab", "🙂🙂"], ["a", 1]),
    ({"type": "string", "maxLength": 3}, ["", "abc", '"\\\n'], ["abcd"]),
    ({"type": "string", "minLength": 100, "maxLength": 300}, ["x" * 100, "x" * 300], ["x" * 99]),
    ({"type": "string", "maxLength": 0}, [""], ["a"]),
    ({"type": "integer", "minimum": -12, "maximum": 345}, [-12, 0, 9, 99, 345], [-13, 346, 400]),
    ({"type": "integer", "exclusiveMinimum": 2.5, "exclusiveMaximum": 5}, [3, 4], [2, 5]),
    ({"type": "integer", "minimum": 3, "exclusiveMinimum": 3}, [4, 10], [3]),
    ({"type": "integer", "maximum": -1}, [-1, -10], [0, 1]),
    ({"type": "number", "minimum": 0, "maximum": 1}, [0, 0.5, 1, 1.0], [-0.1, 1.1, 2]),
    ({"type": "number", "exclusiveMinimum": 0}, [0.001, 1, 5.5], [0, 0.0, -1]),
    ({"type": "number", "exclusiveMinimum": -3, "exclusiveMaximum": -1}, [-2, -1.5], [-3, -1]),
    ({"enum": ["a", "ab", 1, 1.5, None, True, {"k": [1]}]}, ["ab", True, {"k": [1]}], ["b", False]),
    ({"type": "integer", "enum": ["a", 1, True, None]}, [1], ["a", True, None]),
    ({"const": {"a": [1, {}]}}, [{"a": [1, {}]}], [{"a": [1]}, {}]),
    ({"type": "string", "const": "x"}, ["x"], ["y"]),
    (PERSON, [{"age": 0}, {"name": "Ann", "age": 130, "tags": ["a", "b"]}], [{}, {"name": "A"}]),
    (PERSON, [{"age": 1, "tags": []}], [{"age": 1, "x": 1}, {"age": 131}, {"name": "", "age": 1}]),
    (NODE, [{"value": 1}, {"value": 1, "children": [{"value": 2}]}], [{"children": []}]),
    (ODD_NAMES, [{}, {'say "hi"': 'a "b" \\ c\n\u2028é'}], [{'say "hi"': ""}]),
    (ODD_NAMES, [{"back\\slash\n": {"x": [1, 'q"', None, {}, []]}, "ünïcödé 🙂 \u0001": None}], []),
    (OPEN, [{}, {"a": True}, {"a": True, "": None, "b": 1, "ab": 2}, {"c": 1}], [{"a": 1}]),
    (OPEN, [{'a"': 1, 'a"bc': 2}], [{'a"b': 1}, {"": 1}, {"b": None}]),
    ({"type": "object"}, [{}, {"x": {"y": [1]}}], [[], None]),
    ({"type": "object", "additionalProperties": {"type": "null"}}, [{}, {"x": None}], [{"x": 1}]),
    ({"type": "object", "additionalProperties": False}, [{}], [{"x": 1}]),
    ({"required": ["x"]}, [{"x": 1}, {"x": None, "y": 1}], [{}, {"y": 1}]),
    ({"properties": {"x": False, "y": {"type": "null"}}}, [{}, {"y": None}], [{"x": 1}]),
    ({"type": "array"}, [[], [1, "x", [None]]], [{}, "x"]),
    ({"items": {"type": "null"}, "minItems": 2, "maxItems": 3}, [[None] * 2], [[], [None] * 4]),
    ({"type": "array", "minItems": 70, "maxItems": 200}, [[1] * 70, [1] * 200], [[1] * 69]),
    ({"type": "array", "maxItems": 0}, [[]], [[1]]),
    (PAIR, [[], [1], [1, True]], [[True], [1, True, 1]]),
    (PAIR | {"minItems": 2}, [[1, True]], [[], [1]]),
    (PAIR | {"items": {"type": "null"}, "minItems": 3, "maxItems": 4}, [[1, True, None]], [[1]]),
    ({"anyOf": [{"type": "integer"}, {"items": {"$ref": "#"}}]}, [1, [], [1, [2]]], ["x", [None]]),
    ({"oneOf": [{"type": "integer"}, {"type": "null"}], "title": "t"}, [1, None], ["x"]),
    (ALL_OF, [{"b": None}, {"a": None, "b": None}], [{}, {"a": None}]),
    ({"allOf": [{"type": "integer"}], "description": "d"}, [1], ["x"]),
    (LETTER, ["a", "c"], ["", "d", "ab"]),
    ({"pattern": "^\\w+$"}, ["a_1"], ["", "a b"]),
    ({"pattern": "^(ab|c){2,3}x?$"}, ["abab", "ccabx"], ["ab", "x"]),
    ({"pattern": 'a"[^b-d]\\\\'}, ['a"x\\', 'zza"x\\zz'], ['a"b\\']),
    ({"pattern": "^\\u0041\\x42[\\d\\-]*?$|^$"}, ["AB", "AB1-", ""], ["A", "x"]),
    ({"pattern": "^[^\\s]\\S.$"}, ["abc", "ab "], ["a c", " bc"]),
    ({"format": "date"}, ["2024-02-29", "2023-12-31"], ["2023-02-29", "2023-13-01", "x"]),
    ({"format": "date-time"}, ["2024-02-29T23:59:59.5Z"], ["2024-02-29", "2024-01-01T24:00:00Z"]),
    ({"format": "time"}, ["23:59:59+02:00"], ["25:00:00Z"]),
    ({"format": "duration"}, ["P1D", "PT1H30M", "P2DT5S"], ["P", "1D", "PT"]),
    ({"format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
    ({"format": "email"}, ["a.b+c@example.org"], ["a@b", "@example.org"]),
    ({"format": "hostname"}, ["a-b.example.org"], ["-a.org", ".org"]),
    ({"format": "ipv4"}, ["255.10.0.1"], ["256.0.0.1", "1.2.3"]),
    ({"format": "ipv6"}, ["1:2:3:4:5:6:7:abcd"], ["1:2"]),
    ({"format": "uri"}, ["https://example.org:8080/a?b=c#d", "ftp://x.org"], ["x.org", "//"]),
    ({"type": "string", "maxLength": 10_000}, ["x" * 10_000], ["x" * (10_000 + 1)]),
]
_SPELLINGS = [{}, {"separators": (",", ":")}, {"indent": 2}]


def _name(case: Any) -> str:
    return "-".join(f"{key}" for key in case)[:60] if isinstance(case, dict) else ""


@pytest.mark.parametrize(("schema", "valid", "invalid"), CASES, ids=_name)
def test_the_grammar_takes_what_is_valid_and_nothing_else(
    schema: Any, valid: list[Any], invalid: list[Any]
) -> None:
    grammar = schema_grammar(schema)
    checker = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for value in valid:
        checker.validate(value)
        for spelling in _SPELLINGS:
            assert allows(grammar, json.dumps(value, ensure_ascii=False, **spelling)), value
    for value in invalid:
        assert not allows(grammar, json.dumps(value, ensure_ascii=False)), value


@pytest.mark.parametrize("schema", [case[0] for case in CASES], ids=_name)
def test_whatever_is_written_by_the_grammar_is_valid(schema: Any) -> None:
    grammar = schema_grammar(schema)
    chance = random.Random(json.dumps(schema))
    checker = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for _ in range(5):
        text = random_text(grammar, chance)
        if text is not None:
            checker.validate(json.loads(text))


# A character 127 is written as an escape only.
_TEXTS = st.text(st.characters(exclude_characters="\x7f", codec="utf-8"), max_size=6)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(_JSON)
def test_any_value_can_be_a_constant_and_any_value(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert allows(schema_grammar({"const": value}), text)
    assert allows(schema_grammar({"enum": [value, "another"]}), text)
    assert allows(schema_grammar(True), text)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(_TEXTS, st.integers(0, 9), max_size=6), st.data())
def test_any_names_of_properties(members: dict[str, int], data: st.DataObject) -> None:
    names = list(members)
    required = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    shown = [name for name in names if name in required or data.draw(st.booleans())]
    schema = {"properties": {name: {"type": "integer"} for name in names}, "required": required}
    grammar = schema_grammar(
        {"type": "object", "additionalProperties": {"const": "extra"}} | schema
    )
    value: dict[str, Any] = {name: members[name] for name in shown}
    assert allows(grammar, json.dumps(value, ensure_ascii=False))
    other = data.draw(_TEXTS.filter(lambda text: text not in names))
    assert allows(grammar, json.dumps(value | {other: "extra"}, ensure_ascii=False))
    for name in required:
        less = {key: item for key, item in value.items() if key != name}
        assert not allows(grammar, json.dumps(less, ensure_ascii=False))


@settings(max_examples=150, deadline=None)
@given(st.integers(-2000, 2000), st.integers(0, 3000), st.integers(-3000, 6000))
def test_integers_within_bounds_exactly(low: int, span: int, value: int) -> None:
    schema = {"type": "integer", "minimum": low, "maximum": low + span}
    grammar = schema_grammar(schema)
    for number in (value, low, low - 1, low + span, low + span + 1):
        assert allows(grammar, str(number)) == (low <= number <= low + span)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(-20, 20),
    st.integers(1, 20),
    st.booleans(),
    st.booleans(),
    st.integers(-40_000, 40_000).map(lambda thousandths: thousandths / 1000),
)
def test_numbers_within_bounds(low: int, span: int, above: bool, below: bool, value: float) -> None:
    high = low + span
    lower = {"exclusiveMinimum" if above else "minimum": low}
    upper = {"exclusiveMaximum" if below else "maximum": high}
    fits = (low < value if above else low <= value) and (value < high if below else value <= high)
    assert allows(schema_grammar({"type": "number"} | lower | upper), repr(value)) == fits


@settings(max_examples=100, deadline=None)
@given(_TEXTS, st.integers(0, 6), st.integers(0, 6))
def test_strings_by_their_length(text: str, low: int, span: int) -> None:
    grammar = schema_grammar({"type": "string", "minLength": low, "maxLength": low + span})
    fits = low <= len(text) <= low + span
    assert allows(grammar, json.dumps(text, ensure_ascii=False)) == fits
    if all(ord(character) < 0x10000 for character in text):
        assert allows(grammar, json.dumps(text)) == fits  # \u escapes are one character too


_PATTERNS = [
    "^[a-z]+@[a-z]+\\.(com|org)$",
    "[0-9]{3}-[0-9]{4}",
    "^(a|bc)*d?$",
    "^[^abc]{1,3}$",
    "^.{2,4}$",
    "^a|b$",
    "^(?:x{2}){1,3}$",
    "^[\\]\\[\\^\\-a]+$",
    "^[-a]+$|^[+-]\\d$",
    "\\$\\(\\)",
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(_PATTERNS), st.data())
def test_patterns_mean_what_python_means(pattern: str, data: st.DataObject) -> None:
    letters = st.text(st.sampled_from('abcdxyz0123@.-com+$()[]^"\\é🙂'), max_size=8)
    text = data.draw(st.from_regex(pattern, alphabet=string.printable[:95]) | letters)
    grammar = schema_grammar({"type": "string", "pattern": pattern})
    found = re.search(
        pattern.replace("$|", "\\Z|").removesuffix("$") + ("\\Z" if pattern.endswith("$") else ""),
        text,
    )
    assert allows(grammar, json.dumps(text, ensure_ascii=False)) == bool(found)


def test_json_objects() -> None:
    grammar = schema_grammar({"type": "object"})
    for text in ("{}", '{ "a": [1, {"b": null}] }', '{\n  "a": "\\u00e9\\n"\n}'):
        assert allows(grammar, text)
    bad = ["[]", "1", "", "{", '{"a":1,}', '{"a":"\n"}', '{"a":"\x00"}', "{}  ", '{"a":"\\ud83d"}']
    for text in [*bad, '{"a":01}', '{"a":"' + "\x1f" + '"}', "{" + "\n" * 5 + "}"]:
        assert not allows(grammar, text)


def test_properties_come_in_the_order_of_the_schema() -> None:
    base = {"type": "object", "properties": {"first": {"type": "null"}}}
    schema = {"allOf": [{"$ref": "#/$defs/base"}], "properties": {"own": {"type": "null"}}}
    grammar = schema_grammar({**schema, "$defs": {"base": base}})
    assert allows(grammar, '{"first": null, "own": null}')
    assert not allows(grammar, '{"own": null, "first": null}')
    swapped = {"properties": schema["properties"], "allOf": schema["allOf"]}
    grammar = schema_grammar({**swapped, "$defs": {"base": base}})
    assert allows(grammar, '{"own": null, "first": null}')


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        # An object is closed over all that lists its properties, and open where any part says so.
        (ALL_OF, [{"a": None, "b": None}], [{"a": None, "b": None, "c": 1}]),
        (
            {"properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            [{"a": 1}, {"b": 1}],
            [{}, {"c": 1}],
        ),
        (
            {
                "properties": {"kind": {"const": "x"}},
                "anyOf": [{"properties": {"one": {}}}, {"properties": {"two": {}}}],
            },
            [{"kind": "x", "one": 1}, {"two": 2}],
            [{"one": 1, "two": 2}, {"three": 3}],
        ),
        (
            {"allOf": [{"properties": {"a": {}}}, {"additionalProperties": {"type": "integer"}}]},
            [{"a": 1, "b": 2}],
            [{"a": 1, "b": "x"}],
        ),
        (
            {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
            [{"a": 1}],
            [{"b": 1}],
        ),
        ({"properties": {"a": {}}, "required": ["b"]}, [{"a": 1, "b": 2}, {"b": 1}], [{"a": 1}]),
        ({"patternProperties": {"^x": {"type": "null"}}}, [{"x1": None}], [{"y": None}]),
        (
            {"propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "null"}},
            [{"a": None}, {}],
            [{"c": None}, {"a": 1}],
        ),
    ],
)
def test_objects_have_the_properties_that_are_listed(
    schema: Any, valid: list[Any], invalid: list[Any]
) -> None:
    grammar = schema_grammar({"type": "object", **schema})
    assert all(allows(grammar, json.dumps(value)) for value in valid)
    assert not any(allows(grammar, json.dumps(value)) for value in invalid)


_LOOP = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
_ENDLESS = {"properties": {"a": {"$ref": "#"}}, "required": ["a"]}
_DEEP: Any = {}
for _ in range(900):
    _DEEP = {"items": _DEEP}


def chained(length: int, link: Any) -> Any:
    """Definitions each of which leads to the next; `link` makes one, given the next one's name."""
    definitions = {f"a{n}": link({"$ref": f"#/$defs/a{n + 1}"}) for n in range(length)}
    return {"$defs": {**definitions, f"a{length}": {"type": "null"}}, "$ref": "#/$defs/a0"}


# A schema, where it goes wrong, and a word of why.
REFUSED: list[tuple[Any, str, str]] = [
    ({"type": "text"}, "#", "type"),
    ({"type": []}, "#", "type"),
    ({"type": None}, "#", "type"),
    ({"type": ["string", 1]}, "#", "type"),
    ({"enum": []}, "#", "enum"),
    ({"enum": "abc"}, "#", "enum"),
    ({"enum": ["a"], "type": "integer"}, "", "incompatible"),
    ({"enum": ["a"], "minLength": 3}, "", ""),
    ({"const": 1, "type": "string"}, "", "incompatible"),
    ({"const": "\ud800"}, "#", "Unicode"),
    ({"properties": {"\ud800": {}}}, "#", "Unicode"),
    ({"const": float("nan")}, "", "JSON"),
    ({"const": {1, 2}}, "", "JSON"),
    ({"const": 2**60}, "#", "const"),
    ({"anyOf": []}, "#", "anyOf"),
    ({"anyOf": [{"type": "null"}, {"$ref": "#/nowhere"}]}, "#/anyOf/1", "nowhere"),
    ({"anyOf": [{"type": "null"}, {"$ref": "#/anyOf/" + "9" * 5000}]}, "#/anyOf/1", "nowhere"),
    ({"allOf": [{"type": "string"}, {"type": "null"}]}, "", "incompatible"),
    (_LOOP, "", "itself"),
    ({"$ref": "#"}, "", "itself"),
    ({"$ref": "https://example.org/schema.json"}, "#", "$ref"),
    ({"$ref": "file:///etc/passwd"}, "#", "$ref"),
    ({"$ref": "other.json#/a"}, "#", "$ref"),
    ({"$ref": 3}, "#", "$ref"),
    (_ENDLESS, "", "itself"),
    ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "", "itself"),
    ({"type": "string", "minLength": 10**30}, "#", "minLength"),
    ({"type": "string", "minLength": 1e400}, "", "JSON"),
    ({"type": "string", "minLength": 5, "maxLength": 4}, "", "minLength"),
    ({"type": "string", "minLength": -1}, "#", "minLength"),
    ({"type": "string", "minLength": 1.5}, "#", "minLength"),
    ({"type": "string", "minLength": True}, "#", "minLength"),
    ({"type": "array", "items": False, "minItems": 1}, "", ""),
    ({"type": "integer", "minimum": 5, "maximum": 4}, "", ""),
    ({"type": "integer", "minimum": 10**30}, "#", "no integer"),
    ({"type": "integer", "minimum": 10**4000}, "#", "minimum"),
    ({"type": "integer", "minimum": "1"}, "#", "minimum"),
    ({"type": "integer", "multipleOf": 0}, "#", "multipleOf"),
    ({"type": "string", "format": ["date"]}, "#", "format"),
    ({"type": "string", "pattern": 3}, "#", "pattern"),
    ({"type": "object", "required": "a"}, "#", "required"),
    ({"type": "object", "properties": []}, "#", "properties"),
    ({"additionalProperties": False, "required": ["a"]}, "", ""),
    ({"properties": {f"p{n}": {} for n in range(5000)}}, "#", "properties"),
    ({"description": "x" * 1_100_000}, "", "1,000,000"),
    (_DEEP, "#", "nested"),
    (chained(1500, lambda next: {"type": "array", "items": next}), "", "definition"),
    (chained(700, lambda next: {"anyOf": [next, {"type": "null"}]}), "", "definition"),
    (chained(400, lambda next: {"allOf": [next, {"type": "null"}]}), "", "definition"),
    ([], "#", "object"),
    (False, "", "match"),
    ({"not": {}}, "", "match"),
    *(
        ({"type": "string", "pattern": pattern}, "#", "pattern")
        for pattern in [
            "a(?=b)", "(?!a)b|c", "(?<!a)b", "(?i)a", "(a)\\1", "\\bword", "a**", "a{2}{3}", "*a",
            "a{3,2}", "a{99999999}", "(a", "a)", "[a", "[]", "[z-a]", "a^b", "a$b", "\\", "\\x4",
            "\\ug000", "\\A", "(" * 100 + ")" * 100, "x" * 6000, "\\ud800",
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "path", "word"), REFUSED, ids=_name)
def test_what_cannot_be_held_to_is_refused(schema: Any, path: str, word: str) -> None:
    with pytest.raises(GrammarError) as caught:
        check(schema_grammar(schema))
    assert word in str(caught.value)
    assert len(str(caught.value)) < 500
    if path:
        assert (caught.value.path or "").startswith(path[:100])


def test_large_schemas_are_borne() -> None:
    wide = {"properties": {f"property_{n}": {"type": "integer"} for n in range(900)}}
    for schema in (
        wide,
        {"enum": [f"value {n}" for n in range(9000)]},
        {"type": "array", "items": wide, "minItems": 500},
        {"type": "string", "minLength": 9_999, "maxLength": 10**9},
        {"type": "string", "pattern": "^(((a{99}){99}){99}){99}$"},
        {"type": "string", "pattern": "^(((a{0,99}b){0,99}c){0,99}d){0,99}$"},
        {"type": "string", "pattern": "^(a?){1000}$"},
        {"anyOf": [{"properties": {"same": {"const": n}}} for n in range(1000)]},
        {"type": "string", "pattern": "(a|b)*c" * 100},
        {"properties": {"x" * 190_000: {}}, "additionalProperties": True},
        {"type": "integer", "multipleOf": 10**9 + 7},
    ):
        grammar = schema_grammar(schema)
        check(grammar)
        assert allowed(matcher(grammar))
    assert allows(schema_grammar(wide), json.dumps({"property_7": 1, "property_399": 2}))
