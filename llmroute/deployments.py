"""One place a model can be called, and the `provider/model` string."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .types.request import JSON, TimeLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentLimits:
    """How much a deployment takes; `None` is no limit that is known."""

    rpm: int | None = None
    """Requests per minute."""
    tpm: int | None = None
    """Tokens per minute, prompts and answers together."""
    max_parallel: int | None = None
    """Requests at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A provider, a model of it, and how to call it. Everything a call needs but the request.

    `weight`, `order`, `limits`, `id` and `group` serve the choice between deployments.
    """

    provider: str
    """The provider prefix, such as `"meta_llama"`."""
    model: str
    """The model's name at the provider, without the prefix."""
    api_base: str | None = field(default=None, repr=False)
    """The base URL, without a slash at the end; `None` for a local model. May hold a key too."""
    api_key: str | None = field(default=None, repr=False)
    """The key to send, already decided; `None` sends none."""
    model_kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Options of the provider, which may be credentials, or of loading a local model."""
    mock: Any = field(default=None, repr=False)
    """The answer to give instead of calling anybody (`mock_response=`); `None`: it is called."""
    params: Mapping[str, JSON] = field(default_factory=dict)
    """Defaults of parameters (`temperature`, ...); those of the request win."""
    time_limits: TimeLimits | None = None
    """The limits of one attempt here; `None`: those of the call. The call's `total` holds too."""
    weight: float = 1.0
    """Its share of the calls, relative to the other deployments of the group."""
    order: int = 0
    """Deployments of a lower order are tried first."""
    limits: DeploymentLimits = field(default_factory=DeploymentLimits)
    """What it takes before calls should go elsewhere."""
    id: str = ""
    """Its name in records and counters; `""`: its model string is enough."""
    group: str = ""
    """The model group it belongs to (`model_name` in a configuration); `""`: none."""

    @property
    def name(self) -> str:
        """The model string, `provider/model`."""
        return f"{self.provider}/{self.model}"


@functools.lru_cache(maxsize=256)
def shown(url: str) -> str:
    """`url` as errors show it: without user, password, query or fragment.

    `""` for what is not a URL with scheme and host: nobody knows what it is, it may be a key. A
    path with an `@` is left out, since it may be the rest of a password with a `/`.
    """
    server = shown_server(url)
    if not server:
        return ""
    parts = urlsplit(url)
    port = "" if parts.port is None else f":{parts.port}"
    return server + port + ("" if "@" in parts.path else parts.path)


def shown_server(url: str) -> str:
    """Scheme and host of `url`, which is all that errors show of one that cannot be called."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not parts.scheme or not host or port == 0:
        return ""
    return f"{parts.scheme}://[{host}]" if ":" in host else f"{parts.scheme}://{host}"


@functools.lru_cache(maxsize=256)
def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port: connections and keys belong to one. `None` if it can't be called."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return None
    return parts.scheme, parts.hostname, port or (80 if parts.scheme == "http" else 443)


def split_model(model: str) -> tuple[str, str]:
    """The provider prefix and the model name: `model` split at its first `/`.

    A string without `/` has the prefix `""`.
    """
    prefix, slash, name = model.partition("/")
    return (prefix, name) if slash else ("", model)
