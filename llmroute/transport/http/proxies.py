"""Which proxy set in the environment applies to a server."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import NamedTuple
from urllib.parse import urlsplit

from ...errors import BadRequestError
from .target import Origin

_SCHEMES = ("http", "https", "socks5", "socks5h")


class Proxy(NamedTuple):
    """A proxy, and where it was set. May hold a password, so it is never shown whole."""

    url: str
    variable: str

    def __repr__(self) -> str:
        return f"Proxy({self.variable})"


def proxy_for(origin: Origin) -> Proxy | None:
    """The proxy that calls to `origin` go through; `None`: they go straight there.

    Read from `HTTP_PROXY` or `HTTPS_PROXY` by the scheme of the call, else from `ALL_PROXY`, in
    small letters too; on macOS and Windows also from the settings. `NO_PROXY` lists what needs
    none: `*`, hosts (and so the hosts below them), addresses, networks (`10.0.0.0/8`), each also
    with a port. Raises `BadRequestError` for a proxy that cannot be used.
    """
    for variable in (f"{origin.scheme}_proxy", "all_proxy"):
        if value := _setting(variable):
            break
    else:
        return None
    no_proxy = _setting("no_proxy")
    if any(_covers(entry, origin) for entry in no_proxy.replace(",", " ").lower().split()):
        return None
    return _checked(value, variable.upper())


def _setting(name: str) -> str:
    value = os.environ.get(name, "")
    # A web server hands a request's "Proxy:" header to CGI programs under this name.
    if not value and not (name == "http_proxy" and "REQUEST_METHOD" in os.environ):
        value = os.environ.get(name.upper(), "")
    if not value and sys.platform in ("darwin", "win32"):
        from urllib.request import getproxies  # 10 ms, and needed on these systems only

        value = getproxies().get(name.removesuffix("_proxy"), "")
    return value.strip()


def _checked(value: str, variable: str) -> Proxy:
    """Raises `BadRequestError`, which shows nothing of `value`: it may hold a password."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise BadRequestError(
            f"The environment variable {variable} holds no address of a proxy that can be used. "
            "It must look like 'http://proxy.example:3128' or 'socks5://proxy.example:1080'.",
            param=variable,
        )
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise BadRequestError(
            f"The SOCKS proxy in {variable} needs an optional package: pip install 'httpx[socks]'",
            param=variable,
        )
    return Proxy(url, variable)


def _covers(entry: str, origin: Origin) -> bool:
    """Whether an entry of `NO_PROXY` is about `origin`."""
    if entry == "*":
        return True
    scheme, found, rest = entry.partition("://")
    if found:
        if scheme != origin.scheme:
            return False
        entry = rest
    entry, port = _without_port(entry)
    if port and port != str(origin.port):
        return False
    host = origin.host.lower().rstrip(".")
    name = entry.removeprefix("*").strip(".")
    return bool(name) and (name == host or host.endswith(f".{name}") or _contains(entry, host))


def _without_port(entry: str) -> tuple[str, str]:
    """`host:port`, `[::1]:port`, and both without a port."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return (host, rest[1:]) if rest.startswith(":") else (host + rest, "")
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""


def _contains(network: str, host: str) -> bool:
    """Whether `host` is an address in `network`, or the same address in another spelling."""
    if not (host[-1:].isdigit() or ":" in host):
        return False
    import ipaddress  # 3 ms, and needed for addresses behind a proxy only

    try:
        address = ipaddress.ip_address(host.partition("%")[0])
        found = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    return address in found
