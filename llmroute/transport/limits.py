"""How long each wait of one call may still take."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..types.request import Timeout


@dataclass(slots=True)
class Limits:
    """A `Timeout` that has started running. Whoever waits asks it anew before every wait."""

    connect: float | None
    """Seconds for opening a connection."""
    first_token: float | None
    """Seconds from sending to the first byte of the answer."""
    idle: float | None
    """Seconds between two pieces of the answer."""
    deadline: float | None
    """When everything must be over, as a reading of `time.monotonic()`."""
    total: float | None
    """The seconds that `deadline` stands for, for messages."""

    @classmethod
    def begin(cls, timeout: Timeout) -> Limits:
        """Starts the clock of `timeout`."""
        deadline = None if timeout.total is None else time.monotonic() + timeout.total
        return cls(timeout.connect, timeout.first_token, timeout.idle, deadline, timeout.total)
