"""From a model string, the caller's key and URL, and the environment to a deployment.

This is the only place that reads keys. A key from the environment comes from the provider's own
variables and goes to the provider's own host; a key the caller passes goes where the caller says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
    base, ours = _base(provider, api_base, model, environ)
    api_key = (api_key or "").strip()  # one that was read from a file often ends in a line end
    if not api_key:  # what a variable that is not set often comes to
        api_key = _key(provider, ours or provider.key_to_any_host, base, environ)
    needs_key = provider.key_required and bool(provider.key_env)
    if api_key is None and needs_key and base and ours:
        raise AuthenticationError(
            f"{prefix}/ needs an API key: set the {' or '.join(provider.key_env)} environment "
            "variable, or pass api_key=.",
            provider=prefix,
            model=model,
            url=shown(base),
        )
    return Deployment(
        provider=prefix,
        model=name,
        api_base=base,
        api_key=api_key,
        model_kwargs=dict(model_kwargs or {}),
    )


def _base(
    provider: Provider, api_base: str | None, model: str, environ: Mapping[str, str]
) -> tuple[str | None, bool]:
    """The base URL, and whether it is the provider's own or that of its own variable."""
    own = [url for url in (_first(provider.base_env, environ), provider.base_url) if url]
    base = api_base or (own[0] if own else None)
    if base is None:
        if provider.runs_here:
            return None, True
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
    return base, any(origin(base) == origin(url) for url in own)


def _key(
    provider: Provider, to_this_host: bool, base: str | None, environ: Mapping[str, str]
) -> str | None:
    return _first(provider.key_env, environ) if to_this_host and base is not None else None


def _first(names: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The first variable that is set and not empty."""
    return next((environ[name].strip() for name in names if environ.get(name, "").strip()), None)
