"""MiniMax M3: arguments as elements, nested for lists and objects, each tag behind a mark."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..named import NAME_CHARACTERS
from ..pieces import Calls
from ..source import Source, Steps
from ..syntax import Family, Pairs, Syntax, after
from ..typed import argument_schema, as_json, item_schema, types_of
from ..values import quoted

_MARK = "]<]minimax[>["
_SECTION, _CALL = f"{_MARK}<tool_call>", f'{_MARK}<invoke name="'
_CALL_END, _SECTION_END = f"{_MARK}</invoke>", f"{_MARK}</tool_call>"
_TAG = re.compile(r"[^<>\s]*")
_MAX_DEPTH = 100
_EMPTY = {frozenset({"array"}): "[]", frozenset({"object"}): "{}"}
"""What an element without anything in it is."""


@dataclass(slots=True)
class _Element:
    """A tag with its text, or the elements in it."""

    key: str
    texts: list[str] = field(default_factory=list)
    children: list[_Element] = field(default_factory=list)


def _read_call(source: Source, calls: Calls) -> Steps[bool]:
    name = yield from source.word(NAME_CHARACTERS)
    if name not in calls.schemas or not (yield from source.skip('">')):
        return False
    source.accept()
    yield calls.begin(name)
    comma, schema = "{", calls.schemas[name]
    while (element := (yield from _read_element(source))) is not None:
        value = _json_of(element, argument_schema(schema, element.key), schema)
        yield calls.more(f"{comma}{quoted(element.key)}: {value}")
        comma = ", "
    yield from source.space()
    if (yield from source.skip(_CALL_END)) or not source.empty:
        yield calls.more("{}" if comma == "{" else "}")
        calls.end()
    return True


def _read_element(source: Source) -> Steps[_Element | None]:
    """One argument with all that is in it; `None` if none comes, or the text ends within it."""
    yield from source.space()
    if (yield from source.starts(f"{_MARK}</")) or not (yield from source.skip(f"{_MARK}<")):
        return None
    opened = [_Element((yield from source.word(_TAG)))]
    yield from source.skip(">")
    while (yield from source.until((_MARK,), opened[-1].texts.append)) is not None:
        source.take(len(_MARK))
        if not (yield from source.skip("<")):
            opened[-1].texts.append(_MARK)
            continue
        closes = yield from source.skip("/")
        key = yield from source.word(_TAG)
        yield from source.skip(">")
        if not closes and len(opened) < _MAX_DEPTH:
            opened.append(_Element(key))
            opened[-2].children.append(opened[-1])
        elif len(opened) == 1:
            return opened[0]
        else:
            opened.pop()
    return None


def _json_of(element: _Element, schema: Any, root: Any) -> str:
    """An element as JSON: a list of items, an object, or a value of the schema's type."""
    types = types_of(schema, root)
    if not element.children:
        text = "".join(element.texts)
        if not text.strip() and types in _EMPTY:
            return _EMPTY[types]
        return as_json(text, types)
    if all(child.key == "item" for child in element.children) and (
        types is None or "array" in types
    ):
        items = item_schema(schema, root)
        return f"[{', '.join(_json_of(child, items, root) for child in element.children)}]"
    members = (
        f"{quoted(child.key)}: {_json_of(child, argument_schema(schema, child.key, root), root)}"
        for child in element.children
    )
    return f"{{{', '.join(members)}}}"


MINIMAX_M3 = Family(
    "minimax-m3",
    ((_MARK,), ("]<]minimax[>[",)),
    Syntax(
        openers=(_SECTION, _CALL),
        read=after(_CALL, _read_call),
        closers=(_SECTION_END,),
        begin=f"{_SECTION}\n",
        before=f'{_CALL}{{name}}">',
        after=_CALL_END,
        between="\n",
        end=f"\n{_SECTION_END}",
        pairs=Pairs(f"{_MARK}<{{key}}>", f"{_MARK}</{{key}}>", text=("", "")),
    ),
)
