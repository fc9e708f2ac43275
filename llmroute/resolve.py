"""From a model string, the caller's key and URL, and the environment to a deployment.

This is the only place that reads keys. A key from the environment comes from the provider's own
variables and goes to the provider's own host; a key the caller passes goes where the caller says.
"""

from __future__ import annotations

import functools
import os
import re
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
    given: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Deployment:
    """The deployment `model` names.

    Of `given`, a call's keyword arguments, only the provider's `options` count.

    Raises `BadRequestError` for a model string or URL that is none, and `AuthenticationError`,
    naming the variable, when the provider needs a key and there is none.
    """
    if not isinstance(model, str):
        raise BadRequestError(f"model must be a string, not {type(model).__name__}.")
    prefix, name = split_model(model)
    provider = get_provider(prefix, model)
    if not name:
        raise BadRequestError(f"The model string {model!r} has no model name.", model=model)
    key = (api_key or "").strip()  # one that was read from a file often ends in a line end
    if provider.options:
        options = {**(model_kwargs or {}), **_options(provider, given or {}, model)}
        return _with_options(provider, options, model, api_base, key, environ)
    base = _base(provider, api_base, {}, model, environ)
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


def _with_options(
    provider: Provider,
    options: dict[str, Any],
    model: str,
    api_base: str | None,
    key: str,
    environ: Mapping[str, str],
) -> Deployment:
    """The deployment of a provider that takes options, in place of a key or beside it."""
    has_secret = any(option.secret and option.name in options for option in provider.options)
    options.update(_from_environment(provider, options, environ, secret=False))
    base = _base(provider, api_base, options, model, environ) or ""
    if not key and not has_secret:
        key = _key(provider, base, model, environ) or ""
    if not key and _is_own(provider, base, environ):
        options.update(_from_environment(provider, options, environ, secret=True))
    return Deployment(
        provider=provider.name,
        model=split_model(model)[1],
        api_base=base or None,
        api_key=key or None,
        model_kwargs=options,
    )


def _options(provider: Provider, given: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The provider's options among a call's keyword arguments; `None` is none."""
    options = {o.name: given[o.name] for o in provider.options if given.get(o.name) is not None}
    for name, value in options.items():
        if not isinstance(value, str) and not callable(value):
            raise BadRequestError(
                f"{name} must be a text, not {type(value).__name__}.", model=model, param=name
            )
    return options


def _from_environment(
    provider: Provider, options: Mapping[str, Any], environ: Mapping[str, str], *, secret: bool
) -> Mapping[str, str]:
    """The `secret` or the other options that the environment has and the caller did not give."""
    if provider.uses_aws:
        from . import aws_settings  # with configparser, for few providers

        return (aws_settings.credentials if secret else aws_settings.region)(options, environ)
    missing = [o for o in provider.options if o.secret == secret and o.name not in options]
    found = {option.name: _first(option.env, environ) for option in missing}
    return {name: value for name, value in found.items() if value is not None}


def _base(
    provider: Provider,
    api_base: str | None,
    options: Mapping[str, Any],
    model: str,
    environ: Mapping[str, str],
) -> str | None:
    """The base URL; `None` for a model in this process."""
    base = api_base or next(_own(provider, environ), None) or provider.own_url(options)
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


def _is_own(provider: Provider, base: str, environ: Mapping[str, str]) -> bool:
    """Whether a URL is at the provider's own host, or at that of its own variable."""
    place = origin(base)
    if any(place == origin(url) for url in _own(provider, environ)):
        return True
    if not provider.own_hosts or place is None or (place[0], place[2]) != ("https", 443):
        return False
    return re.fullmatch(provider.own_hosts, place[1]) is not None


def _key(provider: Provider, base: str, model: str, environ: Mapping[str, str]) -> str | None:
    """The key of the provider's variables, for its own host only unless it goes anywhere."""
    ours = _is_own(provider, base, environ)
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
