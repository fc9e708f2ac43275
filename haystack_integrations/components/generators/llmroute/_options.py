"""The dicts of options that components are given, checked."""

from __future__ import annotations

from collections.abc import Mapping

from haystack.tools.tool import Tool
from haystack.tools.toolset import Toolset

_URL = "give the component its api_base_url"
_ELSEWHERE = {
    "api_base": _URL,
    "api_base_url": _URL,
    "base_url": _URL,
    "generation_kwargs": "give its keys directly",
    "messages": "give them to run()",
    "model": "give it to the component",
    "model_kwargs": "give them to the component",
    "prompt": "give it to run()",
    "streaming_callback": "give it to the component or to run()",
    "tools_strict": "give it to run()",
}
"""Names that don't belong in `generation_kwargs`, and what to do instead."""


def checked_generation(given: Mapping[str, object] | None) -> dict[str, object]:
    """A copy of `generation_kwargs`; empty for `None`.

    Raises `TypeError` for what is no dict of names, `ValueError` for a name that belongs elsewhere.
    """
    options = checked_names("generation_kwargs", given)
    if "api_key" in options:
        raise ValueError(
            "A key in generation_kwargs would be written into YAML and traces; give the component "
            'api_key=Secret.from_env_var("...") instead'
        )
    if misplaced := sorted(_ELSEWHERE.keys() & options):
        raise ValueError(
            f"{misplaced[0]!r} does not belong in generation_kwargs, which hold arguments of a "
            f"call such as max_tokens; {_ELSEWHERE[misplaced[0]]}"
        )
    if _has_haystack_tools(options.get("tools")):
        raise ValueError(
            "Tools and Toolsets don't belong in generation_kwargs; give them to the component or "
            "to run() as tools"
        )
    return options


def checked_names(parameter: str, given: Mapping[str, object] | None) -> dict[str, object]:
    """A copy of a dict of options; empty for `None`. Raises `TypeError` for anything else."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{parameter} must be a dict, not {type(given).__name__}")
    if strange := [name for name in given if not isinstance(name, str)]:
        raise TypeError(f"{parameter} must have names as keys, not {strange[0]!r:.100}")
    return dict(given)


def checked_stream(given: object) -> bool:
    """Whether `generation_kwargs` ask for a stream. Raises `TypeError` for what is no bool."""
    if given is not None and not isinstance(given, bool):
        raise TypeError(f"stream in generation_kwargs must be True or False, not {given!r:.100}")
    return bool(given)


def _has_haystack_tools(given: object) -> bool:
    tools = given if isinstance(given, list | tuple) else [given]
    return any(isinstance(tool, Tool | Toolset) for tool in tools)
