"""What is known about a model: limits, prices, capabilities, tokenizer, status.

The facts come from `model_prices.json`, then from the file that `LLMROUTE_MODEL_REGISTRY` names,
then from `register_model()`; a later entry replaces an earlier one whole. What is not known is
`None`, never zero and never a guess.
"""

from __future__ import annotations

import difflib
import json
import os
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from .deployments import split_model
from .errors import LLMRouteError, NotFoundError
from .model_info import Capabilities, Mode, ModelInfo, Prices
from .registry_entries import read_entries, trusted_entry
from .registry_file import RegistryLines
from .runtime import shared
from .tracebacks import short_tracebacks

OVERRIDE_ENV = "LLMROUTE_MODEL_REGISTRY"
"""The environment variable that names a file with more entries; read once, at the first look-up."""

FIRST_PARTIES = (
    "openai",
    "anthropic",
    "gemini",
    "mistral",
    "deepseek",
    "xai",
    "meta",
    "moonshot",
    "zai",
    "perplexity",
    "cohere",
    "meta_llama",
)
"""Providers that make models themselves: a name without a prefix is looked for here, in order."""

# Prefixes under which the models of another one are called, at its prices.
_SAME_MODELS = {"gemini_openai": "gemini"}

Resolver: TypeAlias = Callable[[str], ModelInfo]
"""Finds the facts of a model that no file lists, such as a local one; gets the model string."""

# What knows about models in this process stands far above the registry. It is imported when such a
# model is asked for, so that what is known does not depend on what was imported before.
_LOCAL_MODULES = {"llamacpp": "llmroute.models"}


class Registry:
    """Model facts by model string, from entries known to fit the schema.

    `get_model_info()` and its kin use one that the process shares, `SharedRegistry`.
    """

    def __init__(
        self,
        entries: Mapping[str, Mapping[str, Any]],
        sources: Mapping[str, Mapping[str, Any]],
        aliases: Mapping[str, str],
    ) -> None:
        # Entries stay raw until they are asked for, and are not validated then: building a
        # validator takes longer than a call. `registry_check` validates them in advance.
        self._raw = entries
        self._sources = sources
        self._aliases = dict(aliases)
        self._infos: dict[str, ModelInfo] = {}
        self._resolvers: dict[str, Resolver] = {}
        self._lock = threading.Lock()

    def find(self, model: str) -> ModelInfo | None:
        """The facts about `model`, `None` when nothing is known. Takes microseconds either way."""
        info = self._listed(model)
        if info is not None or "/" not in model:
            return info
        resolver = self._resolver(model)
        try:
            return resolver(model) if resolver else None
        except NotFoundError:
            return None

    def get(self, model: str) -> ModelInfo:
        """The facts about `model`. Raises `NotFoundError`, which names near matches."""
        info = self._listed(model)
        if info is not None:
            return info
        resolver = self._resolver(model)
        if resolver:
            return resolver(model)
        raise self._unknown(model)

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

    def _listed(self, model: str) -> ModelInfo | None:
        info = self._infos.get(model)
        if info is not None:
            return info
        if "/" not in model:
            names = (f"{provider}/{model}" for provider in FIRST_PARTIES)
            return next((info for name in names if (info := self._listed(name))), None)
        name = self._aliases.get(model, model)
        if name in self._infos:
            return self._infos[name]
        if name not in self._raw:
            prefix, _, rest = name.partition("/")
            twin = _SAME_MODELS.get(prefix)
            return self._listed(f"{twin}/{rest}") if twin else None
        info = trusted_entry(name, self._raw[name], self._sources)
        with self._lock:
            return self._infos.setdefault(name, info)

    def _resolver(self, model: str) -> Resolver | None:
        provider, _ = split_model(model)
        if provider in self._resolvers:
            return self._resolvers[provider]
        module = local_module(provider)
        if module is None:
            return None
        resolver: Resolver = module.local_info
        return resolver

    def _unknown(self, model: str) -> NotFoundError:
        close = self._near(model)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        return NotFoundError(
            f"Nothing is known about the model {model!r}.{hint} Add it with register_model(), or in"
            f" a file named by {OVERRIDE_ENV}.",
            provider=split_model(model)[0] or None,
            model=model,
        )

    def _near(self, model: str) -> list[str]:
        """Up to three names that may have been meant: the provider's own before other ones'."""
        provider, name = split_model(model)
        prefixes = (provider,) if provider else FIRST_PARTIES
        own: dict[str, str] = {}
        elsewhere = []
        for known in (*self.names(), *self._aliases):
            prefix, _, rest = known.partition("/")
            if prefix in prefixes:
                own[rest.lower()] = known
            if rest == name or rest.endswith(f"/{name}"):
                elsewhere.append(known)
        order = (provider, *FIRST_PARTIES)
        elsewhere.sort(key=lambda known: known.partition("/")[0] not in order)
        elsewhere.sort(key=lambda known: not known.startswith(f"{provider}/"))
        similar = [own[rest] for rest in difflib.get_close_matches(name.lower(), own, n=3)]
        return list(dict.fromkeys([*elsewhere[:2], *similar]))[:3]


class SharedRegistry(Registry):
    """The registry of this process: the shipped file, then the one `LLMROUTE_MODEL_REGISTRY` names.

    Made at the first look-up, which takes some milliseconds.
    """

    def __init__(self) -> None:
        lines = RegistryLines(builtin_path().read_bytes())
        super().__init__(lines, lines.sources, lines.aliases())
        if override := os.environ.get(OVERRIDE_ENV):
            self.add(read_entries(_read_json(Path(override))))


def get_model_info(model: str) -> ModelInfo:
    """What is known about `model`, a model string such as `"meta/muse-spark-1.1"`.

    Only the exact name or a listed alias is found, never a similar one; a name without a prefix,
    such as `"gpt-4o"`, is the model of the provider that makes it (see `FIRST_PARTIES`). Raises
    `NotFoundError` with near matches. The first call reads the registry's file (some milliseconds).
    """
    with short_tracebacks:
        return shared(SharedRegistry).get(model)


def find_model_info(model: str) -> ModelInfo | None:
    """As `get_model_info()`, but `None` where nothing is known: for calls that go on without."""
    return shared(SharedRegistry).find(model)


def known_models() -> list[str]:
    """All model strings the registry lists, sorted."""
    return shared(SharedRegistry).names()


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
    shared(SharedRegistry).add(infos)
    return sorted(infos)


def register_resolver(prefix: str, resolver: Resolver) -> None:
    """Let `resolver(model)` answer for models of provider `prefix` that the registry lacks.

    For providers whose models are not a fixed list: a file on disk, a private server.
    """
    shared(SharedRegistry).add_resolver(prefix, resolver)


def local_module(prefix: str) -> ModuleType | None:
    """The module whose `local_info` and `local_count` know the models of a local provider."""
    path = _LOCAL_MODULES.get(prefix)
    return import_module(path) if path else None


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


def builtin_path() -> Path:
    """Where `model_prices.json` is: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "model_prices.json"
    return installed if installed.exists() else package.parent / "model_prices.json"


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
