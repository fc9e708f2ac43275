"""Stopping work that nobody waits for any more."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from . import native

if TYPE_CHECKING:
    from .job import EngineJob


class Interrupt:
    """Ends the running decode when every job in it is cancelled, and only then.

    A decode that breaks off leaves its other sequences half-computed, so as long as one job still
    wants its result the step is finished; steps are short when several jobs run.
    """

    def __init__(self) -> None:
        # Reentrant: a stream may be garbage-collected, and so cancelled, anywhere.
        self._lock = threading.RLock()
        self._decoding: Collection[EngineJob] = ()
        self._stopped = False
        self._flag: native.Flag | None = None

    def watch(self, flag: native.Flag) -> None:
        """Use the flag that native code looks at. Called once, before the first decode."""
        with self._lock:
            self._flag = flag
            self._update()

    def begin(self, jobs: Collection[EngineJob]) -> None:
        """A decode for these jobs starts."""
        with self._lock:
            self._decoding = jobs
            self._update()

    def end(self) -> None:
        """The decode is over."""
        with self._lock:
            self._decoding = ()

    def cancel(self, job: EngineJob) -> None:
        """Nobody wants this job's result any more. From any thread, any number of times."""
        with self._lock:
            job.cancelled = True
            self._update()

    def stop(self) -> None:
        """End this decode and every later one."""
        with self._lock:
            self._stopped = True
            self._update()

    def _update(self) -> None:
        if self._flag is None:
            return
        unwanted = self._decoding and all(job.cancelled for job in self._decoding)
        if self._stopped or unwanted:
            self._flag.set()
        else:
            self._flag.clear()
