"""The Meta Model API: Meta's hosted Muse models, the successor of the Llama API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..types.request import Request
from .openai_like import OpenAILike
from .tool_choice import only_auto, settle


class Meta(OpenAILike):
    """OpenAI's protocol, with one answer a call and tools only by the model's own choice."""

    def refused_values(self, request: Request) -> Mapping[str, str]:
        """Only `tool_choice="auto"`, one answer, and never without thinking."""
        reasons = dict(only_auto(request))
        if request.params.get("n", 1) != 1:
            reasons["n"] = "other than 1"
        if request.params.get("reasoning_effort") == "none":
            reasons["reasoning_effort"] = '"none"; the least is "minimal"'
        return reasons

    def adjust(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        """Leaves out what says no more than the default."""
        settle(params)
        return super().adjust(params, request)


provider = Meta(
    name="meta",
    base_url="https://api.meta.ai/v1",
    base_env=("META_API_BASE",),
    key_env=("MODEL_API_KEY", "META_API_KEY"),
    operations=("chat",),
    unsupported_params=frozenset({"logprobs", "stop", "top_logprobs"}),
    source="https://dev.meta.ai/docs/protocols/chat-completions",
    checked="2026-11-22",
)
