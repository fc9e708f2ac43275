"""Renders chat templates in processes that can be stopped.

A few such processes (`sandbox.serve`) wait for the next rendering, so that starting one is paid
once and a template that takes its time holds up nobody else's.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from multiprocessing.spawn import get_executable

from ...errors import BadRequestError, LLMRouteError
from ...runtime import shared
from ..native import logger
from . import sandbox

SECONDS = 3.0
"""How long all renderings of one call may take together."""
_MEMORY = 128 << 20
"""Bytes of memory that a rendering may take, beside what the size of its request allows."""
_AT_ONCE = 4
"""Processes that render at the same time."""
_CODE = """\
import sys
sys.path[:] = {path!r}
from llmroute.engine.templates.sandbox import serve
serve({memory})
"""

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""When the renderings of this call must be done, as a time of `time.monotonic()`."""


class TemplateOverrunError(LLMRouteError):
    """A template takes too long or too much memory.

    Not a `BadRequestError`, so that code which tries a template on samples does not take it for a
    refusal; `bounded` turns it into one.
    """


class _EndedError(Exception):
    """The process ended before it answered."""


@contextmanager
def bounded() -> Iterator[None]:
    """Within it, all renderings together may take `SECONDS`; one within another adds nothing.

    Raises `BadRequestError` for a template that takes longer, or too much memory.
    """
    token = _deadline.set(_deadline.get() or time.monotonic() + SECONDS)
    try:
        yield
    except TemplateOverrunError as error:
        raise BadRequestError(error.message, param="chat_template") from None
    finally:
        _deadline.reset(token)


class _Process:
    """One process that renders."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [get_executable(), "-c", _CODE.format(path=sys.path, memory=_MEMORY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def ask(self, request: bytes, seconds: float) -> tuple[int, str]:
        """What became of a rendering, as `sandbox.render` gives it."""
        try:
            self._requests.write(sandbox.REQUEST.pack(len(request), seconds) + request)
            self._requests.flush()
            header = self._answers.read(sandbox.ANSWER.size)
            if len(header) < sandbox.ANSWER.size:
                raise _EndedError
            kind, length = sandbox.ANSWER.unpack(header)
            return kind, self._answers.read(length).decode("utf-8", "surrogatepass")
        except OSError:
            raise _EndedError from None

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._close_pipes()

    def leave(self) -> None:
        """Let go of it in a forked child: it is the parent's."""
        self._process.returncode = 0  # not to be waited for here
        self._close_pipes()

    def _close_pipes(self) -> None:
        with suppress(OSError):  # a request that was not read is still to be written
            self._requests.close()
        self._answers.close()


class Renderers:
    """The processes that wait for something to render."""

    def __init__(self) -> None:
        self._start_over()

    def _start_over(self) -> None:
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self._idle: list[_Process] = []
        self._none = False
        """Whether no process can be started."""

    def ask(self, request: bytes) -> tuple[int, str] | None:
        """What became of a rendering; `None` where no process can be started for it.

        Raises `TemplateOverrunError` when it ended its process, or could not begin in time.
        """
        if not self._free.acquire(timeout=max(0.0, _seconds_left())):
            raise _overrun()
        try:
            process = self._take()
            return None if process is None else self._answer(process, request)
        finally:
            self._free.release()

    def _answer(self, process: _Process, request: bytes) -> tuple[int, str]:
        try:
            answer = process.ask(request, max(0.001, _seconds_left()))
        except _EndedError:
            process.close()
            raise _overrun() from None
        except BaseException:  # also an interrupt from the keyboard: the answer is still to come
            process.close()
            raise
        with self._lock:
            self._idle.append(process)
        return answer

    def _take(self) -> _Process | None:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        if self._none:
            return None
        try:
            if getattr(sys, "frozen", False):
                raise OSError("this program has no interpreter to start")
            return _Process()
        except OSError as error:
            self._none = True
            logger.warning(
                "Chat templates run in this process, where nothing limits their time and memory, "
                "as no other could be started: %s",
                error,
            )
            return None

    def close(self) -> None:
        """End those that wait. The next rendering starts one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def in_forked_child(self) -> None:
        """Forget those of the parent."""
        for process in self._idle:
            process.leave()
        self._start_over()


def _seconds_left() -> float:
    deadline = _deadline.get()
    return SECONDS if deadline is None else deadline - time.monotonic()


def _overrun() -> TemplateOverrunError:
    late = _seconds_left() < 0.1 or _deadline.get() is None
    reason = f"it takes longer than {SECONDS:g} seconds" if late else "it ended its process"
    return TemplateOverrunError(f"The chat template was stopped: {reason}.")


def _at_exit() -> None:
    shared(Renderers).close()


def _in_forked_child() -> None:
    shared(Renderers).in_forked_child()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
