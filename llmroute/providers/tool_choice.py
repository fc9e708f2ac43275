"""`tool_choice` at the endpoints that take only `"auto"`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..types.request import Request


def only_auto(request: Request) -> Mapping[str, str]:
    """The refusal of a `tool_choice` that demands a tool; see `OpenAILike.refused_values`."""
    if request.params.get("tool_choice", "auto") in ("auto", "none"):
        return {}
    return {"tool_choice": 'other than "auto" and "none"'}


def settle(params: dict[str, Any]) -> None:
    """Says `"none"` by sending no tools, which comes to the same, and no choice without tools."""
    choice = params.get("tool_choice")
    if choice == "none":
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            params.pop(name, None)
    elif choice == "auto" and "tools" not in params:
        del params["tool_choice"]
