"""What the families of models on Bedrock take beyond the Converse API's own fields.

Written from https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html and the
pages of model parameters beside it (2026-11-28), and from recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import BadRequestError
from ..types.request import JSON

_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:-(\d{1,2}))?(?!\d)")
# Models that hold their answers to a schema, Claude aside.
_ENFORCING = re.compile(
    r"(?:^|[./])(?:google\.gemma-3|minimax\.|mistral\.(?:magistral|ministral|mistral-large-3|voxtral)"
    r"|moonshot(?:ai)?\.|nvidia\.|openai\.|qwen\.|zai\.|deepseek\.v3)"
)
# Tokens to think with, for models that take a budget instead of an effort. LiteLLM's numbers.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}


def enforces_schemas(model: str) -> bool:
    """Whether the model takes a JSON schema for its answer (`outputConfig`)."""
    version = claude_version(model)
    return version >= (4, 5) if version else _ENFORCING.search(model) is not None


def forces_tools_while_thinking(model: str) -> bool:
    """Whether the model takes a forced tool together with thinking."""
    return claude_version(model) is None


def claude_version(model: str) -> tuple[int, int] | None:
    """The version of a Claude model, such as `(4, 5)`; `None` for others."""
    found = _CLAUDE.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def top_k(count: JSON, model: str) -> dict[str, JSON]:
    """`top_k` in the model's own fields."""
    return {"inferenceConfig": {"topK": count}} if "amazon.nova" in model else {"top_k": count}


def reasoning(effort: str, model: str) -> dict[str, JSON]:
    """`reasoning_effort` in the model's own fields: an effort, or a budget of tokens.

    Raises `BadRequestError` for an effort that the model cannot be told.
    """
    version = claude_version(model)
    if version is not None:
        return _claude_reasoning(effort, version)
    if "amazon.nova" in model:
        if effort == "none":
            return {"reasoningConfig": {"type": "disabled"}}
        effort = _effort(effort, {**_EFFORTS, "xhigh": "high"})
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
    if "qwen." in model:
        return {"reasoning_config": effort}
    return {"reasoning_effort": effort}


def _claude_reasoning(effort: str, version: tuple[int, int]) -> dict[str, JSON]:
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    if version >= (4, 6):
        config = {"effort": _EFFORTS.get(effort, effort)}
        return {"thinking": {"type": "adaptive"}, "output_config": config}
    return {"thinking": {"type": "enabled", "budget_tokens": _effort(effort, _BUDGETS)}}


def _effort(effort: str, known: Mapping[str, JSON]) -> JSON:
    if effort not in known:
        raise BadRequestError(
            f"reasoning_effort={effort!r} must be one of {', '.join(known)} or none.",
            param="reasoning_effort",
        )
    return known[effort]
