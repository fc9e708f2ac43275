"""What is known about a model: limits, prices, capabilities, tokenizer, status.

The facts come from `model_prices.json`, then from the file that `LLMROUTE_MODEL_REGISTRY` names,
then from `register_model()`; a later entry replaces an earlier one whole. What is not known is
`None`, never zero and never a guess.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import threading
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .deployments import split_model
from .errors import LLMRouteError, NotFoundError
from .model_info import Capabilities, Modalities, Mode, ModelInfo, Prices, PriceTier, Source
from .registry_litellm import from_litellm, is_litellm

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FORMAT_VERSION = 1
"""The `version` of our registry format."""

OVERRIDE_ENV = "LLMROUTE_MODEL_REGISTRY"
"""The environment variable that names a file with more entries; read once, at the first look-up."""

Resolver: TypeAlias = Callable[[str], ModelInfo]
"""Finds the facts of a model that no file lists, such as a local one; gets the model string."""


class Registry:
    """Model facts by model string, from entries known to fit the schema.

    `get_model_info()` and its kin use one shared instance.
    """

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        # Entries stay raw until they are asked for, and are not validated then: building a
        # validator takes longer than a call. `registry_check` validates them in advance.
        self._raw = dict(entries)
        self._infos: dict[str, ModelInfo] = {}
        self._aliases = {
            alias: name for name, entry in entries.items() for alias in entry.get("aliases", ())
        }
        self._resolvers: dict[str, Resolver] = {}
        self._lock = threading.Lock()

    def get(self, model: str) -> ModelInfo:
        """The facts about `model`. Raises `NotFoundError`, which names near matches."""
        info = self._infos.get(model)
        return info if info is not None else self._find(model)

    def names(self) -> list[str]:
        """All model strings, sorted; without aliases."""
        return sorted({*self._raw, *self._infos})

    def add(self, infos: Mapping[str, ModelInfo]) -> None:
        """Add entries, or replace the ones of the same name."""
        with self._lock:
            self._infos.update(infos)
            self._aliases.update(
                {alias: name for name, info in infos.items() for alias in info.aliases}
            )

    def add_resolver(self, prefix: str, resolver: Resolver) -> None:
        """Ask `resolver` about models of provider `prefix` that are not listed."""
        with self._lock:
            self._resolvers[prefix] = resolver

    def _find(self, model: str) -> ModelInfo:
        name = self._aliases.get(model, model)
        if name in self._infos:
            return self._infos[name]
        if name in self._raw:
            info = _trusted(name, self._raw[name])
            with self._lock:
                return self._infos.setdefault(name, info)
        provider, _ = split_model(model)
        if provider in self._resolvers:
            return self._resolvers[provider](model)
        raise self._unknown(model)

    def _unknown(self, model: str) -> NotFoundError:
        provider, _ = split_model(model)
        known = [*self.names(), *self._aliases]
        close = [name for name in known if name.partition("/")[2] == model]
        by_lower = {name.lower(): name for name in known}
        close += [by_lower[m] for m in difflib.get_close_matches(model.lower(), by_lower, n=3)]
        hint = (
            f" Did you mean {' or '.join(repr(n) for n in dict.fromkeys(close))}?" if close else ""
        )
        return NotFoundError(
            f"Nothing is known about the model {model!r}.{hint} Add it with register_model(), or in"
            f" a file named by {OVERRIDE_ENV}.",
            provider=provider or None,
            model=model,
        )


def get_model_info(model: str) -> ModelInfo:
    """What is known about `model`, a model string such as `"meta/muse-spark-1.1"`.

    Only the exact name or a listed alias is found, never a similar one. Raises `NotFoundError`
    with near matches. The first call reads the registry's file (about a millisecond).
    """
    return _shared().get(model)


def known_models() -> list[str]:
    """All model strings the registry lists, sorted."""
    return _shared().names()


def register_model(models: Mapping[str, Any] | str | os.PathLike[str]) -> list[str]:
    """Add models to the registry, or replace what it says about them, for this process.

    `models` maps model strings to `ModelInfo` objects or entries, or is the path of a JSON file.
    Entries are written as in `model_prices.json` (prices in US dollars per million tokens) or as
    in LiteLLM's `model_prices_and_context_window.json` (`input_cost_per_token`, ...), which is
    recognised and converted. Returns the model strings. Raises `LLMRouteError` for an entry that
    does not fit; then nothing is added.
    """
    if not isinstance(models, Mapping):
        models = _read_json(Path(models))
    infos = read_entries(models)
    _shared().add(infos)
    return sorted(infos)


def register_resolver(prefix: str, resolver: Resolver) -> None:
    """Let `resolver(model)` answer for models of provider `prefix` that the registry lacks.

    For providers whose models are not a fixed list: a file on disk, a private server.
    """
    _shared().add_resolver(prefix, resolver)


def local_model_info(
    model: str,
    *,
    context_window: int | None,
    mode: Mode = "chat",
    embedding_dimensions: int | None = None,
) -> ModelInfo:
    """The facts about a model in a file, from what its header says.

    `model` is the model string and `context_window` the length it was trained for, in tokens. A
    local model costs nothing: its prices are zero and `free` is true.
    """
    return ModelInfo(
        name=model,
        provider=split_model(model)[0],
        mode=mode,
        max_input_tokens=context_window,
        max_output_tokens=context_window if mode != "embedding" else None,
        embedding_dimensions=embedding_dimensions,
        prices=Prices(input=0, cached_input=0, output=0),
        free=True,
        capabilities=Capabilities(streaming=mode != "embedding"),
        status="active",
    )


def read_entries(data: Mapping[str, Any]) -> dict[str, ModelInfo]:
    """The entries of a registry in either format, validated; see `register_model`."""
    entries = data.get("models") if "version" in data else data
    if "version" in data and data["version"] != FORMAT_VERSION:
        raise LLMRouteError(
            f"The model registry has version {data['version']!r}; this llmroute reads version"
            f" {FORMAT_VERSION}."
        )
    if not isinstance(entries, Mapping):
        raise LLMRouteError('A model registry has its entries under "models".')
    if is_litellm(entries):
        entries = from_litellm(entries)
    return {name: _entry(name, entry) for name, entry in entries.items()}


def builtin_path() -> Path:
    """Where `model_prices.json` is: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "model_prices.json"
    return installed if installed.exists() else package.parent / "model_prices.json"


