"""Everything about HTTP, behind one door: `transport(client).open(call, limits)`."""

from .client import AsyncHTTPTransport, HTTPTransport, async_transport, transport
from .response import MAX_EMBEDDINGS_BYTES, AsyncHTTPResponse, HTTPResponse

__all__ = [
    "MAX_EMBEDDINGS_BYTES",
    "AsyncHTTPResponse",
    "AsyncHTTPTransport",
    "HTTPResponse",
    "HTTPTransport",
    "async_transport",
    "transport",
]
