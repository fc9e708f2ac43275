"""The tools of a request, and whether the model must call one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import BadRequestError, UnsupportedParamsError
from .syntax import Syntax

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_MAX_TOOLS = 1000


@dataclass(frozen=True, slots=True)
class Tools:
    """What may be called, checked."""

    definitions: tuple[Mapping[str, Any], ...]
    """As the caller wrote them, for the chat template."""
    parameters: Mapping[str, Any]
    """The JSON schema of each function's arguments, by name."""
    forced: bool = False
    """Whether the answer must be a call."""
    parallel: bool = True
    """Whether it may be several."""

    def told(self, syntax: Syntax) -> str:
        """What a model is told whose chat template does not show tools; it calls by `syntax`."""
        listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in self.definitions)
        return (
            "You can call functions. Their signatures, one a line:\n"
            f"<tools>\n{listed}\n</tools>\n"
            "To call one, write its name and its arguments in this form and nothing else:\n"
            f"{syntax.example()}"
        )

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> Tools | None:
        """From `tools`, `tool_choice` and `parallel_tool_calls`; `None` if nothing is to be called.

        Raises `BadRequestError` for what is no tool, or a choice of none that is there.
        """
        given = params.get("tools")
        choice = params.get("tool_choice")
        if not given:
            if choice not in (None, "auto", "none"):
                raise _bad("tool_choice", "needs tools")
            return None
        tools = _tools(given, params.get("parallel_tool_calls"))
        return _chosen(tools, choice)


def _tools(given: Any, parallel: Any) -> Tools:
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) > _MAX_TOOLS:
        raise _bad("tools", f"must be a list of at most {_MAX_TOOLS} tools")
    if parallel not in (None, True, False):
        raise _bad("parallel_tool_calls", f"must be True or False, not {parallel!r:.60}")
    parameters: dict[str, Any] = {}
    for tool in given:
        name, schema = _function(tool)
        if name in parameters:
            raise _bad("tools", f"has two functions named {name!r}")
        parameters[name] = schema
    return Tools(tuple(given), parameters, parallel=parallel is not False)


def _function(tool: Any) -> tuple[str, Any]:
    if isinstance(tool, Mapping) and tool.get("type") not in (None, "function"):
        raise UnsupportedParamsError(
            f"llamacpp takes tools of type 'function' only, not {tool['type']!r:.60}.",
            param="tools",
        )
    function = tool.get("function") if isinstance(tool, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if function is None or not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _bad(
            "tools",
            'must look like {"type": "function", "function": {"name": ..., "parameters": ...}}, '
            "with letters, digits, '_', '-' and '.' in the name",
        )
    schema = function.get("parameters")
    return name, {"type": "object", "additionalProperties": False} if schema is None else schema


def _chosen(tools: Tools, choice: Any) -> Tools | None:
    """The tools under `tool_choice`: those that may be called, and whether one must be."""
    if choice in (None, "auto"):
        return tools
    if choice == "none":
        return None
    if choice == "required":
        return replace(tools, forced=True)
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if name is None:
        raise _bad(
            "tool_choice",
            'must be "auto", "none", "required" or {"type": "function", "function": {"name": ...}}'
            f", not {choice!r:.100}",
        )
    if name not in tools.parameters:
        raise _bad("tool_choice", f"names {name!r:.100}, which is none of the tools")
    only = {name: tools.parameters[name]}
    return replace(tools, parameters=only, forced=True, parallel=False)


def _bad(name: str, problem: str) -> BadRequestError:
    return BadRequestError(f"llamacpp: {name} {problem}.", param=name)
