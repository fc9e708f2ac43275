"""Everything about HTTP, behind one door: `transport(client).open(call, limits)`."""

from .client import AsyncHTTPTransport, HTTPTransport, async_transport, proxy_url, transport
from .response import AsyncHTTPResponse, HTTPResponse

__all__ = [
    "AsyncHTTPResponse",
    "AsyncHTTPTransport",
    "HTTPResponse",
    "HTTPTransport",
    "async_transport",
    "proxy_url",
    "transport",
]
