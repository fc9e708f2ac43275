"""Grammars that callers write: read, checked and written anew for llama.cpp."""

from __future__ import annotations

import pytest
from grammar_check import allows
from hypothesis import given, settings, strategies as st

from llmroute.engine.grammar.gbnf_reader import read_gbnf
from llmroute.engine.grammar.tree import GrammarError

pytestmark = pytest.mark.native

ARITHMETIC = r"""
# sums
root  ::= term (("+" | "-")   # either
          term)* ";"?
term  ::= number |
    "(" root ")"
number ::= [0-9]{1,3} ("." [0-9]+)?
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
        'root ::= "\\x00"',
        'root ::= "\\U00110000"',
        "root ::= [\\uD800]",
        "root ::= root",
        'root ::= root "a" | "b"',
        'root ::= x root "a" | "b"\nx ::= ""',
        'root ::= (""*)*',
        'root ::= ("a"*)* "b"',
        'root ::= "a" root',
        'root ::= ("a"?){60}',
        "root ::= " + '"a"? ' * 900,
        "root ::= []",
        "root ::= * ",
        "root ::= <[7]>",
        "root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000,
        "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1}\n" for n in range(5000)) + 'r5000 ::= "a"',
        'root ::= "' + "a" * 300_000 + '"',
        "root ::= " + '"a"{10001}',
    ],
    ids=lambda grammar: grammar[:30],
)
def test_what_llama_cpp_could_not_bear_is_refused(grammar: str) -> None:
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
def test_whatever_is_taken_llama_cpp_takes(rule: str) -> None:
    try:
        taken = read_gbnf(f"root ::= {rule}")
    except GrammarError:
        return
    allows(taken, "ab")  # asserts that llama.cpp accepts the grammar
