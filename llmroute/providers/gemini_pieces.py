"""Function calls of Gemini whose arguments are streamed, made whole.

With `functionCallingConfig.streamFunctionCallArguments`, a call comes as a part with its name and
more parts with values and where they belong
(https://ai.google.dev/api/caching#FunctionCall, `partialArgs` and `willContinue`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..types.request import JSON

_STEPS = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\['([^']*)'\]|\["([^"]*)"\]""")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


class CallPieces:
    """Joins the pieces of one candidate's calls."""

    def __init__(self) -> None:
        self._part: dict[str, JSON] | None = None
        """The call that has begun and not ended."""

    def whole(self, parts: Iterable[dict[str, JSON]]) -> Iterator[dict[str, JSON]]:
        """`parts`, with a whole call in the place of the last piece of one."""
        for part in parts:
            function = part.get("functionCall")
            if not isinstance(function, Mapping):
                yield part
            elif function.keys() & {"partialArgs", "willContinue"} or "name" not in function:
                yield from self._add(part, function)
            else:
                yield from self.end()
                yield part

    def end(self) -> Iterator[dict[str, JSON]]:
        """The call that had no end, as far as it has come."""
        if self._part is not None:
            yield self._part
            self._part = None

    def _add(
        self, part: Mapping[str, JSON], function: Mapping[str, Any]
    ) -> Iterator[dict[str, JSON]]:
        if function.get("name"):
            yield from self.end()
            named = {key: function[key] for key in ("id", "name") if key in function}
            self._part = {**part, "functionCall": {**named, "args": {}}}
        if self._part is None:
            return  # the end of a call that is whole already
        call = self._part["functionCall"]
        for piece in function.get("partialArgs") or ():
            value = next((piece[name] for name in _VALUES if name in piece), None)
            value = None if "nullValue" in piece else value
            call["args"] = _placed(call["args"], _steps(str(piece.get("jsonPath"))), value)
        if not function.get("willContinue"):
            yield from self.end()


def _steps(path: str) -> list[str | int]:
    """The keys and positions in a JSONPath such as `$.items[0].name`."""
    return [
        int(found[2]) if found[2] is not None else str(found[1] or found[3] or found[4] or "")
        for found in _STEPS.finditer(path)
    ]


def _placed(node: JSON, steps: Sequence[str | int], value: JSON) -> JSON:
    """`node` with `value` at `steps`; a text goes on in the text that is there."""
    if not steps:
        return node + value if isinstance(node, str) and isinstance(value, str) else value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        items = list(node) if isinstance(node, list) else []
        if step < len(items):
            items[step] = _placed(items[step], rest, value)
        else:
            items.append(_placed(None, rest, value))
        return items
    fields = dict(node) if isinstance(node, dict) else {}
    fields[step] = _placed(fields.get(step), rest, value)
    return fields
