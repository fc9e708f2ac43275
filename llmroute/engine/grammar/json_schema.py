"""JSON Schema as grammar: what a model writes under it is valid by construction.

What is taken, beside `true`, `{}` (any value) and annotations such as `title`:

- `type`, also a list of types; without it, the types that the other keywords speak of
- objects: `properties` (written in this order), `required`, `additionalProperties` (behind the
  listed ones). Without `additionalProperties`, an object that lists properties gets no others
- arrays: `items`, `prefixItems`, `minItems`, `maxItems`
- strings: `minLength` and `maxLength`, or `pattern` (see `pattern.py`), or `format` (`formats.py`)
- numbers: `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`; bounds of a `number` must
  be whole. Integers have up to 18 digits
- `enum`, `const`; `anyOf`; `oneOf`, taken as `anyOf`: that no two alternatives fit at once is left
  to the check of the finished answer; `allOf` of objects that don't contradict each other
- `$ref` within the schema, also to itself

Anything else is refused by its name and place, never ignored. The grammar may be narrower than the
schema, never wider, but for `oneOf`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ...errors import BadRequestError
from .gbnf import Rules
from .json_values import any_object, any_value, given, scalar
from .keywords import ANNOTATIONS, COMBINING, check_known, merged, types_of
from .references import resolve
from .strings import literals
from .tree import Expr, GrammarError, Ref, alt
from .typed import of_type

Schema: TypeAlias = Any
_MAX_DEPTH = 60
_MAX_SCHEMA = 200_000
"""Characters of a schema's JSON text."""


def json_grammar(schema: Schema, *, param: str = "response_format") -> str:
    """GBNF text that allows exactly JSON values valid under `schema`, or fewer.

    Raises `BadRequestError` (about `param`) for a schema that is not taken, with keyword and place.
    """
    try:
        return _json_grammar(_as_text(schema))
    except GrammarError as error:
        raise refused(error, param) from None


def json_object_grammar() -> str:
    """GBNF text that allows any JSON object."""
    rules = Rules()
    return rules.text(any_object(rules))


def schema_expr(rules: Rules, schema: Schema) -> Expr:
    """Values valid under `schema` as part of a larger grammar. Raises `GrammarError`."""
    return _Converter(rules, json.loads(_as_text(schema))).whole()


def refused(error: GrammarError, param: str) -> BadRequestError:
    """What a caller is told about a schema that is not taken."""
    place = f" at {error.path}" if error.path else ""
    return BadRequestError(
        f"llamacpp cannot hold a model to this JSON schema: {error}{place}.", param=param
    )


def _as_text(schema: Schema) -> str:
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise GrammarError(f"it is no JSON ({exc})") from None
    if len(text) > _MAX_SCHEMA:
        raise GrammarError(f"it is longer than {_MAX_SCHEMA:,} characters")
    return text


@functools.lru_cache(maxsize=64)
def _json_grammar(schema: str) -> str:
    rules = Rules()
    return rules.text(_Converter(rules, json.loads(schema)).whole())


class _Converter:
    """Converts one schema; a `$ref` becomes a rule, so it may come back to itself."""

    def __init__(self, rules: Rules, schema: Schema) -> None:
        self._rules = rules
        self._schema = schema
        self._targets: dict[str, Ref] = {}
        self._pending: list[tuple[Ref, Schema, str]] = []
        self._depth = 0

    def whole(self) -> Expr:
        """The schema itself, with all it refers to."""
        root = self.convert(self._schema, "#")
        while self._pending:
            ref, schema, path = self._pending.pop()
            self._rules.define(ref, self.convert(schema, path))
        return root

    def convert(self, schema: Schema, path: str) -> Expr:
        """What is valid under a part of the schema."""
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise GrammarError(f"it is nested more than {_MAX_DEPTH} deep")
            return self._convert(schema, path)
        except GrammarError as error:
            error.path = error.path or path
            raise
        finally:
            self._depth -= 1

    def _convert(self, schema: Schema, path: str) -> Expr:
        if schema is True:
            return any_value(self._rules)
        if schema is False:
            raise GrammarError("false allows no value")
        if not isinstance(schema, Mapping):
            raise GrammarError(f"a schema must be an object, not {schema!r:.60}")
        check_known(schema)
        combining = [keyword for keyword in COMBINING if keyword in schema]
        if not combining:
            return self._plain(schema, path)
        if combining == ["allOf"]:
            return self.convert(merged(schema, self._schema), path)
        self._check_alone(schema, combining[0])
        return self._combined(schema[combining[0]], combining[0], path)

    def _combined(self, value: Any, keyword: str, path: str) -> Expr:
        if keyword == "$ref":
            return self._target(value)
        if keyword == "const":
            return given(self._rules, value)
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise GrammarError(f"{keyword} must be a list with something in it")
        options = [
            self.convert(option, f"{path}/{keyword}/{number}")
            for number, option in enumerate(value)
        ]
        return self._rules.new("any", alt(options))

    def _plain(self, schema: Mapping[str, Any], path: str) -> Expr:
        types = types_of(schema)
        if "enum" in schema:
            return self._enum(schema, types)
        if not types:
            return any_value(self._rules)
        return alt([of_type(name, self._rules, schema, path, self.convert) for name in types])

    def _enum(self, schema: Mapping[str, Any], types: Sequence[str]) -> Expr:
        self._check_alone(schema, "enum", "type")
        values = schema["enum"]
        if not isinstance(values, Sequence) or isinstance(values, str):
            raise GrammarError("enum must be a list")
        fitting = [value for value in values if not types or _fits(value, types)]
        if not fitting:
            raise GrammarError("enum has no value that is allowed")
        nested = [value for value in fitting if isinstance(value, Mapping | list)]
        options = [given(self._rules, value) for value in nested]
        texts = [scalar(value) for value in fitting if not isinstance(value, Mapping | list)]
        return alt([*options, literals(texts)] if texts else options)

    def _check_alone(self, schema: Mapping[str, Any], *keywords: str) -> None:
        others = schema.keys() - ANNOTATIONS - {*keywords}
        if (
            keywords == ("const",)
            and others == {"type"}
            and _fits(schema["const"], types_of(schema))
        ):
            return
        if others:
            raise GrammarError(f"{keywords[0]} together with {min(others)} is not supported")

    def _target(self, pointer: Any) -> Ref:
        schema = resolve(self._schema, pointer)
        if pointer not in self._targets:
            ref = self._targets[pointer] = self._rules.reserve("ref")
            self._pending.append((ref, schema, pointer))
        return self._targets[pointer]


def _fits(value: Any, types: Sequence[str]) -> bool:
    match value:
        case None:
            own = {"null"}
        case bool():
            own = {"boolean"}
        case int():
            own = {"integer", "number"}
        case float():
            own = {"integer", "number"} if value.is_integer() else {"number"}
        case str():
            own = {"string"}
        case Mapping():
            own = {"object"}
        case _:
            own = {"array"}
    return not own.isdisjoint(types)
