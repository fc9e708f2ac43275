"""Fetches an image over HTTP, for a caller who allows it, from public addresses."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable

from ..errors import APIConnectionError, BadRequestError, PermissionDeniedError
from .http.addresses import Address, resolve
from .http.framing import BrokenAnswerError
from .http.sync_connection import SyncConnection
from .http.target import Target, target

MOST_BYTES = 20 * 1024 * 1024
"""As much as OpenAI's API takes of one image."""
SECONDS = 10.0
"""For everything, from connecting to the last byte."""
_PRIVATE_SERVICES = {ipaddress.ip_address(a) for a in ("168.63.129.16", "192.0.0.192")}
"""Public by their numbers, and yet a cloud's own services for its machines: Azure's (Microsoft
Learn, "What is IP address 168.63.129.16?") and Oracle's (its metadata service of older images)."""
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that IANA gives out for the Internet; what stands outside for an address of IPv4
(RFC 6052, RFC 4291 section 2.5.5), or for a site, does not count. 6to4, Teredo and ISATAP stand for
one within it."""
_ISATAP = (b"\0\0\x5e\xfe", b"\2\0\x5e\xfe")
"""How the second half of such an address begins (RFC 5214, section 6.1)."""


def fetch(url: str, *, any_address: bool, deadline: float | None) -> bytes:
    """The body at `url`, which must answer with status 200 itself: redirects are not followed.

    `any_address` also allows private addresses. Proxies from the environment are not used. Raises
    `PermissionDeniedError` for a private address, `BadRequestError` for an answer that is not the
    image, `APIConnectionError` if there is none in time.
    """
    end = time.monotonic() + SECONDS
    end = end if deadline is None else min(end, deadline)
    goal = target(url)
    try:
        addresses = resolve(goal.origin, end)
        if not any_address:
            _check(addresses, goal)
        # To those that were checked: asked again, the name may lead elsewhere.
        connection = SyncConnection.open(goal.origin, end, addresses)
        try:
            return _exchange(connection, goal, end)
        finally:
            connection.close()
    except (OSError, BrokenAnswerError) as error:
        raise APIConnectionError(
            f"The image at {goal.url} could not be fetched: {error or type(error).__name__}. Send "
            "it as a data: URI instead."
        ) from error


def _exchange(connection: SyncConnection, goal: Target, end: float) -> bytes:
    http = connection.http
    headers = {**goal.headers, "accept": "image/*", "connection": "close"}
    connection.send(http.request("GET", goal.path, headers, b""))
    while (head := http.read_head()) is None:
        http.feed(connection.receive(end))
    if head[0] != 200:
        raise BadRequestError(
            f"The image at {goal.url} could not be fetched: the server answered {head[0]}, and "
            "redirects are not followed.",
            param="messages",
        )
    data = bytearray()
    while not http.ended:
        piece = http.piece()
        if piece is None:
            http.feed(connection.receive(end))
            continue
        data += piece
        if len(data) > MOST_BYTES:
            raise BadRequestError(
                f"The image at {goal.url} is larger than {MOST_BYTES:,} bytes.", param="messages"
            )
    return bytes(data)


def _check(addresses: Iterable[Address], goal: Target) -> None:
    """Refuse a host of which any address is not public."""
    if not all(_is_public(str(address[0])) for *_, address in addresses):
        raise PermissionDeniedError(
            f"The image's host {goal.origin.host!r} leads to an address that is not public. To "
            "allow it nevertheless, name the host in model_kwargs allow_image_urls.",
            param="allow_image_urls",
        )


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    if isinstance(found, ipaddress.IPv4Address):
        return found.is_global and not found.is_multicast and found not in _PRIVATE_SERVICES
    return (
        found in _GLOBAL_UNICAST
        and found.is_global
        and not found.sixtofour
        and not found.teredo
        and found.packed[8:12] not in _ISATAP
    )
