"""`$ref` within one schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from .tree import GrammarError


def resolve(root: Any, pointer: Any) -> Any:
    """What a `$ref` such as `#/$defs/Node` stands for. Raises `GrammarError` if there is nothing.

    References to other documents are refused: nothing is ever fetched.
    """
    if not isinstance(pointer, str) or (pointer != "#" and not pointer.startswith("#/")):
        raise GrammarError(f"$ref {pointer!r:.100} is not supported, only places in this schema")
    found = root
    for step in pointer.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, Sequence) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise GrammarError(f"$ref {pointer!r:.100} leads nowhere")
    return found
