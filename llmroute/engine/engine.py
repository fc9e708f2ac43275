"""One loaded model and the thread that owns it. See `docs/engine.md`."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from ..errors import LLMRouteError, ModelUnloadedError, RateLimitError
from . import native
from .batching.scheduler import Scheduler
from .batching.vectors import VectorScheduler
from .drafts.drafts import Drafts
from .drafts.loader import load_drafts
from .gguf.check import read_header
from .interrupt import Interrupt
from .job import EngineJob, as_ours
from .memory import window as context_size
from .memory.limit import Limit, check_allowed, memory_limit, needed_bytes
from .memory.parallel import choose_parallel
from .model import model
from .options.load import LoadOptions, idle_seconds

T = TypeVar("T")
Task: TypeAlias = Callable[[Scheduler | VectorScheduler], T]

_loading = threading.Lock()
"""One model loads at a time, so that each sees the memory that the one before it has taken."""
_TELL_SECONDS = 0.05
"""How often somebody who waits for a model is told how far it is."""


class Engine:
    """Loads a model on a thread of its own and runs jobs on it until it is closed.

    Only that thread touches native objects. The other methods may be called from any thread and
    never wait for it, except for `call`, `wait_loaded` and `join`.
    """

    def __init__(
        self, path: Path, options: LoadOptions, make_room: Callable[[Engine, int, int], None]
    ) -> None:
        """`make_room(engine, bytes, limit)` waits until other models leave it that much."""
        self.path = path
        self.options = options
        self.chosen = options
        """`options`, and once the model is loaded what they left open: window, answers at once."""
        self.n_ctx: int | None = None
        """The context window, in tokens; `None` until the model is loaded."""
        self.error: LLMRouteError | None = None
        """Why loading failed."""
        self.size = 0
        """Bytes the model takes, as far as its file tells; 0 while it takes none."""
        self.last_used = time.monotonic()
        """When a call came last, or when the last step of one began."""
        self._make_room = make_room
        self._progress = 0.0
        self._idle = False
        self._idle_seconds = idle_seconds(options)
        self._interrupt = Interrupt()
        self._arrived: deque[EngineJob] = deque()
        self._rendering: set[EngineJob] = set()
        """Chats that are being rendered, each on a thread of its own."""
        self._ready: deque[EngineJob] = deque()
        self._tasks: deque[tuple[Task[Any], Future[Any]]] = deque()
        self._scheduler: Scheduler | VectorScheduler | None = None
        # Reentrant: a stream may be garbage-collected, and so cancelled, anywhere.
        self._news = threading.Condition(threading.RLock())
        self._closing = False
        self._loaded = threading.Event()
        # A daemon: the interpreter may end without waiting for an answer nobody reads. The pool
        # closes every engine before that.
        self._thread = threading.Thread(
            target=self._run, name=f"llmroute-engine-{path.name}", daemon=True
        )
        self._thread.start()

    # From any thread

    @property
    def usable(self) -> bool:
        """Whether jobs are taken: not closed, and not failed to load."""
        return not self._closing

    @property
    def active(self) -> int:
        """How many answers are being generated."""
        return len(self._scheduler.active) if self._scheduler else 0

    @property
    def waiting(self) -> int:
        """How many answers (of a call that just arrived: calls) wait for their turn."""
        jobs = [*self._arrived, *self._rendering, *self._ready]
        if self._scheduler:
            jobs += [choice.job for choice in [*self._scheduler.waiting]]
        return sum(not job.cancelled for job in jobs)

    def submit(self, job: EngineJob) -> None:
        """Hand a job over.

        Raises `RateLimitError` when too many answers wait, and when closed what it closed with.
        """
        with self._news:
            if self._closing:
                raise self.error or _closed()
            if self.waiting >= self.options.max_queue:
                raise RateLimitError(
                    f"{self.options.max_queue} answers of this model are waiting already. Try "
                    "again later, or set max_queue in model_kwargs."
                )
            self._arrived.append(job)
            self.last_used = time.monotonic()
            self._news.notify()

    def call(self, task: Task[T]) -> T:
        """What `task` returns when it runs on the engine's thread, between two steps.

        Waits for the model to be loaded, and raises what `task` raises, or what the engine closed
        with.
        """
        future: Future[T] = Future()
        with self._news:
            if self._closing:
                raise self.error or _closed()
            self._tasks.append((task, future))
            self.last_used = time.monotonic()
            self._news.notify()
        return future.result()

    def cancel(self, job: EngineJob) -> None:
        """Nobody wants this job's result any more: free its sequence within one step."""
        self._interrupt.cancel(job)

    def wait_loaded(self, progress: Callable[[float], object] | None = None) -> None:
        """Wait until the model is loaded, and tell `progress` how much of it is, from 0 to 1.

        Raises what loading failed with.
        """
        while not self._loaded.wait(_TELL_SECONDS if progress else None):
            if progress:
                progress(self._progress)
        if self.error is not None:
            raise self.error
        if progress:
            progress(1.0)

    def close_if_idle(self) -> bool:
        """Close if the model is loaded and no call uses it; whether it was so."""
        with self._news:
            if not self._idle or self._arrived or self._rendering or self._tasks:
                return False
            self.close()
            return True

    def close(self) -> None:
        """Stop: running and waiting jobs end with an error, and the memory is given back."""
        with self._news:
            self._closing = True
            self._interrupt.stop()
            self._news.notify()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the memory is given back; `False` if that took longer than `timeout`."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # On the engine's thread

    def _run(self) -> None:
        try:
            loaded, drafts, flag = self._load()
        except Exception as error:  # noqa: BLE001 - whatever it is, the jobs must hear of it
            self._refuse(_closed() if self._closing else as_ours(error))
            return
        finally:
            self._loaded.set()
        self._interrupt.watch(flag)
        scheduler: Scheduler | VectorScheduler = (
            VectorScheduler(loaded, self._interrupt)
            if self.options.embeddings
            else Scheduler(loaded, self._interrupt, drafts)
        )
        self._scheduler = scheduler
        try:
            with native.expected_failures(flag):
                self._work(scheduler)
        finally:
            scheduler.fail_all(_closed())
            self._refuse(_closed())
            drafts.free()
            loaded.free()
            self.size = 0

    def _load(self) -> tuple[model.Model, Drafts, native.Flag]:
        with _loading:
            header = read_header(self.path, self.options.kv_overrides)
            limit = memory_limit()
            options = replace(self.options, n_parallel=choose_parallel(header, self.options))
            self._reserve(needed_bytes(header, options, options.n_ctx or 0), limit)
            n_ctx = context_size.choose(header, options, limit.size)
            size = needed_bytes(header, options, n_ctx)
            self._reserve(size, limit)
            flag = native.Flag()
            loaded = model.load(header, options, n_ctx, flag, self._go_on)
            try:
                drafts = load_drafts(loaded, flag, self._interrupt, self._go_on)
            except BaseException:  # whatever it is, the weights must not stay behind
                loaded.free()
                raise
            self.size = size
        self.n_ctx = loaded.window
        self.chosen = replace(options, n_ctx=loaded.window)
        return loaded, drafts, flag

    def _reserve(self, size: int, limit: Limit) -> None:
        check_allowed(size, limit)
        if limit.size is not None:
            self._make_room(self, size, limit.size)

    def _go_on(self, progress: float) -> bool:
        self._progress = progress
        return not self._closing

    def _refuse(self, error: LLMRouteError) -> None:
        """End the jobs that have not begun, and take no more."""
        with self._news:
            self._closing = True
            self.error = self.error or error
            jobs = [*self._arrived, *self._rendering, *self._ready]
            self._arrived.clear()
            self._ready.clear()
        for job in jobs:
            job.fail(error)
        while self._tasks:
            self._tasks.popleft()[1].set_exception(error)

    def _work(self, scheduler: Scheduler | VectorScheduler) -> None:
        while self._has_work(scheduler):
            while self._tasks:
                _finish(*self._tasks.popleft(), scheduler)
            while self._arrived:
                self._receive(self._arrived[0], scheduler)
            while self._ready:
                self._begin(self._ready[0], scheduler)
            try:
                scheduler.step()
            except Exception as error:  # noqa: BLE001 - its jobs hear of it; the others go on
                native.logger.exception("A step of %s failed", self.path)
                scheduler.fail_all(error)

    def _has_work(self, scheduler: Scheduler | VectorScheduler) -> bool:
        """Wait for something to do; `False` when the engine is to close."""
        with self._news:
            if self._news_came or scheduler.busy:
                # Not when all is done: the caller may be using another model by then.
                self.last_used = time.monotonic()
                return not self._closing
            self._idle = True
            called = self._news.wait_for(lambda: self._news_came, self._idle_seconds)
            self._idle = False
            if not called and not self._rendering:
                self._closing = True
            return not self._closing

    @property
    def _news_came(self) -> bool:
        return bool(self._arrived or self._ready or self._tasks or self._closing)

    def _receive(self, job: EngineJob, scheduler: Scheduler | VectorScheduler) -> None:
        """Have a chat rendered on a thread of its own, as its template is a stranger's program;
        other jobs are ready as they come."""
        render = scheduler.rendering(job)
        with self._news:
            self._arrived.popleft()
            if render is None:
                self._ready.append(job)
                return
            self._rendering.add(job)
        name = f"llmroute-render-{self.path.name}"
        threading.Thread(target=self._render, args=(job, render), name=name, daemon=True).start()

    def _render(self, job: EngineJob, render: Callable[[], None]) -> None:
        """On a thread of its own."""
        try:
            render()
        except Exception as error:  # noqa: BLE001 - it belongs to this job
            job.fail(error)
        with self._news:
            self._rendering.discard(job)
            self._ready.append(job)
            self._news.notify()

    def _begin(self, job: EngineJob, scheduler: Scheduler | VectorScheduler) -> None:
        """Let the first of the ready jobs wait for its turn."""
        prepared: list[Any] = []
        try:
            prepared = [] if job.cancelled else scheduler.prepare(job)
        except Exception as error:  # noqa: BLE001 - it belongs to this job
            job.fail(error)
        with self._news:  # so that it is counted once
            self._ready.popleft()
            scheduler.add(prepared)


def _finish(task: Task[T], future: Future[T], scheduler: Scheduler | VectorScheduler) -> None:
    try:
        future.set_result(task(scheduler))
    except Exception as error:  # noqa: BLE001 - its caller hears of it
        future.set_exception(as_ours(error))


def renew_locks() -> None:
    """In a forked child: a thread of the parent may have held the lock, and is not there."""
    global _loading
    _loading = threading.Lock()


def _closed() -> LLMRouteError:
    return ModelUnloadedError("The model was unloaded. The next call loads it again.")
