"""The grammar of arguments that a family writes one by one, not as a JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..grammar.lark import Lark
from .syntax import Pairs
from .typed import types_of

_MAX_DEPTH = 50
_TYPES = frozenset({"array", "boolean", "null", "number", "object", "string"})


class _Argument(NamedTuple):
    """One argument of a function."""

    key: str
    pointer: str
    """Where its schema stands in that of the function."""
    schema: Any
    required: bool


def pairs_grammar(lark: Lark, pairs: Pairs, end: str, schema: Any) -> str:
    """What allows the arguments that a function's schema lists, in its order, and then `end`.

    Raises `GrammarError` for a schema that is not taken.
    """
    arguments = list(_arguments(schema))
    rules = [(_argument(lark, pairs, each, schema), each.required) for each in arguments]
    return f"{_in_order(lark, pairs.between, rules)} {lark.literal(end)}"


def _in_order(lark: Lark, between: str, rules: list[tuple[str, bool]]) -> str:
    """Rules one after the other, those that are not required perhaps left out."""
    if not between:
        return " ".join(rule if required else f"{rule}?" for rule, required in rules) or '""'
    comma = lark.literal(between)
    first = following = '""'
    for rule, required in reversed(rules):
        here = f"{rule} {following}"
        first = lark.rule("first", here if required else f"{here} | {first}")
        more = f"{comma} {rule}" if required else f"({comma} {rule})?"
        following = lark.rule("more", f"{more} {following}")
    return first


def _arguments(schema: Any) -> Iterator[_Argument]:
    found: dict[str, tuple[str, Any]] = {}
    required: set[str] = set()
    for pointer, part in _parts(schema, "#", schema, _MAX_DEPTH):
        properties = part.get("properties")
        for key, value in properties.items() if isinstance(properties, Mapping) else ():
            found.setdefault(key, (f"{pointer}/properties/{_step(key)}", value))
        names = part.get("required")
        required.update(name for name in names or () if isinstance(name, str))
    for key, (pointer, value) in found.items():
        yield _Argument(key, pointer, value, key in required)


def _parts(schema: Any, pointer: str, root: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """`schema`, and all that it refers to or is combined of, with their places."""
    if not isinstance(schema, Mapping) or not depth:
        return
    yield pointer, schema
    for number, part in enumerate(schema.get("allOf") or ()):
        yield from _parts(part, f"{pointer}/allOf/{number}", root, depth - 1)
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        yield from _parts(_target(reference, root), reference, root, depth - 1)


def _target(pointer: str, root: Any) -> Any:
    found = root
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _step(key: str) -> str:
    """A key as a step of a pointer."""
    return key.replace("~", "~0").replace("/", "~1").replace("%", "%25")


def _argument(lark: Lark, pairs: Pairs, argument: _Argument, root: Any) -> str:
    types = types_of(argument.schema, root) or _TYPES
    names = frozenset("number" if name == "integer" else name for name in types)
    raw = pairs.text is not None
    ways = []
    if raw and "string" in names:
        ways.append(_text_way(lark, pairs, argument))
    told = any(mark in pairs.before for mark in ("{type}", "{text}"))
    # Where nothing tells text from the rest, text is written as anything is.
    if told or not (raw and "string" in names):
        others = names - {"string"} if raw else names
        ways += _other_ways(lark, pairs, argument, root, sorted(others))
    return lark.rule("argument", " | ".join(ways))


def _text_way(lark: Lark, pairs: Pairs, argument: _Argument) -> str:
    """A text as it is, up to what ends it."""
    opening, closing = pairs.text or ("", "")
    before = lark.literal(pairs.opening(argument.key, "string") + opening)
    ending = closing + pairs.closing(argument.key)
    words = _words(argument.schema)
    if words is None:
        return f"{before} {lark.until(ending)}"
    return f"{before} ({' | '.join(lark.literal(word + ending) for word in words)})"


def _words(schema: Any) -> list[str] | None:
    """The texts that `enum` or `const` leave; `None` if there are others."""
    if not isinstance(schema, Mapping):
        return None
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return values or None


def _other_ways(
    lark: Lark, pairs: Pairs, argument: _Argument, root: Any, kinds: list[str]
) -> Iterator[str]:
    """Values as JSON; each type on its own where the family writes which one it is."""
    after = lark.literal(pairs.closing(argument.key))
    if "{type}" not in pairs.before or len(kinds) == 1:
        before = lark.literal(pairs.opening(argument.key, kinds[0] if kinds else "null"))
        if kinds:
            yield f"{before} {_json(lark, argument, root, kinds)} {after}"
        return
    for kind in kinds:
        before = lark.literal(pairs.opening(argument.key, kind))
        yield f"{before} {_json(lark, argument, root, [kind])} {after}"


def _json(lark: Lark, argument: _Argument, root: Any, kinds: list[str]) -> str:
    """A value of some types that the schema takes."""
    name = "#/$defs/argument"
    narrowed = {"allOf": [{"$ref": argument.pointer}, {"type": kinds}]}
    whole = {**root, "$defs": {**root.get("$defs", {}), "argument": narrowed}}
    return lark.json(whole, name)
