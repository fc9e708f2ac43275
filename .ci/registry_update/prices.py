"""Prices in the form of our registry, from what the two catalogues write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_GENAI_PRICES = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cached_input_audio",
    "output_audio_mtok": "output_audio",
    "input_image_mtok": "input_image",
    "cache_image_read_mtok": "cached_input_image",
    "output_image_mtok": "output_image",
    "input_video_mtok": "input_video",
    "output_video_mtok": "output_video",
}

_MODELS_DEV = {
    "input": "input",
    "cache_read": "cached_input",
    "cache_write": "cache_write",
    "output": "output",
    "reasoning": "reasoning",
    "input_audio": "input_audio",
    "output_audio": "output_audio",
}

_TIERED = ("input", "cached_input", "cache_write", "output")
"""The prices that a tier replaces."""


def from_genai_prices(model: Mapping[str, Any], units: Mapping[str, Any]) -> dict[str, Any]:
    """The prices of a model of genai-prices."""
    given = model["prices"]
    prices = _rates(given)
    prices["units"] = list(_units(given, units))
    prices["service_tiers"] = list(_service_tiers(model["variants"]))
    prices["other_fees"] = _hourly(model["hourly"])
    return {key: value for key, value in prices.items() if value}


def from_models_dev(model: Mapping[str, Any]) -> dict[str, Any]:
    """The prices of a model of models.dev. A zero there is often an unknown price: left out."""
    cost = model.get("cost", {})
    prices: dict[str, Any] = {ours: cost[k] for k, ours in _MODELS_DEV.items() if cost.get(k)}
    tiers = {tier["tier"]["size"]: tier for tier in cost.get("tiers", ())}
    if not tiers and "context_over_200k" in cost:
        tiers = {200_000: cost["context_over_200k"]}
    prices["tiers"] = [_tier(size, tiers[size], prices) for size in sorted(tiers)]
    return {key: value for key, value in prices.items() if value}


def _tier(size: int, tier: Mapping[str, Any], normal: Mapping[str, Any]) -> dict[str, Any]:
    """The tier for prompts longer than `size`; what it leaves out has the normal price."""
    rates = {ours: tier.get(k) for k, ours in _MODELS_DEV.items() if ours in _TIERED}
    found = {key: rate or normal.get(key) for key, rate in rates.items()}
    return {"min_prompt_tokens": size + 1} | {k: v for k, v in found.items() if v}


def _rates(given: Mapping[str, Any]) -> dict[str, Any]:
    named = {ours: given[key] for key, ours in _GENAI_PRICES.items() if key in given}
    rates: dict[str, Any] = {key: _at(value, 0) for key, value in named.items()}
    tiered = {key: named[key] for key in _TIERED if key in named}
    starts = {start for value in tiered.values() for start, _ in _steps(value)}
    rates["tiers"] = [
        # A tier holds for prompts longer than its start.
        {"min_prompt_tokens": start + 1} | {k: _at(v, start) for k, v in tiered.items()}
        for start in sorted(starts)
    ]
    return {key: value for key, value in rates.items() if value}


def _steps(value: Any) -> list[tuple[int, float]]:
    return value["tiers"] if isinstance(value, dict) else []


def _at(value: Any, start: int) -> float:
    reached = [price for step, price in _steps(value) if step <= start]
    return reached[-1] if reached else value["base"] if isinstance(value, dict) else value


def _units(given: Mapping[str, Any], units: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key in sorted(given.keys() - _GENAI_PRICES.keys()):
        unit, per = units[key]
        yield {"unit": unit, "price": _at(given[key], 0), "per": per}


def _service_tiers(variants: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for variant in variants:
        name = _service_tier(variant["when"])
        if name is not None:
            rates = _rates(variant["prices"])
            kept = {key: rates[key] for key in (*_TIERED, "tiers") if key in rates}
            if kept:
                yield {"service_tier": name, **kept}


def _service_tier(when: Mapping[str, str]) -> str | None:
    """The tier a variant is for; `None` for the normal one, and for what is no service tier."""
    if when == {"processing": "batch"}:
        return "batch"
    name = when.get("service_tier") or when.get("speed")
    return name if name != "default" and len(when) == 1 else None


def _hourly(hours: list[dict[str, Any]]) -> str | None:
    parts = [f"{h['from']} to {h['to']} UTC {_words(_rates(h['prices']))}" for h in hours]
    return f"other prices at some hours: {', '.join(parts)}" if parts else None


def _words(rates: Mapping[str, Any]) -> str:
    return " ".join(f"{key.replace('_', ' ')} {rates[key]:g}" for key in _TIERED if key in rates)
