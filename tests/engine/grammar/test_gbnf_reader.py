"""Grammars in GBNF: read, checked and written as Lark."""

from __future__ import annotations

import pytest
from gbnf_reference import Reference
from grammar_check import allows
from hypothesis import given, settings, strategies as st

from llmroute.engine.grammar.compiling import check
from llmroute.engine.grammar.gbnf_reader import read_gbnf
from llmroute.engine.grammar.gbnf_writer import write_lark
from llmroute.engine.grammar.tree import Alt, Chars, Expr, Lit, Ref, Repeat, Seq
from llmroute.json_schemas.refusal import GrammarError

pytestmark = pytest.mark.native

ARITHMETIC = r"""
# sums
root  ::= term (("+" | "-")   # either
          term)* ";"?
term  ::= number |
    "(" root ")"
number ::= [0-9]{1,3} ("." [0-9]+)?
"""
JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array  ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]+)? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
LETTERS = r'root ::= "\"\\\n\x41\u00e9\U0001F642" [^a-z\]-]{2} .? [\[x-]'


@pytest.mark.parametrize(
    ("grammar", "valid", "invalid"),
    [
        ('root ::= "yes" | "no"', ["yes", "no"], ["", "yesno", "y"]),
        (ARITHMETIC, ["1", "12.5+(3-4;);", "999"], ["1000", "1+", "()"]),
        (LETTERS, ['"\\\nAé🙂AB[', '"\\\nAé🙂ABéx'], ['"\\\nAé🙂aB[', '"\\\nAé🙂AB]']),
        ('root ::= a-1 item-1\na-1 ::= "a"{2,}\r\nitem-1 ::= ("b" "c"){0,2}', ["aabcbc"], ["a"]),
        ('root ::= "a"? "b"+ "c"{3}', ["bccc", "abbccc"], ["accc", "bcc"]),
        ("root ::= [a-c] root | [x]", ["x", "abcx"], ["", "a"]),
        ('root ::= ""', [""], ["a"]),
        ('root ::= root "a" | "b"', ["b", "baa"], ["", "ab"]),
        ('root ::= ("a"*)* "b"', ["b", "aab"], ["a"]),
        ('root ::= "a"{10001}', ["a" * 10_001], ["a" * 10_000]),
        ("root ::= start\nstart ::= rule-1\nrule-1 ::= [a-b]", ["a"], ["c"]),
        # What one part takes too much of, the next one must still get.
        ('root ::= [a-z]* "b"', ["b", "aab", "bb"], ["", "ba"]),
        ('root ::= "(" root ")" | [a-z]* "b"', ["(aab)", "((b))"], ["(a)"]),
        ('root ::= x "abd" | x "ab" "c"\nx ::= "(" x ")" | ""', ["()abd", "abc"], ["ab"]),
        (r'root ::= "\x00" [\x00-\x1F]', ["\x00\x1f"], ["\x00a"]),
        (JSON, ['{"a": [1, "x\\n", null], "b": {"c": -1.5e3}}', "{ }"], ['{"a" : }', "[]"]),
    ],
)
def test_grammars_mean_what_they_say(grammar: str, valid: list[str], invalid: list[str]) -> None:
    taken = read_gbnf(grammar)
    assert all(allows(taken, text) for text in valid)
    assert not any(allows(taken, text) for text in invalid)


@pytest.mark.parametrize(
    "grammar",
    [
        "",
        "root ::= (",
        "root ::= )",
        'root ::= "a',
        "root ::= [a",
        "root ::= [b-a]",
        "root = a",
        "root ::= a",
        'x ::= "a"',
        'root ::= "a" }',
        'root ::= "a"{2,1}',
        'root ::= "a"{99999999}',
        'root ::= "\\q"',
        'root ::= "\\x4"',
        'root ::= "\\U00110000"',
        "root ::= [\\uD800]",
        "root ::= root",
        'root ::= "a" root',
        "root ::= []",
        "root ::= * ",
        "root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000,
        "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1}\n" for n in range(5000)) + 'r5000 ::= "a"',
        'root ::= "' + "a" * 300_000 + '"',
        'root ::= "a"{100001}',
        'root ::= "a"' + "{9}" * 20_000,
        "root ::= !<think>",
    ],
    ids=lambda grammar: grammar[:30],
)
def test_what_cannot_be_borne_is_refused(grammar: str) -> None:
    with pytest.raises(GrammarError):
        read_gbnf(grammar)


_PIECES = [
    "root",
    "::=",
    "x",
    '"a"',
    "[a-z]",
    "(",
    ")",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "\n",
    " ",
    ".",
    "#",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=12).map(" ".join))
def test_whatever_is_read_llguidance_takes(rule: str) -> None:
    try:
        taken = read_gbnf(f"root ::= {rule}")
    except GrammarError:
        return
    check(taken)


_ATOMS = st.sampled_from([Lit("a"), Lit("ab"), Lit("ba"), Lit("c"), Lit("")]) | st.sampled_from(
    [Chars(((97, 98),)), Chars(((97, 99),)), Ref("root"), Ref("x"), Ref("y")]
)
_EXPRS: st.SearchStrategy[Expr] = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Seq(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: Alt(tuple(options))),
        st.tuples(inner, st.sampled_from([(0, None), (1, None), (0, 1), (2, 2), (1, 2)])).map(
            lambda pair: Repeat(pair[0], *pair[1])
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=250, deadline=None)
@given(_EXPRS, _EXPRS, _EXPRS, st.lists(st.text("abc", max_size=5), min_size=10, max_size=25))
def test_rules_mean_the_same_as_lark(root: Expr, x: Expr, y: Expr, texts: list[str]) -> None:
    """Also where a terminal, which is read as far as it goes, would take too much."""
    rules = {"root": root, "x": x, "y": y}
    try:
        written = write_lark(rules)
    except GrammarError:
        assert not any(map(Reference(rules).matches, texts))
        return
    check(written)
    for text in texts:
        assert allows(written, text) == Reference(rules).matches(text), text


def test_tokens_of_the_vocabulary() -> None:
    written = read_gbnf('root ::= <[7]> "x" !<[8]> | <think>')
    assert "<[7]>" in written
    assert "<[^8]>" in written
    assert "<think>" in written


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= " + " | ".join(['"a"'] * 4900),
        "root ::= " + " | ".join(f'"k{n}" root' for n in range(1500)) + ' | "x"',
        "root ::= a0\n" + "".join(f"a{n} ::= a{n + 1}\n" for n in range(290)) + 'a290 ::= "x"',
        'root ::= a{9999}\na ::= b{9999}\nb ::= c{9999}\nc ::= "x"',
        "root ::= " + '"a"? ' * 900,
    ],
    ids=lambda grammar: grammar[:30],
)
def test_large_grammars_are_borne(grammar: str) -> None:
    check(read_gbnf(grammar))
