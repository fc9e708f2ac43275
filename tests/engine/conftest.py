"""What the engine's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from calls_here import Runner, run, run_in_loop

from llmroute.local_models import unload


@pytest.fixture(params=[run, run_in_loop], ids=["sync", "async"])
def runner(request: pytest.FixtureRequest) -> Runner:
    """Runs a call, in a thread or in an event loop."""
    chosen: Runner = request.param
    return chosen


@pytest.fixture(scope="module")
def unloaded() -> Iterator[None]:
    """Nothing stays loaded after a file of tests; within it models do, as in a program."""
    yield
    unload()
