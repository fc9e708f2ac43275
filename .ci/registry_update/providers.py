"""Which names a provider of ours has in the two catalogues."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Names:
    """One provider's names; empty where a catalogue does not have it."""

    models_dev: tuple[str, ...] = ()
    genai_prices: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    """How its models begin, where the catalogue's list holds those of another service too."""


PROVIDERS = {
    "anthropic": Names(("anthropic",), ("anthropic",)),
    "azure": Names(("azure",), ("azure",)),
    "bedrock": Names(("amazon-bedrock",), ("aws",)),
    "cerebras": Names(("cerebras",), ("cerebras",)),
    "cohere": Names(("cohere",), ("cohere",)),
    "deepinfra": Names(("deepinfra",)),
    "deepseek": Names(("deepseek",), ("deepseek",)),
    "fireworks_ai": Names(("fireworks-ai",), ("fireworks",)),
    "gemini": Names(("google",), ("google",), ("gemini", "gemma")),
    "groq": Names(("groq",), ("groq",)),
    "huggingface": Names(("huggingface",)),
    "meta": Names((), ("meta",)),
    "mistral": Names(("mistral",), ("mistral",)),
    "moonshot": Names(("moonshotai",), ("moonshotai",)),
    "nebius": Names(("nebius",)),
    "novita": Names(("novita-ai",), ("novita",)),
    "nvidia_nim": Names(("nvidia",)),
    "openai": Names(("openai",), ("openai",)),
    "openrouter": Names(("openrouter",), ("openrouter",)),
    "perplexity": Names(("perplexity",), ("perplexity",)),
    "together_ai": Names(("togetherai",), ("together",)),
    "vercel_ai_gateway": Names(("vercel",)),
    "vertex_ai": Names(("google-vertex", "google-vertex-anthropic"), ("google",)),
    "voyage": Names((), ("voyageai",)),
    "xai": Names(("xai",), ("x-ai",)),
    "zai": Names(("zai",), ("zai",)),
}
"""Ours by prefix, in the names of the catalogues."""

ROUTED = "huggingface_"
"""genai-prices lists who serves a model for Hugging Face's router as a provider each."""


def models_dev(catalogues: dict[str, Any], prefix: str) -> dict[str, dict[str, Any]]:
    """The models of one provider in models.dev, by name."""
    found: dict[str, dict[str, Any]] = {}
    for name in PROVIDERS[prefix].models_dev:
        found |= catalogues["models-dev"].get(name, {})
    return found


def genai_prices(catalogues: dict[str, Any], prefix: str) -> dict[str, dict[str, Any]]:
    """The models of one provider in genai-prices, by the name they have there."""
    names = PROVIDERS[prefix]
    found: dict[str, dict[str, Any]] = {}
    for name in names.genai_prices:
        found |= catalogues["genai-prices"].get(name, {})
    found = {k: v for k, v in found.items() if k.startswith(names.prefixes or ("",))}
    if prefix == "huggingface":
        found |= dict(_routed(catalogues))
    return found


def _routed(catalogues: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for provider, models in catalogues["genai-prices"].items():
        if provider.startswith(ROUTED):
            server = provider.removeprefix(ROUTED)
            for name, model in models.items():
                yield f"{name}:{server}", {**model, "names": []}


def same_model(catalogues: dict[str, Any], prefix: str) -> dict[str, str]:
    """The model of genai-prices by the name it has in models.dev, for one provider."""
    found: dict[str, str] = {}
    for name in PROVIDERS[prefix].models_dev:
        found |= catalogues["same"].get(name, {})
    return found
