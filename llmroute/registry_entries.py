"""The entries of a model registry: how they are read, and what must hold for each.

In a file of our format an entry leaves out what is not known. Its `sources` name sources that the
file lists once, and say what each gave.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from .deployments import split_model
from .errors import LLMRouteError
from .model_info import (
    Capabilities,
    Modalities,
    ModelInfo,
    Prices,
    PriceTier,
    ServiceTierPrices,
    Source,
    UnitPrice,
)
from .registry_litellm import from_litellm, is_litellm

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FORMAT_VERSION = 2
"""The `version` of our registry format. Version 1, which lists no `sources`, is read too."""


def read_entries(data: Mapping[str, Any]) -> dict[str, ModelInfo]:
    """The entries of a registry in either format, validated; see `register_model`."""
    entries = data.get("models") if "version" in data else data
    if "version" in data and data["version"] not in (1, FORMAT_VERSION):
        raise LLMRouteError(
            f"The model registry has version {data['version']!r}; this llmroute reads version"
            f" {FORMAT_VERSION}."
        )
    if not isinstance(entries, Mapping):
        raise LLMRouteError('A model registry has its entries under "models".')
    if is_litellm(entries):
        entries = from_litellm(entries)
    sources = data.get("sources", {}) if "version" in data else {}
    return {name: _entry(name, entry, sources) for name, entry in entries.items()}


def trusted_entry(
    name: str, entry: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]]
) -> ModelInfo:
    """One entry of a file that is known to fit: not validated, which takes longer than a call."""
    entry = _with_sources(entry, sources)
    given: dict[str, Any] = {"provider": split_model(name)[0], **entry, "name": name}
    for key, build in _NESTED.items():
        if given.get(key) is not None:
            given[key] = build(given[key])
    return ModelInfo(**given)


def _entry(name: str, entry: object, sources: Mapping[str, Any]) -> ModelInfo:
    if isinstance(entry, ModelInfo):
        return entry
    if not isinstance(entry, Mapping):
        raise LLMRouteError(f"The registry's entry {name!r} is not an object.")
    try:
        entry = _with_sources(entry, sources)
        info = _validate({"provider": split_model(name)[0], **entry, "name": name})
        _check_numbers(info)
    except KeyError as error:
        raise LLMRouteError(
            f"The registry's entry {name!r} names a source that is not listed: {error}."
        ) from error
    except (TypeError, ValueError) as error:
        raise LLMRouteError(f"The registry's entry {name!r} does not fit: {error}") from error
    return info


def _with_sources(entry: Mapping[str, Any], sources: Mapping[str, Any]) -> Mapping[str, Any]:
    """`entry` with its sources in full, where it only names them and says what each gave."""
    given = entry.get("sources")
    if not isinstance(given, Mapping):
        return entry
    full = [{**sources[name], "note": _note(sources[name], note)} for name, note in given.items()]
    return {**entry, "sources": full}


def _note(source: Mapping[str, Any], note: str) -> str:
    return f"{note}; {source['note']}" if source.get("note") else note


def _validate(entry: Mapping[str, Any]) -> ModelInfo:
    # Strict, as JSON: a number in quotes is an error, a date is text.
    return _validator().validate_json(json.dumps(entry), strict=True)


@functools.cache
def _validator() -> TypeAdapter[ModelInfo]:
    from pydantic import TypeAdapter  # here: most processes never read an entry of their own

    return TypeAdapter(ModelInfo)


def _check_numbers(info: ModelInfo) -> None:
    limits = (info.max_input_tokens, info.max_output_tokens, info.embedding_dimensions)
    if any(limit is not None and limit <= 0 for limit in limits):
        raise ValueError("a limit must be greater than 0; an unknown one is null")
    prices = [price for rates in _rates(info.prices) for price in rates]
    known = [price for price in prices if price is not None]
    if any(price < 0 for price in known):
        raise ValueError("a price can't be negative")
    if 0 in known and not info.free:
        raise ValueError("a price of 0 needs free: true; an unknown price is null")


def _rates(prices: Prices) -> Iterator[tuple[float | None, ...]]:
    all_rates: list[Prices | PriceTier | ServiceTierPrices] = [prices, *prices.tiers]
    for service in prices.service_tiers:
        all_rates += [service, *service.tiers]
    for rates in all_rates:
        yield rates.input, rates.cached_input, rates.cache_write, rates.output
    yield prices.cache_write_1h, prices.reasoning
    yield prices.input_audio, prices.cached_input_audio, prices.output_audio
    yield prices.input_image, prices.cached_input_image, prices.output_image
    yield prices.input_video, prices.output_video
    yield tuple(unit.price for unit in prices.units)


def _prices(entry: Mapping[str, Any]) -> Prices:
    units = tuple(UnitPrice(**unit) for unit in entry.get("units", ()))
    services = tuple(
        ServiceTierPrices(**{**service, "tiers": _tiers(service)})
        for service in entry.get("service_tiers", ())
    )
    nested = {"tiers": _tiers(entry), "units": units, "service_tiers": services}
    return Prices(**{**entry, **nested})


def _tiers(entry: Mapping[str, Any]) -> tuple[PriceTier, ...]:
    return tuple(PriceTier(**tier) for tier in entry.get("tiers", ()))


def _modalities(entry: Mapping[str, Any]) -> Modalities:
    return Modalities(**{k: v and tuple(v) for k, v in entry.items()})


def _sources(entries: Iterable[Mapping[str, Any]]) -> tuple[Source, ...]:
    return tuple(Source(**{**e, "checked": date.fromisoformat(e["checked"])}) for e in entries)


# How the JSON values of an entry that are no plain text, number or yes-or-no are built.
_NESTED: Mapping[str, Callable[[Any], object]] = {
    "aliases": tuple,
    "capabilities": lambda entry: Capabilities(**entry),
    "modalities": _modalities,
    "prices": _prices,
    "released": date.fromisoformat,
    "retires": date.fromisoformat,
    "sources": _sources,
}
