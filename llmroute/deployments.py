"""One place a model can be called, and the `provider/model` string."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A provider, a model of it, and how to get there. Everything a call needs but the request."""

    provider: str
    """The provider prefix, such as `"meta_llama"`."""
    model: str
    """The model's name at the provider, without the prefix."""
    api_base: str | None = field(default=None, repr=False)
    """The base URL, without a slash at the end; `None` for a local model. May hold a key too."""
    api_key: str | None = field(default=None, repr=False)
    """The key to send, already decided; `None` sends none."""
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Options of the provider or of loading a local model (`n_ctx`, ...)."""

    @property
    def name(self) -> str:
        """The model string, `provider/model`."""
        return f"{self.provider}/{self.model}"


def shown(url: str) -> str:
    """`url` as errors show it: without user, password, query or fragment."""
    url = url.partition("?")[0].partition("#")[0]
    if "@" not in url:
        return url
    scheme, slashes, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def split_model(model: str) -> tuple[str, str]:
    """The provider prefix and the model name: `model` split at its first `/`.

    A string without `/` has the prefix `""`.
    """
    prefix, slash, name = model.partition("/")
    return (prefix, name) if slash else ("", model)
