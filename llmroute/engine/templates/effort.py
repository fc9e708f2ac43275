"""How hard a model is to think, as its chat template calls it."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from ...errors import BadRequestError, UnsupportedParamsError

JSON: TypeAlias = Any

_WORDS = ("reasoning_effort", "thinking_effort", "reasoning_strength")
"""Variables of templates that take the effort in words: gpt-oss, Kimi K3, Muse."""
_SWITCHES = {
    "enable_thinking": re.compile(r"\benable_thinking\b"),
    "thinking": re.compile(r"\b(?:if|elif|not|and|or) thinking\b|\bthinking is\b"),
}
"""Variables that turn thinking on and off, and how templates read them: Qwen3, DeepSeek V3.1."""


def effort_variables(effort: JSON, template: str) -> dict[str, JSON]:
    """The variables that tell `template` of a `reasoning_effort`; none for `None`.

    Templates that take no words but can turn thinking off do so for `"none"`. Raises
    `UnsupportedParamsError` where a template can do neither.
    """
    if effort is None:
        return {}
    if not isinstance(effort, str) or not effort:
        raise BadRequestError(
            f"llamacpp: reasoning_effort must be a word such as 'low', not {effort!r:.60}.",
            param="reasoning_effort",
        )
    switches = {name: effort != "none" for name, read in _SWITCHES.items() if read.search(template)}
    words = {name: effort for name in _WORDS if name in template}
    if words:
        return words if effort != "none" else {**switches, **words}
    if not switches:
        raise UnsupportedParamsError(
            "This model's chat template knows no reasoning effort. Leave out reasoning_effort.",
            param="reasoning_effort",
        )
    return switches
