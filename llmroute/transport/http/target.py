"""Where a URL leads: which host to connect to, and what to ask it for."""

from __future__ import annotations

import functools
import re
from base64 import b64encode
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from ...deployments import shown_server
from ...errors import BadRequestError
from ...version import __version__

_HOST = re.compile(r"[0-9A-Za-z._~%:-]+")


class Origin(NamedTuple):
    """A server. Connections and keys belong to one origin."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Target(NamedTuple):
    """A URL, taken apart. Its headers may hold a password, so it shows nothing but the URL."""

    origin: Origin
    path: str
    """Path and query, as the request line has them."""
    url: str
    """The URL as errors show it: without user, password, query or fragment."""
    headers: dict[str, str]
    """What every request to it carries, unless the call says otherwise."""

    def __repr__(self) -> str:
        return f"Target({self.url})"


@functools.lru_cache(maxsize=256)
def target(url: str) -> Target:
    """Takes `url` apart. Raises `BadRequestError` if it is not an http or https URL.

    The error shows nothing of a URL that is none: it may be a key, or hold one anywhere.
    """
    try:
        parts = urlsplit(url)
        origin = _origin(parts)
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?") if parts.query else ""
        netloc = _netloc(origin, with_port=parts.port is not None)
        credentials = _credentials(parts)
    except ValueError:  # UnicodeError is one
        server = shown_server(url)
        raise BadRequestError(
            f"api_base{f' ({server} ...)' if server else ''} is not a URL that can be called. It "
            "must look like 'https://api.example.com/v1' or 'http://localhost:8080/v1'.",
            param="api_base",
        ) from None
    headers = {
        "host": netloc,
        "user-agent": f"llmroute/{__version__}",
        "accept": "*/*",
        # Answers are short or come piece by piece; packing them costs time to the first token.
        "accept-encoding": "identity",
        **credentials,
    }
    return Target(origin, path + query, f"{parts.scheme}://{netloc}{parts.path}", headers)


def _origin(parts: SplitResult) -> Origin:
    """Raises `ValueError` if there is no server to connect to."""
    default = {"http": 80, "https": 443}.get(parts.scheme)
    if default is None:
        raise ValueError("neither http nor https")
    host = (parts.hostname or "").encode("idna").decode()
    if ":" in host:
        host = host.replace("%25", "%", 1)  # an interface of this machine (RFC 6874)
    if not _HOST.fullmatch(host):
        raise ValueError("no host")
    return Origin(parts.scheme, host, parts.port or default)


def _netloc(origin: Origin, *, with_port: bool) -> str:
    host = origin.host
    if ":" in host:
        host = f"[{host.partition('%')[0]}]"
    return f"{host}:{origin.port}" if with_port else host


def _credentials(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"authorization": "Basic " + b64encode(user.encode()).decode()}
