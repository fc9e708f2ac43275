"""From a model string, the caller's key and URL, and the environment to a deployment.

This is the only place that reads keys. A key from the environment comes from the provider's own
variables and goes to the provider's own host; a key the caller passes goes where the caller says.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .deployments import Deployment, origin, shown, shown_server, split_model
from .errors import AuthenticationError, BadRequestError
from .providers import get_provider
from .providers.base import Provider


def resolve(
    model: str,
    *,
    api_key: str | None = None,
    api_base: str | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Deployment:
    """The deployment `model` names.

    Raises `BadRequestError` for a model string or URL that is none, and `AuthenticationError`,
    naming the variable, when the provider needs a key and there is none.
    """
    if not isinstance(model, str):
        raise BadRequestError(f"model must be a string, not {type(model).__name__}.")
    prefix, name = split_model(model)
    provider = get_provider(prefix, model)
    if not name:
        raise BadRequestError(f"The model string {model!r} has no model name.", model=model)
    base = _base(provider, api_base, model, environ)
    key = (api_key or "").strip()  # one that was read from a file often ends in a line end
    if not key and base is not None:  # what a variable that is not set often comes to
        key = _key(provider, base, model, environ) or ""
    if model_kwargs:
        return Deployment(
            provider=prefix,
            model=name,
            api_base=base,
            api_key=key or None,
            model_kwargs=dict(model_kwargs),
        )
    return _deployment(prefix, name, base, key or None)


@functools.lru_cache(maxsize=64)
def _deployment(prefix: str, name: str, base: str | None, key: str | None) -> Deployment:
    # Remembered, as making one is a tenth of what a call costs before it is sent.
    return Deployment(provider=prefix, model=name, api_base=base, api_key=key)


def _base(
    provider: Provider, api_base: str | None, model: str, environ: Mapping[str, str]
) -> str | None:
    """The base URL; `None` for a model in this process."""
    base = api_base or next(_own(provider, environ), None)
    if base is None:
        if provider.runs_here:
            return None
        named = f" or set {provider.base_env[0]}" if provider.base_env else ""
        raise BadRequestError(
            f"{provider.name}/ has no URL of its own: pass api_base={named}.",
            provider=provider.name,
            model=model,
        )
    base = base.strip().rstrip("/")
    if origin(base) is None:
        server = shown_server(base)
        raise BadRequestError(
            f"api_base{f' ({server} ...)' if server else ''} is not a URL to call: it must begin "
            "with http:// or https:// and name a host.",
            provider=provider.name,
            model=model,
        )
    return base


def _own(provider: Provider, environ: Mapping[str, str]) -> Iterator[str]:
    """The provider's own base URLs: of its variable, and by default."""
    yield from filter(None, (_first(provider.base_env, environ), provider.base_url))


def _key(provider: Provider, base: str, model: str, environ: Mapping[str, str]) -> str | None:
    """The key of the provider's variables, for its own host only unless it goes anywhere."""
    ours = any(origin(base) == origin(url) for url in _own(provider, environ))
    found = None
    if ours or provider.key_to_any_host:
        found = _first(provider.key_env, environ)
    if found is None and ours and provider.key_required and provider.key_env:
        raise AuthenticationError(
            f"{provider.name}/ needs an API key: set the {' or '.join(provider.key_env)} "
            "environment variable, or pass api_key=.",
            provider=provider.name,
            model=model,
            url=shown(base),
        )
    return found


def _first(names: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The first variable that is set and not empty."""
    return next((environ[name].strip() for name in names if environ.get(name, "").strip()), None)
