"""The providers, found by the prefix of a model string."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from .. import runtime
from ..errors import BadRequestError, LLMRouteError
from ..runtime import shared
from .base import Provider
from .gateways import ALIASES, GATEWAYS
from .params import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

__all__ = ["ENTRY_POINT_GROUP", "MOCK", "get_provider", "provider_names", "register_provider"]

MOCK = "mock"
"""The provider that answers without calling anybody."""

ENTRY_POINT_GROUP = "llmroute.providers"
"""A package adds a provider by an entry point in this group; its name is the prefix."""

# Whose models begin like this; only to suggest a missing prefix.
_FAMILIES = {
    "deepseek": "deepseek",
    "gemini": "gemini",
    "gpt": "openai",
    "grok": "xai",
    "kimi": "moonshot",
    "llama": "meta_llama",
    "mistral": "mistral",
    "muse": "meta",
    "sonar": "perplexity",
}


class Lookup:
    """The providers that were registered and those that were found, by prefix."""

    def __init__(self) -> None:
        self.registered: dict[str, Provider] = {}
        self.found: dict[str, Provider] = {}


def get_provider(prefix: str, model: str = "") -> Provider:
    """The provider that `prefix` stands for.

    Looked for in this order: `register_provider`, a module of this folder, the rows of
    `gateways.py`, the entry points of installed packages. Only what is asked for is imported, and
    once found it is remembered. Raises `BadRequestError`, which quotes `model` (the whole model
    string) and names near matches, when there is no such provider.
    """
    # Every call comes here, so the part is looked up without `shared()` where it exists.
    lookup: Lookup = runtime.current.parts.get(Lookup) or shared(Lookup)
    provider = lookup.found.get(prefix)
    if provider is None:
        provider = _find(prefix)
        if provider is None:
            raise _unknown(prefix, model or prefix)
        lookup.found[prefix] = provider
    return provider


def register_provider(name: str, provider: Provider, *, replace: bool = False) -> None:
    """Makes `provider` reachable as `name/...` in this process.

    Raises `LLMRouteError` if `name` can't be a prefix, if `provider` is no `Provider`, or if the
    name is taken and `replace` does not say that it may be.
    """
    if not name or "/" in name or name != name.strip():
        raise LLMRouteError(f"{name!r} can't be a provider prefix: no spaces around it, no '/'.")
    _check(name, provider)
    if not replace and (name in ALIASES or name in provider_names()):
        raise LLMRouteError(
            f"There is a provider {name!r} already; replace it with register_provider(..., "
            "replace=True)."
        )
    lookup = shared(Lookup)
    lookup.registered[name] = lookup.found[name] = provider


def provider_names() -> list[str]:
    """Every prefix there is, sorted: ours, registered ones and those of installed packages."""
    return sorted({*shared(Lookup).registered, *_modules(), *GATEWAYS, *_entry_points().names})


def _find(prefix: str) -> Provider | None:
    name = ALIASES.get(prefix, prefix)
    registered = shared(Lookup).registered.get(prefix)
    return registered or _module(name) or GATEWAYS.get(name) or _installed(name)


def _module(name: str) -> Provider | None:
    """The `provider` of the module `name` of this folder, if it is one that has any."""
    if not name.isidentifier() or find_spec(f"{__name__}.{name}") is None:
        return None
    provider: Provider | None = getattr(import_module(f"{__name__}.{name}"), "provider", None)
    return provider


def _modules() -> Iterator[str]:
    # Only loading a module shows whether it is a provider or a helper (base, params, ...).
    return (module.name for module in iter_modules(__path__) if _module(module.name) is not None)


def _installed(name: str) -> Provider | None:
    entries = list(_entry_points().select(name=name))
    if not entries:
        return None
    if len(entries) > 1:
        owners = ", ".join(sorted(entry.dist.name if entry.dist else "?" for entry in entries))
        raise LLMRouteError(f"Several installed packages bring a provider {name!r}: {owners}.")
    try:
        provider = entries[0].load()
    except (ImportError, AttributeError) as exc:
        raise LLMRouteError(
            f"The provider {name!r} of an installed package ({entries[0].value}) can't be loaded: "
            f"{exc}"
        ) from exc
    _check(name, provider)
    return provider  # type: ignore[no-any-return]  # checked the line before


def _entry_points() -> EntryPoints:
    # Only here: importing it takes longer than the rest of a call, and few calls need it.
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINT_GROUP)


def _check(name: str, provider: object) -> None:
    if not isinstance(provider, Provider):
        raise LLMRouteError(
            f"The provider {name!r} is {provider!r}; it must be an instance of a subclass of "
            "llmroute.providers.base.Provider."
        )


def _unknown(prefix: str, model: str) -> BadRequestError:
    names = provider_names()
    meant = prefix.lower().replace("-", "_")
    near = f" Did you mean {meant!r}?" if meant in names else did_you_mean(meant, names)
    if model.endswith(".gguf") and not near:
        hint = f" For a file on this machine: {f'llamacpp/{model}'!r}."
    elif prefix:
        hint = f"{near} Known are: {', '.join(names)}."
    elif model in names:
        hint = f" It is one itself: write {model}/ and the name of one of its models."
    else:
        family = next((f for f in _FAMILIES if model.lower().startswith(f)), None)
        example = f"{_FAMILIES[family]}/{model}" if family else "openai/gpt-4o"
        hint = f" A model is named provider/model, such as {example!r}."
    return BadRequestError(
        f"model={model!r} names no known provider.{hint}", model=model, param="model"
    )
