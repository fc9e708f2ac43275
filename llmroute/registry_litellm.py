"""LiteLLM's `model_prices_and_context_window.json`, read as entries of our registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Entry: TypeAlias = Mapping[str, Any]

# The modes llmroute has an operation for; entries of other modes (images, speech, ...) are left
# out. LiteLLM calls text completion "completion" and the Responses API's models "responses".
_MODES = {"chat": "chat", "responses": "chat", "completion": "text", "embedding": "embedding"}

_PRICES = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "output_cost_per_token": "output",
}

_CAPABILITIES = {
    "supports_function_calling": "tools",
    "supports_native_streaming": "streaming",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_prompt_caching": "prompt_caching",
    "supports_reasoning": "reasoning",
    "supports_response_schema": "json_schema",
    "supports_vision": "vision",
}

# LiteLLM writes some providers' names with what the endpoint does in front.
_PROVIDERS = {"text-completion-openai": "openai"}

_MODALITIES = ("text", "image", "audio", "video", "file")


def is_litellm(entries: Mapping[str, Any]) -> bool:
    """Whether `entries` are in LiteLLM's format, judged by keys that only its entries have."""
    return any(
        isinstance(entry, Mapping)
        and any(k == "litellm_provider" or k.endswith("_cost_per_token") for k in entry)
        for entry in entries.values()
    )


def from_litellm(entries: Mapping[str, Any]) -> dict[str, Entry]:
    """LiteLLM's entries as ours. Modes that llmroute has no operation for are left out."""
    converted = {}
    for key, entry in entries.items():
        # "sample_spec" explains the format and describes no model.
        if key == "sample_spec" or entry.get("mode", "chat") not in _MODES:
            continue
        converted[_name(key, entry)] = _convert(entry)
    return converted


def _name(key: str, entry: Entry) -> str:
    provider = entry.get("litellm_provider", "")
    provider = _PROVIDERS.get(provider, provider)
    return key if not provider or key.startswith(f"{provider}/") else f"{provider}/{key}"


def _convert(entry: Entry) -> Entry:
    prices: dict[str, Any] = {ours: _per_million(entry.get(k)) for k, ours in _PRICES.items()}
    prices["tiers"] = _tiers(entry)
    return {
        "mode": _MODES[entry.get("mode", "chat")],
        "max_input_tokens": _count(entry.get("max_input_tokens")),
        # max_tokens is the older name of the output limit.
        "max_output_tokens": _count(entry.get("max_output_tokens", entry.get("max_tokens"))),
        "embedding_dimensions": _count(entry.get("output_vector_size")),
        "prices": prices,
        "capabilities": {ours: entry[k] for k, ours in _CAPABILITIES.items() if k in entry},
        "modalities": {
            "input": _modalities(entry.get("supported_modalities")),
            "output": _modalities(entry.get("supported_output_modalities")),
        },
        "retires": entry.get("deprecation_date"),
    }


def _per_million(price: float | str | None) -> float | None:
    # A zero there stands for "free" and for "nobody looked it up" alike, so it is unknown here.
    # Rounding undoes what the multiplication adds: 1.1e-06 is meant to be 1.1 dollars.
    return round(float(price) * 1_000_000, 9) if price and float(price) else None


def _count(value: object) -> int | None:
    # Some limits are written as text or as a float; zero and prose mean nothing usable.
    number = int(value) if isinstance(value, (int, float)) else 0
    return number if number > 0 else None


def _modalities(names: list[str] | None) -> list[str] | None:
    return [name for name in names if name in _MODALITIES] if names else None


def _tiers(entry: Entry) -> list[dict[str, Any]]:
    """Prices such as `input_cost_per_token_above_200k_tokens`, gathered by threshold."""
    tiers: dict[int, dict[str, Any]] = {}
    for key, price in entry.items():
        base, above, rest = key.partition("_above_")
        limit = rest.removesuffix("k_tokens")
        name = _PRICES.get(base)
        if above and name and limit.isdecimal():
            tokens = int(limit) * 1000 + 1
            tiers.setdefault(tokens, {"min_prompt_tokens": tokens})[name] = _per_million(price)
    return [tiers[tokens] for tokens in sorted(tiers)]
