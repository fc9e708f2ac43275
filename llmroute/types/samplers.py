"""The samplers beyond OpenAI's, by the names that llama.cpp, vLLM and most gateways share."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from .request import STRICT


@with_config(STRICT)
class SamplerParams(TypedDict, total=False):
    """What chat and text completions take alike."""

    grammar: str | None
    ignore_eos: bool | None
    min_p: float | None
    mirostat: int | None
    mirostat_eta: float | None
    mirostat_tau: float | None
    repeat_penalty: float | None
    repetition_penalty: float | None
    top_k: int | None
    typical_p: float | None


LOCAL_PARAMS = frozenset({"chat_template", "chat_template_kwargs", *SamplerParams.__annotations__})
"""Parameters beyond OpenAI's that servers of open models share."""
