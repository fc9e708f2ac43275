"""The models in this process: loading and unloading them, and what they are.

Importing it loads nothing of llama.cpp; each function does when it is called, and raises
`MissingExtraError` where the extra `llamacpp` is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .engine.gguf.files import expanded
from .engine.loaded_model import LoadedModel
from .errors import LLMRouteError
from .runtime import shared
from .tracebacks import short_tracebacks

if TYPE_CHECKING:
    from .engine.pool import Pool


def warm_up(
    model: str, *, progress: Callable[[float], object] | None = None, **model_kwargs: Any
) -> LoadedModel:
    """Load a local model now and wait for it, so that the first call finds it ready.

    `model` may carry the prefix `llamacpp/`; `model_kwargs` are the load options that the calls to
    come will have, as other options load the model once more. `progress` is called some
    twenty times a second, on this thread, with how much is loaded, from 0 to 1.
    """
    with short_tracebacks, _on(model) as (pool, name):
        return pool.warm_up(name, model_kwargs, progress)


def save_session(model: str, path: str | os.PathLike[str], **model_kwargs: Any) -> int:
    """Write what a loaded model keeps of ended calls to a file, and return how many tokens it is.

    After `load_session`, in another process too, a prompt that begins like one of those calls is
    read from where it differs. Calls that are running are left out, and go on. `model_kwargs` are
    the load options that the calls had. A beginning that several calls had in common counts once.

    The file is there when it is whole, replaces one that was there before, and holds the prompts:
    only its owner may read it. Raises `NotFoundError` if the model is not loaded,
    `UnsupportedOperationError` for one that keeps nothing (loaded with `prefix_cache=False`),
    `SessionFileError` where the file cannot be written.
    """
    with short_tracebacks, _on(model) as (pool, name):
        from .engine.sessions import session  # the engine, only for a local model

        return session.save(pool.find(name, model_kwargs), expanded(path))


def load_session(model: str, path: str | os.PathLike[str], **model_kwargs: Any) -> int:
    """Restore what `save_session` wrote, and return how many tokens that is.

    Loads the model if need be, with the load options `model_kwargs`. Fewer tokens than were saved
    means that the cache had no room for all: those used last come first. What the model kept before
    makes room, running calls don't.

    Load only files that you wrote. Raises `NotFoundError` for a missing file and `SessionFileError`
    for one that is damaged, or was saved of another model, with other load options or by another
    llama-cpp-python; the model stays as it was then.
    """
    with short_tracebacks, _on(model) as (pool, name):
        from .engine.sessions import file as session_file, session  # only for a local model

        with session_file.read_session(expanded(path)) as file:
            return session.restore(pool.load(name, model_kwargs), file)


def unload(model: str | None = None) -> int:
    """Give back the memory of a model, or of all; returns how many were loaded.

    Calls that are running on it end with `ModelUnloadedError`. A later call loads it again.
    """
    with short_tracebacks:
        return _pool().unload_all() if model is None else _pool().unload(_name(model))


def loaded_models() -> list[LoadedModel]:
    """The models that are loaded or being loaded in this process."""
    return _pool().loaded()


def context_window(model: str, **model_kwargs: Any) -> int | None:
    """The context window of a local model in tokens: as it is loaded, else as its file says.

    `None` if the file does not say. The window it is loaded with by default may be smaller than the
    file's, where the memory for it is short.
    """
    return _pool().context_window(_name(model), model_kwargs)


@contextmanager
def _on(model: str) -> Iterator[tuple[Pool, str]]:
    """The pool of engines and the model's name; an error in the block names the model."""
    pool, name = _pool(), _name(model)
    from .engine.job import located  # the engine, only for a local model

    try:
        yield pool, name
    except LLMRouteError as error:
        raise located(error, name) from error.__cause__


def _pool() -> Pool:
    from .engine.pool import Pool  # the engine; says which extra is missing

    return shared(Pool)


def _name(model: str) -> str:
    return model.removeprefix("llamacpp/")
