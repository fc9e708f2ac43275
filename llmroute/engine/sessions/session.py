"""Saving what a model keeps of ended calls, and restoring it.

Files are read and written on the caller's thread. The engine's thread only copies one sequence at a
time, between two steps, so that running answers go on meanwhile.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...errors import UnsupportedOperationError
from ..batching.cells import Kept, Pin
from ..batching.scheduler import Scheduler
from ..batching.vectors import VectorScheduler
from ..engine import Engine
from .file import Identity, SavedSequence, SessionReader, write_session
from .identity import identity_of
from .store import SessionStore


def save(engine: Engine, path: Path) -> int:
    """Write what is kept to a file, and return how many tokens that is.

    Raises `SessionFileError` where it cannot be written, `UnsupportedOperationError` for a model
    that keeps nothing.
    """
    found, written = engine.call(_kept), list[Kept | Pin]()
    total = 0
    with write_session(path, _identity(engine)) as file:
        for kept in found:
            saved = engine.call(partial(_saved, kept, written))
            if saved is not None:  # a call goes on in it, or it had to make room
                file.add(saved)
                written.append(kept)
                total += _count(saved)
    return total


def restore(engine: Engine, file: SessionReader) -> int:
    """Keep what a file holds as if calls had just left it, as far as there is room, and return how
    many tokens that is.

    Raises `SessionFileError` for a session that does not fit the model,
    `UnsupportedOperationError` for a model that keeps nothing.
    """
    engine.call(_kept)
    file.check_fits(_identity(engine))
    restored: list[Kept | Pin] = []
    total = 0
    for saved in file.sequences():
        kept = engine.call(partial(_restored, saved, restored))
        if kept is not None:
            restored.append(kept)
            total += _count(saved)
    return total


def _count(saved: SavedSequence) -> int:
    """The tokens that are not those of another sequence."""
    return 0 if saved.pin else len(saved.tokens) - saved.start


def _identity(engine: Engine) -> Identity:
    assert engine.n_ctx is not None  # loaded: it has run something
    return identity_of(engine.path, engine.options, engine.n_ctx)


# On the engine's thread


def _kept(scheduler: Scheduler | VectorScheduler) -> list[Kept | Pin]:
    return _writing(scheduler).settled().kept[::-1]  # the most recently used first


def _saved(
    kept: Kept | Pin, written: list[Kept | Pin], scheduler: Scheduler | VectorScheduler
) -> SavedSequence | None:
    return SessionStore(_writing(scheduler).settled()).save(kept, written)


def _restored(
    saved: SavedSequence, restored: list[Kept | Pin], scheduler: Scheduler | VectorScheduler
) -> Kept | Pin | None:
    writing = _writing(scheduler)
    return SessionStore(writing.settled()).restore(saved, restored, writing.active)


def _writing(scheduler: Scheduler | VectorScheduler) -> Scheduler:
    if not isinstance(scheduler, Scheduler) or not scheduler.settled().keeps:
        raise UnsupportedOperationError(
            "This model keeps nothing of ended calls, so it has no session: it is loaded with "
            "embeddings=True or prefix_cache=False, or has both recurrent layers and such with a "
            "sliding window."
        )
    return scheduler
