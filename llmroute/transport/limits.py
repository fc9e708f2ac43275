"""How long each wait of one call may still take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..types.request import Timeout

Phase: TypeAlias = Literal["connect", "first_token", "idle"]
"""What a call is waiting for; named like the limit that goes with it."""


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

    def end(self, phase: Phase) -> float | None:
        """When a wait that begins now in `phase` must be over; `None`: never."""
        seconds: float | None = getattr(self, phase)
        if seconds is None:
            return self.deadline
        end = time.monotonic() + seconds
        return end if self.deadline is None else min(end, self.deadline)

    def passed(self, phase: Phase) -> tuple[str, float | None]:
        """Which limit has passed in `phase`, and its seconds: that of the phase, or `total`."""
        seconds: float | None = getattr(self, phase)
        # A loop's timer may ring a few milliseconds early.
        late = self.deadline is not None and time.monotonic() >= self.deadline - 0.02
        return ("total", self.total) if late or seconds is None else (phase, seconds)


def left(end: float | None) -> float | None:
    """The seconds until `end`, for a wait; raises `TimeoutError` if it has passed."""
    if end is None:
        return None
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