def _entry(name: str, entry: object) -> ModelInfo:
    if isinstance(entry, ModelInfo):
        return entry
    if not isinstance(entry, Mapping):
        raise LLMRouteError(f"The registry's entry {name!r} is not an object.")
    try:
        info = _validate({"provider": split_model(name)[0], **entry, "name": name})
        _check_numbers(info)
    except (TypeError, ValueError) as error:
        raise LLMRouteError(f"The registry's entry {name!r} does not fit: {error}") from error
    return info


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
    rates: tuple[Prices | PriceTier, ...] = (info.prices, *info.prices.tiers)
    prices = [p for r in rates for p in (r.input, r.cached_input, r.cache_write, r.output)]
    known = [price for price in prices if price is not None]
    if any(price < 0 for price in known):
        raise ValueError("a price can't be negative")
    if 0 in known and not info.free:
        raise ValueError("a price of 0 needs free: true; an unknown price is null")


def _trusted(name: str, entry: Mapping[str, Any]) -> ModelInfo:
    prices = entry["prices"]
    tiers = tuple(PriceTier(**tier) for tier in prices["tiers"])
    sources = (
        Source(**{**source, "checked": date.fromisoformat(source["checked"])})
        for source in entry["sources"]
    )
    modalities: dict[str, Any] = {k: v and tuple(v) for k, v in entry["modalities"].items()}
    dates = {k: entry[k] and date.fromisoformat(entry[k]) for k in ("released", "retires")}
    nested = {
        "aliases": tuple(entry["aliases"]),
        "capabilities": Capabilities(**entry["capabilities"]),
        "modalities": Modalities(**modalities),
        "prices": Prices(**{**prices, "tiers": tiers}),
        "sources": tuple(sources),
    }
    return ModelInfo(**{**entry, **dates, **nested, "name": name})


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise LLMRouteError(f"The model registry {path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise LLMRouteError(f"The model registry {path} is not JSON: {error}") from error
    if not isinstance(data, Mapping):
        raise LLMRouteError(f"The model registry {path} is not a JSON object.")
    return data


@functools.cache
def _shared() -> Registry:
    registry = Registry(_read_json(builtin_path())["models"])
    if override := os.environ.get(OVERRIDE_ENV):
        registry.add(read_entries(_read_json(Path(override))))
    return registry
