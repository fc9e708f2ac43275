"""Everything about HTTP, behind one door: `transport(client).open(call, limits)`."""

from .client import AsyncHTTPTransport, HTTPTransport, async_transport, transport

__all__ = ["AsyncHTTPTransport", "HTTPTransport", "async_transport", "transport"]
