"""Whether a proxy set in the environment may apply to a server."""

from __future__ import annotations

import os
import sys

from .target import Origin


def may_be_proxied(origin: Origin) -> bool:
    """`False` only where it is certain that no proxy applies; httpx decides about the rest."""
    # macOS and Windows keep proxies in their settings too; httpx asks them, as urllib does.
    proxied = sys.platform in ("darwin", "win32")
    proxied = proxied or bool(_variable(f"{origin.scheme}_proxy") or _variable("all_proxy"))
    return proxied and not _exempt(origin.host, _variable("no_proxy"))


def _exempt(host: str, no_proxy: str) -> bool:
    for entry in no_proxy.lower().split(","):
        name = entry.strip().lstrip(".")
        if name == "*" or name == host or (name and host.endswith("." + name)):
            return True
    return False


def _variable(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""
