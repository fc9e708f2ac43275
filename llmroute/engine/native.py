"""llama.cpp's library: the only import of `llama_cpp`, and its log turned into Python logging."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import BadRequestError, MissingExtraError

logger = logging.getLogger("llmroute.engine")
# Without a handler of any kind Python writes warnings to stderr; what to show is the caller's
# decision.
logger.addHandler(logging.NullHandler())

_importing = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child forked in the middle of the import would keep half a module: fork waits for it.
    os.register_at_fork(
        before=_importing.acquire,
        after_in_parent=_importing.release,
        after_in_child=_importing.release,
    )

_PURPOSE = "Running a GGUF model in this process"
_SYMBOLS = (
    "ggml_abort_callback",
    "llama_batch",
    "llama_context_default_params",
    "llama_decode",
    "llama_free",
    "llama_get_logits_ith",
    "llama_get_memory",
    "llama_init_from_model",
    "llama_load_mode_name",
    "llama_log_set",
    "llama_memory_seq_cp",
    "llama_memory_seq_pos_min",
    "llama_memory_seq_rm",
    "llama_model_free",
    "llama_model_load_from_file",
    "llama_progress_callback",
    "llama_sampler_chain_add",
    "llama_sampler_init_penalties",
    "llama_sampler_sample",
    "llama_set_abort_callback",
    "llama_state_seq_get_data",
    "llama_state_seq_get_size",
    "llama_state_seq_set_data",
    "llama_token_to_piece",
    "llama_tokenize",
    "llama_vocab_is_eog",
)
"""One of each kind that has moved between releases; a library without them is refused."""

# ggml_log_level in ggml.h; 5 continues the message before.
_LEVELS = {
    1: logging.DEBUG,
    2: logging.INFO,
    3: logging.WARNING,
    4: logging.ERROR,
}
_CONTINUED = 5
_NO_NEWS = "init_batch: failed to prepare attention ubatches"
"""What llama.cpp calls an error where the cache of a hybrid model is full. `decode` tells, too."""


@functools.cache
def library() -> Any:
    """The bindings of llama.cpp's C functions, ready for use.

    Typed as `Any`: the bindings' own annotations don't describe what ctypes takes. Raises
    `MissingExtraError` when llama-cpp-python is not installed or doesn't fit.
    """
    try:
        with _importing:
            # Loads native code and numpy: only when a local model is used.
            from llama_cpp import llama_cpp as bindings
    except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: a library that won't load
        raise MissingExtraError("llamacpp", _PURPOSE) from error
    missing = [name for name in _SYMBOLS if not hasattr(bindings, name)]
    if missing:
        raise MissingExtraError(
            "llamacpp", f"{_PURPOSE} (the installed llama-cpp-python has no {missing[0]})"
        )
    _log.install(bindings)
    bindings.llama_backend_init()
    return bindings


def version() -> str:
    """The release of llama-cpp-python."""
    library()
    from llama_cpp import __version__  # as above

    return str(__version__)


@functools.cache
def multimodal() -> Any:
    """The bindings of llama.cpp's library for images. Raises `MissingExtraError` without it."""
    library()
    try:
        with _importing:
            # Loads native code: only when a model has an image encoder.
            from llama_cpp import mtmd_cpp as bindings
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingExtraError("llamacpp", "Images for a GGUF model in this process") from error
    _log.install_multimodal(bindings)
    return bindings


_numa: str | None = None


def use_numa(strategy: str) -> None:
    """Spread llama.cpp's threads over the machine's memories so, from now on.

    Raises `BadRequestError` where they are spread another way: llama.cpp takes this once.
    """
    global _numa
    if _numa is None:
        lib = library()
        lib.llama_numa_init(getattr(lib, f"GGML_NUMA_STRATEGY_{strategy.upper()}"))
        _numa = strategy
    if strategy != _numa:
        raise BadRequestError(
            f"llamacpp: numa is {_numa!r} in this process and can be set once; {strategy!r} needs "
            "another process.",
            param="numa",
        )


class _Log:
    """llama.cpp's log callback. One for the process, as llama.cpp has one log for the process."""

    def __init__(self) -> None:
        self._callback: Any = None
        self._level = logging.DEBUG
        self._captured: dict[int, list[str]] = {}
        self._expected: dict[int, Flag] = {}

    def install(self, bindings: Any) -> None:
        # Kept forever: llama.cpp may log until the process ends.
        self._callback = bindings.llama_log_callback(self._write)
        bindings.llama_log_set(self._callback, ctypes.c_void_p(0))

    def install_multimodal(self, bindings: Any) -> None:
        for set_log in (bindings.mtmd_log_set, bindings.mtmd_helper_log_set):
            set_log(self._callback, ctypes.c_void_p(0))

    def _write(self, level: int, text: bytes | None, _data: object) -> None:
        if level != _CONTINUED:
            self._level = _LEVELS.get(level, logging.DEBUG)
        line = (text or b"").decode("utf-8", "replace").strip()
        if not line.strip("."):  # progress dots
            return
        thread = threading.get_ident()
        lines = self._captured.get(thread)
        if lines is not None and self._level >= logging.ERROR:
            lines.append(line)
        flag = self._expected.get(thread)
        quiet = (flag and flag.is_set) or line == _NO_NEWS
        logger.log(logging.DEBUG if quiet else self._level, "%s", line)

    @contextmanager
    def errors(self) -> Iterator[list[str]]:
        """Collects the errors that llama.cpp logs on this thread meanwhile."""
        thread = threading.get_ident()
        lines = self._captured[thread] = []
        try:
            yield lines
        finally:
            del self._captured[thread]

    @contextmanager
    def expected_failures(self, flag: Flag) -> Iterator[None]:
        """Failures logged on this thread while `flag` is set are no news: it was told to stop."""
        thread = threading.get_ident()
        self._expected[thread] = flag
        try:
            yield
        finally:
            del self._expected[thread]


def last_words(errors: Sequence[str]) -> str:
    """The last of the errors that llama.cpp logged, to follow a sentence about what failed."""
    return f": {' / '.join(errors[-3:])}" if errors else ""


_log = _Log()
logged_errors = _log.errors
expected_failures = _log.expected_failures


class Flag:
    """A switch that native code reads without the interpreter.

    llama.cpp asks its abort callback after every node of the graph, several hundred times a token.
    A Python callback would take the interpreter lock each time, waiting up to a switch interval for
    it. So the callback is the C library's `strlen`, and the flag is the string it measures: empty
    for no, one character for yes.
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(2)
        self.callback = ctypes.cast(_c_library().strlen, library().ggml_abort_callback)
        self.argument = ctypes.cast(self._text, ctypes.c_void_p)

    @property
    def is_set(self) -> bool:
        """Whether the answer is yes."""
        return self._text[0] != b"\0"

    def set(self) -> None:
        """Answer yes from now on."""
        self._text[0] = b"\1"

    def clear(self) -> None:
        """Answer no from now on."""
        self._text[0] = b"\0"


@functools.cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL("msvcrt") if hasattr(ctypes, "WinDLL") else ctypes.CDLL(None)


def return_freed_memory() -> None:
    """Give what was freed back to the system; glibc keeps up to 32 MB of each block otherwise."""
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)
