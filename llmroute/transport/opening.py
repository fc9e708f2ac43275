"""Opens a call: over HTTP, on a model in this process, or with an answer that is there already."""

from __future__ import annotations

from typing import Any

from ..providers.base import Call, HTTPCall, MockCall
from . import http
from .limits import Limits
from .sources import AsyncReady, AsyncSource, Ready, Source


def open_call(call: Call, client: Any, limits: Limits) -> Source:
    """The source of the answer to `call`, once its head has arrived.

    `client` is the caller's own `httpx.Client`, or `None`.
    """
    if isinstance(call, HTTPCall):
        return http.transport(client).open(call, limits)
    if isinstance(call, MockCall):
        return Ready(call.events)
    from . import local  # the engine is a dozen modules that a call over HTTP does not need

    return local.open_local(call, limits, limits.deadline)


async def open_call_async(call: Call, client: Any, limits: Limits) -> AsyncSource:
    """The async twin of `open_call`; `client` is an `httpx.AsyncClient`."""
    if isinstance(call, HTTPCall):
        return await http.async_transport(client).open(call, limits)
    if isinstance(call, MockCall):
        return AsyncReady(call.events)
    from . import local  # the engine is a dozen modules that a call over HTTP does not need

    return await local.open_local_async(call, limits, limits.deadline)
