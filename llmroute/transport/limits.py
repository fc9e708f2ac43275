"""How long each wait of one call may still take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import APITimeoutError
from ..types.request import TimeLimits

Phase: TypeAlias = Literal["connect", "first_token", "idle"]
"""What a call is waiting for; named like the limit that goes with it."""


_WAITED_FOR = {
    "connect": "No connection",
    "first_token": "No answer",
    "idle": "Nothing more of the answer",
    "total": "No complete answer",
}


@dataclass(slots=True)
class Limits:
    """`TimeLimits` that have started running. Whoever waits asks for `wait_deadline` before
    every wait, and reports what happened with `enter` and `progressed`."""

    connect: float | None
    """Seconds for opening a connection."""
    first_token: float | None
    """Seconds from sending to the first piece of the answer that says something."""
    idle: float | None
    """Seconds between two such pieces."""
    deadline: float | None
    """When everything must be over, as a reading of `time.monotonic()`."""
    total: float | None
    """The seconds that `deadline` stands for, for messages."""
    phase: Phase = "connect"
    """What is being waited for now."""
    wait_deadline: float | None = None
    """When the present wait must be over, as a reading of `time.monotonic()`; `None`: never."""

    @classmethod
    def begin(cls, limits: TimeLimits) -> Limits:
        """Starts the clock of `limits`."""
        deadline = None if limits.total is None else time.monotonic() + limits.total
        return cls(
            limits.connect,
            limits.first_token,
            limits.idle,
            deadline,
            limits.total,
            wait_deadline=deadline,
        )

    def attempt(self, own: TimeLimits | None = None) -> Limits:
        """The limits of one attempt: those of its phases start again, the total goes on.

        `own` are those of its deployment, which then hold instead, within that total.
        """
        if own is None:
            limits = (self.connect, self.first_token, self.idle, self.deadline, self.total)
            return Limits(*limits, wait_deadline=self.deadline)
        begun = Limits.begin(own)
        if self.deadline is not None and self.deadline <= (begun.deadline or self.deadline):
            begun.deadline, begun.total = self.deadline, self.total
            begun.wait_deadline = self.deadline
        return begun

    def enter(self, phase: Phase) -> None:
        """Starts the wait of `phase`."""
        self.phase = phase
        self.wait_deadline = self.deadline_for(phase)

    def progressed(self) -> None:
        """Notes that a piece of the answer that says something has come."""
        self.phase = "idle"
        seconds, latest = self.idle, self.deadline
        if seconds is not None:  # as `deadline_for`, without a call for every chunk
            until = time.monotonic() + seconds
            if latest is None or until < latest:
                latest = until
        self.wait_deadline = latest

    def finish_within(self, seconds: float) -> None:
        """Leaves at most `seconds` for all that is still to be waited for."""
        latest = time.monotonic() + seconds
        self.deadline = latest if self.deadline is None else min(latest, self.deadline)
        if self.wait_deadline is None or self.wait_deadline > self.deadline:
            self.wait_deadline = self.deadline

    def wait_until(self, deadline: float) -> None:
        """Ends the present wait at `deadline` at the latest, a reading of `time.monotonic()`."""
        if self.wait_deadline is None or self.wait_deadline > deadline:
            self.wait_deadline = deadline

    def deadline_for(self, phase: Phase) -> float | None:
        """When a wait that begins now in `phase` must be over; `None`: never."""
        seconds: float | None = getattr(self, phase)
        if seconds is None:
            return self.deadline
        latest = time.monotonic() + seconds
        return latest if self.deadline is None else min(latest, self.deadline)

    def passed(self, phase: Phase) -> tuple[str, float | None]:
        """Which limit has passed in `phase`, and its seconds: that of the phase, or `total`."""
        seconds: float | None = getattr(self, phase)
        # A loop's timer may ring a few milliseconds early.
        late = self.deadline is not None and time.monotonic() >= self.deadline - 0.02
        return ("total", self.total) if late or seconds is None else (phase, seconds)


def timeout_error(limits: Limits, url: str) -> APITimeoutError:
    """The error for the limit that has passed: names it and its seconds."""
    name, seconds = limits.passed(limits.phase)
    limit = "in time" if seconds is None else f"within {seconds:g} seconds"
    error = APITimeoutError(f"{_WAITED_FOR[name]} {limit} (timeout: {name}).", url=url)
    error.is_total = name == "total"
    return error


def seconds_left(deadline: float | None) -> float | None:
    """The seconds until `deadline`, for a wait; raises `TimeoutError` if it has passed."""
    if deadline is None:
        return None
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
