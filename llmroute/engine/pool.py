"""The models loaded in this process: one engine for all calls whose load options agree."""

from __future__ import annotations

import atexit
import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import ModelUnloadedError, NotFoundError
from ..runtime import shared
from . import extra as extra  # first of the engine's modules
from .engine import Engine, renew_locks
from .gguf.check import read_header
from .gguf.files import find_model, registered_options
from .job import EngineJob
from .loaded_model import LoadedModel
from .options.load import LoadOptions
from .prompt.token_count import Vocabularies

Key: TypeAlias = tuple[Path, LoadOptions, tuple[tuple[int, int] | None, ...]]
"""Path, options, and the times of change and sizes of all files: one that changed makes another
model."""

_LOOK_SECONDS = 0.02
"""How often a model that waits for memory looks whether another is idle."""
_EXIT_SECONDS = 10.0
"""How long the interpreter waits at its end for running steps to break off."""


class Pool:
    """Engines by what they run."""

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Forget every engine without touching it."""
        self._lock = threading.Lock()
        self._engines: dict[Key, Engine] = {}

    def submit(self, job: EngineJob) -> Engine:
        """Give a job to the engine of its model, starting one if there is none."""
        path, options = _target(job.call.path, job.call.load)
        with self._lock:
            engine = self._engine(path, options)
            try:
                engine.submit(job)
            except ModelUnloadedError:  # just now, as nobody had called it for long
                engine = self._engine(path, options)
                engine.submit(job)
        return engine

    def warm_up(
        self,
        name: str,
        load: Mapping[str, Any],
        progress: Callable[[float], object] | None = None,
    ) -> LoadedModel:
        """Load a model and wait for it. Raises what loading it fails with."""
        return _describe(self.load(name, load, progress))

    def load(
        self,
        name: str,
        load: Mapping[str, Any],
        progress: Callable[[float], object] | None = None,
    ) -> Engine:
        """The engine of a model, when it is loaded. Raises what loading it fails with."""
        path, options = _target(name, load)
        with self._lock:
            engine = self._engine(path, options)
        engine.wait_loaded(progress)
        return engine

    def find(self, name: str, load: Mapping[str, Any]) -> Engine:
        """The engine of a model that is loaded or being loaded; `NotFoundError` without one."""
        path, options = _target(name, load)
        with self._lock:
            engine = self._loaded(path.resolve(), options)
        if engine is None:
            raise NotFoundError(
                "The model is not loaded, or not with these model_kwargs. Give those of the calls.",
                param="model_kwargs",
            )
        return engine

    def _engine(self, path: Path, options: LoadOptions) -> Engine:
        real = path.resolve()
        engine = self._loaded(real, options)
        if engine is None:
            self._warn_of_another(real, options)
            key = _key(real, options)
            engine = self._engines[key] = Engine(real, options, self._make_room)
        return engine

    def _loaded(self, real: Path, options: LoadOptions) -> Engine | None:
        """The engine for these options: the one that was started with them, or else the one used
        last that has all that they ask for."""
        engine = self._engines.get(_key(real, options))
        if engine is not None and engine.usable:
            return engine
        fitting = (e for e in self._of(real) if not options.differences(e.chosen))
        return max(fitting, key=lambda engine: engine.last_used, default=None)

    def _of(self, real: Path) -> list[Engine]:
        """The engines of a file, as it is now."""
        return [
            engine
            for key, engine in self._engines.items()
            if key[0] == real and engine.usable and key == _key(real, engine.options)
        ]

    def _warn_of_another(self, real: Path, options: LoadOptions) -> None:
        others = [e for e in self._of(real) if e.options.embeddings == options.embeddings]
        if not others:
            return
        loaded = others[-1].chosen
        different = ", ".join(
            f"{name}={getattr(options, name)!r} (loaded: {getattr(loaded, name)!r})"
            for name in options.differences(loaded)
        )
        warnings.warn(
            f"A model is loaded once more: {real}, for {different}. Give all calls the same "
            "model_kwargs, or name them once with register_local_model().",
            stacklevel=2,
        )

    def _make_room(self, engine: Engine, size: int, limit: int) -> None:
        """On an engine's thread: unload models, the least recently used first, until `size` more
        bytes are within the limit. Those that calls are using are waited for."""
        while engine.usable:
            with self._lock:
                others = [e for e in self._engines.values() if e is not engine and e.size]
                if not others or size + sum(other.size for other in others) <= limit:
                    return
                others.sort(key=lambda other: other.last_used)
                gone = next((other for other in others if other.close_if_idle()), None)
            if gone:
                gone.join()
            else:
                time.sleep(_LOOK_SECONDS)

    def context_window(self, name: str, load: Mapping[str, Any]) -> int | None:
        """The window of the loaded model, or what it would be loaded with at most."""
        path, options = _target(name, load)
        real = path.resolve()
        with self._lock:
            engine = self._loaded(real, options)
        if engine is not None and engine.n_ctx:
            return engine.n_ctx
        return options.n_ctx or read_header(real, options.kv_overrides).context_length

    def unload(self, name: str) -> int:
        """Close every engine of a model and wait until its memory is given back."""
        real = find_model(name).resolve()
        with self._lock:
            closing = [self._engines.pop(key) for key in list(self._engines) if key[0] == real]
        shared(Vocabularies).forget(real)
        return _close(closing)

    def unload_all(self, timeout: float | None = None) -> int:
        """Close every engine."""
        with self._lock:
            closing = list(self._engines.values())
            self._engines.clear()
        return _close(closing, timeout)

    def loaded(self) -> list[LoadedModel]:
        """Every model that is loaded or being loaded."""
        with self._lock:
            return [_describe(engine) for engine in self._engines.values() if engine.usable]


def _key(real: Path, options: LoadOptions) -> Key:
    return real, options, (_version(real), *map(_version, options.files))


def _version(file: str | Path) -> tuple[int, int] | None:
    try:
        stat = os.stat(file)
    except FileNotFoundError:  # loading says so
        return None
    return stat.st_mtime_ns, stat.st_size


def _target(name: str, load: Mapping[str, Any]) -> tuple[Path, LoadOptions]:
    """The file a name stands for and how to load it: an alias may bring options of its own."""
    return find_model(name), LoadOptions.parse({**registered_options(name), **load})


def _close(closing: list[Engine], timeout: float | None = None) -> int:
    for engine in closing:
        engine.close()
    for engine in closing:
        engine.join(timeout)
    return len(closing)


def _describe(engine: Engine) -> LoadedModel:
    return LoadedModel(
        str(engine.path), engine.n_ctx, engine.options, engine.active, engine.waiting
    )


def _at_exit() -> None:
    shared(Pool).unload_all(_EXIT_SECONDS)


def _in_forked_child() -> None:
    # The parent's engine threads are not here, so its models cannot be used or freed; the child
    # loads its own. The parent's pages stay shared until then.
    renew_locks()
    shared(Pool).start_over()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
