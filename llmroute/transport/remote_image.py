"""Fetches an image over HTTP, for a caller who allows it, from public addresses."""

from __future__ import annotations

import ipaddress
import socket
import time

from ..errors import APIConnectionError, BadRequestError, PermissionDeniedError
from .http.framing import BrokenAnswerError
from .http.sync_connection import SyncConnection
from .http.target import Target, target

MOST_BYTES = 20 * 1024 * 1024
"""As much as OpenAI's API takes of one image."""
SECONDS = 10.0
"""For everything, from connecting to the last byte."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


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
        if not any_address:
            _check_addresses(goal)
        connection = SyncConnection.open(goal.origin, end)
        try:
            # Asked again, as a name may lead elsewhere the second time.
            if not any_address:
                _check(connection.peer, goal)
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


def _check_addresses(goal: Target) -> None:
    host, port = goal.origin.host, goal.origin.port
    for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        _check(str(address[0]), goal)


def _check(address: str, goal: Target) -> None:
    if not _is_public(address):
        raise PermissionDeniedError(
            f"The image's host {goal.origin.host!r} leads to an address that is not public. To "
            "allow it all the same, name the host in model_kwargs allow_image_urls.",
            param="allow_image_urls",
        )


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # Addresses that stand for one of IPv4, which may be a private one.
        if found.sixtofour or found.teredo or found in _NAT64:
            return False
        found = found.ipv4_mapped or found
    return found.is_global and not found.is_multicast
