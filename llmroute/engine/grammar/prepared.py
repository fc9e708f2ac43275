"""JSON schemas as llguidance is given them.

It takes most of JSON Schema; what it does not take is left to the check of the finished answer (see
`json_schemas.keywords`). Where it would be too free, the schema is made narrower: an object that
lists properties and says nothing of others gets no others, an integer at most 18 digits or so.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ...json_schemas.formats import PATTERNS
from ...json_schemas.keywords import BY_TYPE
from ...json_schemas.modern import ModernSchema, Schema, modern
from ...json_schemas.patterns import whole_text
from ...json_schemas.refusal import GrammarError
from .bearable import check_levels, check_productive
from .compiling import check
from .listed import NOTHING, Listed, ListedProperties, groups, name_of, own, union

_OPTIONS = {
    # Nothing, a blank, or a new line with some blanks: enough for ten levels of four, too few to
    # run on.
    "whitespace_pattern": r"[ \t]|\r?\n[ \t]{0,40}",
    "json_allow_general_unicode_escapes": True,
}
_KEPT = ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum")
_ALSO_KEPT = ("exclusiveMinimum", "exclusiveMaximum", "required")
_BOUNDS = {"minimum": 1, "exclusiveMinimum": 1, "maximum": -1, "exclusiveMaximum": -1}
_LARGEST = 10**18
"""Of whole numbers: llguidance counts in 64 bits."""
_EXACT = 2**53
"""Up to here llguidance writes whole numbers of `enum` and `const` as they are."""
_MAX_STEP = 1_000
"""Of `multipleOf`, without its decimal point: a larger one takes llguidance long."""
_MAX_LENGTH = 10**9
_MAX_PARTS = 2_000


def prepared(schema: Any, at: str = "#") -> str:
    """The text of a JSON schema that llguidance can hold a model to.

    `at` is a pointer to the part of `schema` that is meant, such as `#/properties/city`. Raises
    `GrammarError`, with keyword and place, for a schema that is not taken.
    """
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise GrammarError(f"it is no JSON ({exc!s:.200})") from None
    return _prepared(text, at)


@functools.lru_cache(maxsize=256)
def _prepared(text: str, at: str) -> str:
    try:
        root, definitions = _Preparer(modern(json.loads(text), at)).whole()
        check_levels(root, definitions)
        check_productive(root, definitions)
    except RecursionError:
        raise GrammarError("it leads too far from one definition to the next") from None
    # The options go last: llguidance takes them out and puts the last keyword in their place, and
    # the order of keywords is that of the properties.
    keywords = {} if isinstance(root, bool) else root  # `false` has been refused
    return json.dumps({**keywords, "$defs": definitions, "x-guidance": _OPTIONS})


@dataclass(frozen=True, slots=True)
class _Context:
    """What else applies to the same value as a part of a schema."""

    others: Listed = NOTHING
    combined: bool = False
    """Whether anything else applies to the value at all."""


@dataclass(frozen=True, slots=True)
class _Key:
    """A definition as it is used in one context."""

    name: str
    context: _Context


class _Preparer:
    """Prepares one schema."""

    def __init__(self, schema: ModernSchema) -> None:
        self._schema = schema
        self._listed = ListedProperties(schema)
        self._names: dict[_Key, str] = {}
        self._pending: list[_Key] = []
        self._integers: dict[str, str] = {}
        """The names of schemas of integers, by their text."""

    def whole(self) -> tuple[Schema, dict[str, Schema]]:
        """The schema, and what its `$ref`s name."""
        root = self._part(self._schema.root, "#", _Context())
        definitions: dict[str, Schema] = {}
        while self._pending:
            key = self._pending.pop()
            place = self._schema.places[key.name]
            target = self._schema.definitions[key.name]
            definitions[self._names[key]] = self._part(target, place, key.context)
        for text, name in self._integers.items():
            definitions[name] = json.loads(text)
        return root, definitions

    def _part(self, schema: Schema, path: str, context: _Context) -> Schema:
        """What is left of a part of the schema, given what else applies to the same value."""
        if isinstance(schema, bool):
            return schema
        try:
            return self._object(schema, path, context)
        except GrammarError as error:
            error.path = error.path or path
            raise

    def _object(self, schema: dict[str, Any], path: str, context: _Context) -> Schema:
        if schema.get("not", False) in (True, {}):
            return False
        around = groups(schema, self._schema)
        inner = [union(*map(self._listed.of, group)) for group in around]
        parts = len(around) + bool(schema.keys() & _ASSERTIONS)
        combined = context.combined or parts > 1
        here = _Context(union(context.others, *inner), combined)
        result: dict[str, Any] = {}
        own_part = self._own(schema, path, here)
        for keyword in _COMBINING:
            if keyword not in schema:
                continue
            rest = [
                listed
                for group, listed in zip(around, inner, strict=True)
                if group is not schema[keyword]  # one of the alternatives applies
            ]
            seen = _Context(union(context.others, own(schema), *rest), combined)
            if keyword == "$ref":
                result["$ref"] = self._reference(name_of(schema), seen)
            else:
                name = "anyOf" if keyword == "oneOf" else keyword
                made = self._list(schema[keyword], f"{path}/{keyword}", seen)
                self._add(result, name, made)
        whole = self._joined(schema, own_part, result)
        if whole.get("type") == ["integer"] and not combined:
            return self._shared(whole)
        return whole

    def _joined(
        self, schema: dict[str, Any], own_part: dict[str, Any], result: dict[str, Any]
    ) -> dict[str, Any]:
        """Both in the order in which the schema has them: properties are written in it."""
        for part in own_part.pop("allOf", ()):
            self._add(result, "allOf", [part])
        keywords = list(schema)
        after = "properties" in schema and any(
            keywords.index(keyword) < keywords.index("properties")
            for keyword in _COMBINING
            if keyword in schema
        )
        return {**result, **own_part} if after else {**own_part, **result}

    def _shared(self, integer: dict[str, Any]) -> Schema:
        """Its bounds take llguidance a millisecond, so that equal ones are made once."""
        name = self._integers.setdefault(json.dumps(integer), f"integer{len(self._integers)}")
        return {"$ref": f"#/$defs/{name}"}

    def _add(self, result: dict[str, Any], keyword: str, parts: list[Schema]) -> None:
        if keyword == "anyOf":
            parts = [part for part in parts if part is not False] or [False]
        if keyword not in result:
            result[keyword] = parts
        elif keyword == "allOf":
            result[keyword] += parts
        else:  # two lists of alternatives
            result.setdefault("allOf", []).append({keyword: parts})

    def _list(self, parts: Sequence[Schema], path: str, context: _Context) -> list[Schema]:
        return [self._part(part, f"{path}/{n}", context) for n, part in enumerate(parts)]

    def _reference(self, name: str, context: _Context) -> str:
        key = _Key(name, context)
        if key not in self._names:
            if len(self._names) == _MAX_PARTS:
                raise GrammarError(f"it has more than {_MAX_PARTS:,} combinations of definitions")
            self._names[key] = f"d{len(self._names)}"
            self._pending.append(key)
        return f"#/$defs/{self._names[key]}"

    def _own(self, schema: dict[str, Any], path: str, context: _Context) -> dict[str, Any]:
        """The keywords that are no combinations."""
        result: dict[str, Any] = {}
        types = _types(schema)
        if types:
            result["type"] = types
        for keyword in (*_KEPT, *_ALSO_KEPT):
            if keyword in schema:
                result[keyword] = schema[keyword]
        if "const" in schema:
            result["const"] = _written(schema["const"])
        if "enum" in schema:
            result["enum"] = [_written(value) for value in schema["enum"]]
        _bound_lengths(result)
        if "integer" in types:
            _bound_integer(result)
        if "multipleOf" in schema and not context.combined and _is_small(schema["multipleOf"]):
            result["multipleOf"] = schema["multipleOf"]
        self._strings(schema, result)
        self._array(schema, result, path, context)
        self._properties(schema, result, path, context)
        return result

    def _strings(self, schema: dict[str, Any], result: dict[str, Any]) -> None:
        wanted = [schema["pattern"]] if "pattern" in schema else []
        if schema.get("format") in PATTERNS:
            wanted.append(PATTERNS[schema["format"]])
        expressions = [f"^(?:{text})$" for pattern in wanted for text in whole_text(pattern).all_of]
        if expressions:
            result["pattern"] = expressions[0]
        for expression in expressions[1:]:
            self._add(result, "allOf", [{"type": "string", "pattern": expression}])

    def _array(
        self, schema: dict[str, Any], result: dict[str, Any], path: str, context: _Context
    ) -> None:
        if "prefixItems" in schema:
            listed = self._list(schema["prefixItems"], f"{path}/prefixItems", _Context())
            result["prefixItems"] = listed
            if not context.combined:
                result["items"] = False
        if "items" in schema:
            result["items"] = self._part(schema["items"], f"{path}/items", _Context())

    def _properties(
        self, schema: dict[str, Any], result: dict[str, Any], path: str, context: _Context
    ) -> None:
        schema = _with_names(schema, self._schema.definitions)
        properties = {
            name: self._part(value, f"{path}/properties/{name}", _Context())
            for name, value in schema.get("properties", {}).items()
        }
        patterns = {
            pattern: self._part(value, f"{path}/patternProperties/{pattern}", _Context())
            for pattern, value in schema.get("patternProperties", {}).items()
        }
        additional = schema.get("additionalProperties")
        others = union(context.others, own(schema))
        if additional is not None:
            additional = self._part(additional, f"{path}/additionalProperties", _Context())
        elif not others.open and (
            properties or patterns or schema.get("unevaluatedProperties") is False
        ):
            properties |= dict.fromkeys(sorted(others.names - properties.keys()), True)
            patterns |= dict.fromkeys(sorted(others.patterns - patterns.keys()), True)
            additional = False
        # In this order: llguidance takes the properties' order from what comes first.
        if properties:
            result["properties"] = properties
        if patterns:
            apart = {_pattern(name): value for name, value in patterns.items()}
            if _are_apart(apart):
                result["patternProperties"] = apart
            else:  # llguidance wants to know which one a name is of
                open_ = [] if additional in (None, False) else [additional]
                additional = {"anyOf": [*apart.values(), *open_]}
        if additional is not None:
            result["additionalProperties"] = additional
        _count_properties(schema, result)


_COMBINING = ("allOf", "anyOf", "oneOf", "$ref")
_ASSERTIONS = frozenset({"type", "const", "enum", "not"}.union(*BY_TYPE.values()) - {"format"})
"""Keywords that say something of a value themselves."""


def _types(schema: Mapping[str, Any]) -> list[str]:
    """The types a schema allows; empty if it says nothing about them.

    Without `type`, those that its keywords speak of: others are valid too, but not meant.
    """
    given = schema.get("type")
    if given is not None:
        names = [given] if isinstance(given, str) else given
        return [name for name in dict.fromkeys(names) if name != "integer" or "number" not in names]
    if schema.keys() & {"enum", "const"}:
        return []
    return [name for name, keywords in BY_TYPE.items() if schema.keys() & keywords]


def _pattern(pattern: str) -> str:
    """A pattern for names of properties, which cannot be several."""
    (expression, *more), none_of = whole_text(pattern)
    if more or none_of:
        raise GrammarError("patternProperties has a pattern with a look-ahead")
    return f"^(?:{expression})$"


def _are_apart(patterns: Mapping[str, Schema]) -> bool:
    """Whether no name is of two patterns, as far as llguidance can tell."""
    if len(patterns) < 2:
        return True
    only = {"type": "object", "patternProperties": dict.fromkeys(patterns, True)}
    try:
        check(f"start: %json {json.dumps(only)}")
    except GrammarError:
        return False
    return True


def _written(value: Any) -> Any:
    """A value of `const` or `enum`. Raises for what llguidance would write otherwise."""
    for number in _numbers(value):
        if abs(number) > _EXACT and isinstance(number, int):
            raise GrammarError(f"const or enum with a whole number beyond 2**53 ({number:.0e})")
    return value


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from _numbers(item)


def _bound_lengths(result: dict[str, Any]) -> None:
    for keyword in ("minLength", "minItems"):
        if keyword in result:
            result[keyword] = int(result[keyword])
            if result[keyword] > _MAX_LENGTH:
                raise GrammarError(f"{keyword} is more than any answer can have")
    for keyword in ("maxLength", "maxItems"):
        if keyword in result:
            result[keyword] = min(int(result[keyword]), _MAX_LENGTH)


def _bound_integer(result: dict[str, Any]) -> None:
    """Bounds on both sides: without them a model may write digits forever."""
    for keyword, sign in _BOUNDS.items():
        bound = sign * result.get(keyword, -_LARGEST)
        if bound > _LARGEST:
            raise GrammarError(f"{keyword} leaves no integer of at most 18 digits")
        if bound < -_LARGEST:
            del result[keyword]
    result.setdefault("minimum", -_LARGEST)
    result.setdefault("maximum", _LARGEST)


def _is_small(step: float) -> bool:
    """Whether llguidance is quick with this `multipleOf`."""
    number = Decimal(repr(step))
    exponent = int(number.as_tuple().exponent)
    return exponent >= -6 and int(number.scaleb(max(0, -exponent))) <= _MAX_STEP


def _with_names(schema: dict[str, Any], definitions: Mapping[str, Schema]) -> dict[str, Any]:
    """`propertyNames` said by the keywords that can be forced, where they can say it."""
    names = schema.get("propertyNames")
    while isinstance(names, dict) and names.keys() == {"$ref"}:
        names = definitions[name_of(names)]
    if not isinstance(names, dict) or "properties" in schema or "patternProperties" in schema:
        return schema
    value = schema.get("additionalProperties", True)
    known = names.get("enum", [names["const"]] if "const" in names else None)
    if known is not None:
        listed = {name: value for name in known if isinstance(name, str)}
        return {**schema, "properties": listed, "additionalProperties": False}
    pattern = names.get("pattern", PATTERNS.get(names.get("format", "")))
    if pattern is not None and len([*itertools.chain(*whole_text(pattern))]) == 1:
        return {**schema, "patternProperties": {pattern: value}, "additionalProperties": False}
    return schema


def _count_properties(schema: Mapping[str, Any], result: dict[str, Any]) -> None:
    """`minProperties` and `maxProperties`, where llguidance takes them."""
    required = set(result.get("required", ()))
    optional = result.get("properties", {}).keys() - required
    least, most = int(schema.get("minProperties", 0)), schema.get("maxProperties")
    closed = result.get("additionalProperties") is False
    if optional and closed and not result.get("patternProperties"):
        # At least one, at most one, or exactly one.
        wanted = max(0, least - len(required))
        may = None if most is None else int(most) - len(required)
        if wanted > 1 or may not in (None, 1):
            return
    elif optional:
        return
    if least:
        result["minProperties"] = min(least, _MAX_LENGTH)
    if most is not None:
        result["maxProperties"] = min(int(most), _MAX_LENGTH)
