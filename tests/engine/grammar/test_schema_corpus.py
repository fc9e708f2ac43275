"""A corpus of schemas: what is forced is valid, what is not is told, the rest names its keyword."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("llguidance")
from grammar_check import random_text, schema_grammar
from jsonschema import Draft202012Validator, ValidationError, validators
from schema_corpus import corpus

from llmroute.engine.grammar.compiling import check
from llmroute.json_schemas.refusal import GrammarError
from llmroute.json_schemas.validity import problem_of

pytestmark = pytest.mark.native

CORPUS = list(corpus())
HELD = [row for row in CORPUS if row[2] in ("forced", "checked", "forced or checked")]
REFUSED = [row for row in CORPUS if row not in HELD]


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 150
    assert len({name for name, _, _ in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize(("name", "schema", "how"), HELD, ids=_name)
def test_what_a_model_writes_is_valid_or_told(name: str, schema: Any, how: str) -> None:
    validator = _validator(schema)
    grammar = schema_grammar(schema)
    texts = [random_text(grammar, random.Random(f"{name} {seed}")) for seed in range(6)]
    finished = [json.loads(text) for text in texts if text is not None]
    assert finished
    for value in finished:
        valid = validator.is_valid(value)
        assert valid or how != "forced", value
        assert (problem_of(value, schema) is None) == valid, value


def _validator(schema: Any) -> Any:
    """By `jsonschema` itself, of the draft that the schema is written in."""
    text = json.dumps(schema)
    draft = Draft202012Validator
    if '"exclusiveMinimum": true' in text or '"exclusiveMaximum": false' in text:
        draft = validators.Draft4Validator
    elif '"dependencies"' in text or '"items": [' in text:
        draft = validators.Draft7Validator
    elif "$recursiveRef" in text:
        draft = validators.Draft201909Validator
    # It divides numbers as binary fractions, and knows no patterns with classes of scripts.
    changed = {"multipleOf": _multiple_of} | ({"pattern": None} if "p{L}" in text else {})
    checks = {**draft.VALIDATORS, **changed}
    return validators.extend(draft, {k: check or (lambda *_: ()) for k, check in checks.items()})(
        schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def _multiple_of(validator: Any, step: Any, value: Any, schema: Any) -> Any:
    if isinstance(value, int | float) and Decimal(repr(value)) % Decimal(repr(step)):
        yield ValidationError(f"{value} is no multiple of {step}")


@pytest.mark.parametrize(("name", "schema", "word"), REFUSED, ids=_name)
def test_what_is_neither_is_refused_by_its_keyword(name: str, schema: Any, word: str) -> None:
    with pytest.raises(GrammarError, match=word.replace("$", r"\$")):
        check(schema_grammar(schema))
