"""Where a URL leads: which host to connect to, and what to ask it for."""

from __future__ import annotations

import functools
from base64 import b64encode
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from ...deployments import shown_server
from ...errors import BadRequestError
from ...version import __version__


class Origin(NamedTuple):
    """A server. Connections and keys belong to one origin."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Target(NamedTuple):
    """A URL, taken apart."""

    origin: Origin
    path: str
    """Path and query, as the request line has them."""
    url: str
    """The URL as errors show it: without user, password, query or fragment."""
    headers: dict[str, str]
    """What every request to it carries, unless the call says otherwise; may hold a password."""

    def __repr__(self) -> str:
        return f"Target({self.url})"


@functools.lru_cache(maxsize=256)
def target(url: str) -> Target:
    """Takes `url` apart. Raises `BadRequestError` if it is not an http or https URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, KeyError):
        host = ""
    if not host:
        server = shown_server(url)
        raise BadRequestError(
            f"api_base{f' ({server} ...)' if server else ''} is not a URL that can be called. It "
            "must look like 'https://api.example.com/v1' or 'http://localhost:8080/v1'."
        )
    origin = Origin(parts.scheme, host, port)
    bracketed = f"[{host}]" if ":" in host else host
    netloc = bracketed if parts.port is None else f"{bracketed}:{port}"
    headers = {
        "host": netloc,
        "user-agent": f"llmroute/{__version__}",
        "accept": "*/*",
        # Answers are short or come piece by piece; packing them costs time to the first token.
        "accept-encoding": "identity",
    }
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["authorization"] = "Basic " + b64encode(user.encode()).decode()
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?") if parts.query else ""
    return Target(origin, path + query, f"{parts.scheme}://{netloc}{parts.path}", headers)
