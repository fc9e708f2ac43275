"""The models in this process that components use: loaded when needed, unloaded by the last one."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmroute.engine.gguf.files import find_model
from llmroute.local_models import unload, warm_up

_lock = threading.Lock()
_users: dict[Path, weakref.WeakSet[LocalModel]] = {}


class LocalModel:
    """One component's use of a model file."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._name = name
        self._options = options
        self._path: Path | None = None

    def use(self) -> None:
        """Take part in using the model. It is loaded when a call needs it.

        Raises `NotFoundError` if there is no such file.
        """
        if self._path is None:
            path = find_model(self._name).resolve()
            with _lock:
                _users.setdefault(path, weakref.WeakSet()).add(self)
                self._path = path

    def load(self) -> None:
        """Load the model and wait for it. Raises what loading it fails with."""
        self.use()
        warm_up(self._name, **self._options)

    async def aload(self) -> None:
        """The async twin of `load`; the event loop stays free."""
        await asyncio.to_thread(self.load)

    def release(self) -> None:
        """No longer use the model; it is unloaded if no other component uses it."""
        if self._path is None:
            return
        with _lock:
            path, self._path = self._path, None
            users = _users.setdefault(path, weakref.WeakSet())
            users.discard(self)
            last = not users
            if last:
                del _users[path]
        if last:
            unload(str(path))

    async def arelease(self) -> None:
        """The async twin of `release`; the event loop stays free."""
        await asyncio.to_thread(self.release)
