"""Saving what a model keeps of ended calls, and restoring it.

Files are read and written on the caller's thread. The engine's thread only copies one sequence at a
time, between two steps, so that running answers go on meanwhile.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...errors import UnsupportedOperationError
from ..batching.cells import Cached
from ..batching.scheduler import Scheduler
from ..batching.vectors import VectorScheduler
from ..engine import Engine
from .file import Identity, SavedSequence, SessionReader, write_session
from .identity import identity_of
from .store import SessionStore


def save(engine: Engine, path: Path) -> int:
    """Write what is cached to a file, and return how many tokens that is.

    Raises `SessionFileError` where it cannot be written, `UnsupportedOperationError` for a model
    that keeps nothing.
    """
    found, written = engine.call(_cached), list[Cached]()
    total = 0
    with write_session(path, _identity(engine)) as file:
        for cached in found:
            saved = engine.call(partial(_saved, cached, written))
            if saved is not None:  # a call goes on in it, or it had to make room
                file.add(saved)
                written.append(cached)
                total += _count(saved)
    return total


def restore(engine: Engine, file: SessionReader) -> int:
    """Keep what a file holds as if calls had just left it, as far as there is room, and return how
    many tokens that is.

    Raises `SessionFileError` for a session that does not fit the model,
    `UnsupportedOperationError` for a model that keeps nothing.
    """
    engine.call(_cached)
    file.check_fits(_identity(engine))
    restored: list[Cached] = []
    total = 0
    for saved in file.sequences():
        cached = engine.call(partial(_restored, saved, restored))
        if cached is not None:
            restored.append(cached)
            total += _count(saved)
    return total


def _count(saved: SavedSequence) -> int:
    """The tokens that are not those of another sequence."""
    return 0 if saved.checkpoint else len(saved.tokens) - saved.start


def _identity(engine: Engine) -> Identity:
    assert engine.n_ctx is not None  # loaded: it has run something
    return identity_of(engine.path, engine.options, engine.n_ctx)


# On the engine's thread


def _cached(scheduler: Scheduler | VectorScheduler) -> list[Cached]:
    return _writing(scheduler).settled().cached[::-1]  # the most recently used first


def _saved(
    cached: Cached,
    written: list[Cached],
    scheduler: Scheduler | VectorScheduler,
) -> SavedSequence | None:
    return SessionStore(_writing(scheduler).settled()).save(cached, written)


def _restored(
    saved: SavedSequence,
    restored: list[Cached],
    scheduler: Scheduler | VectorScheduler,
) -> Cached | None:
    writing = _writing(scheduler)
    return SessionStore(writing.settled()).restore(saved, restored, writing.active)


def _writing(scheduler: Scheduler | VectorScheduler) -> Scheduler:
    if not isinstance(scheduler, Scheduler) or not scheduler.settled().caches:
        raise UnsupportedOperationError(
            "This model keeps nothing of ended calls, so it has no session: it is loaded with "
            "embeddings=True or prefix_cache=False, or has both recurrent layers and such with a "
            "sliding window."
        )
    return scheduler
