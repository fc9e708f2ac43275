"""Gateways and servers that speak OpenAI's protocol: each is a row of data."""

from __future__ import annotations

from .openai_like import OpenAILike

ALIASES = {"ollama_chat": "ollama"}
"""Prefixes that LiteLLM's users know, where they mean the same."""

GATEWAYS: dict[str, OpenAILike] = {
    row.name: row
    for row in (
        OpenAILike(
            name="openai",
            base_url="https://api.openai.com/v1",
            key_env=("OPENAI_API_KEY",),
            base_env=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        ),
    )
}
