"""The roads a call can take."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from roads import Road, open_road


@pytest.fixture(params=["sync", "async", "sync-httpx", "async-httpx"])
def road(request: pytest.FixtureRequest) -> Iterator[Road]:
    """Each road in turn."""
    yield from open_road(request.param)


@pytest.fixture(params=["sync", "async"])
def direct(request: pytest.FixtureRequest) -> Iterator[Road]:
    """The roads over our own connections."""
    yield from open_road(request.param)
