"""The variables that chat templates are given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

JSON: TypeAlias = Any


def template_variables(
    messages: Sequence[Mapping[str, JSON]],
    tools: Sequence[Mapping[str, JSON]] | None,
    *,
    bos: str = "",
    eos: str = "",
) -> dict[str, JSON]:
    """As transformers gives them, and under the further names that some families read."""
    return {
        "messages": messages,
        "tools": tools,
        "xml_tools": tools,  # SmolLM3
        "functions": json.dumps(tools or [], ensure_ascii=False, indent=2),  # FireFunction
        "datetime": datetime.now().strftime("%b %d %Y %H:%M:%S"),  # FireFunction
        "add_generation_prompt": True,
        "bos_token": bos,
        "eos_token": eos,
    }
