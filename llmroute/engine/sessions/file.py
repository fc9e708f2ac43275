"""The file of a saved session: tokens and what the cache holds of them, every part with a checksum.

llama.cpp reads such states without looking twice, so it never gets one that is not as it was saved.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from ...errors import NotFoundError, SessionFileError

Identity: TypeAlias = Mapping[str, str | int | float | bool | None]
"""What a state is of; see `identity`."""

_MAGIC = b"llmroute-session"
_VERSION = 2
_START = struct.Struct("<16sI")
_HEAD = struct.Struct("<4sQ32s")
"""Before each part: its kind, its length in bytes, the checksum of both and of the part itself."""
_IDENTITY, _TOKENS, _STATE, _END = b"MODL", b"TOKS", b"STAT", b"END."
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class SavedSequence:
    """One sequence in a file."""

    tokens: list[int]
    start: int
    """How many of its first tokens `state` leaves out: a sequence before it begins with them."""
    state: bytearray
    """llama.cpp's own form of what the cache holds."""
    checkpoint: bool = False
    """Whether it is only a window; see `cells.Checkpoint`."""


class SessionWriter:
    """Writes a file from its start to its end."""

    def __init__(self, file: BinaryIO, identity: Identity) -> None:
        self._file = file
        file.write(_START.pack(_MAGIC, _VERSION))
        self._put(_IDENTITY, json.dumps(identity).encode())

    def add(self, saved: SavedSequence) -> None:
        """Append a sequence."""
        told = json.dumps(
            {"tokens": saved.tokens, "start": saved.start, "checkpoint": saved.checkpoint}
        )
        self._put(_TOKENS, told.encode())
        self._put(_STATE, saved.state)

    def end(self) -> None:
        """Say that nothing follows."""
        self._put(_END, b"")

    def _put(self, kind: bytes, data: bytes | bytearray) -> None:
        digest = _checksum(kind, len(data))
        digest.update(data)
        self._file.write(_HEAD.pack(kind, len(data), digest.digest()))
        self._file.write(data)


class SessionReader:
    """Reads a file that is sound from its start to its end."""

    def __init__(self, file: io.BufferedReader, path: Path) -> None:
        """Raises `SessionFileError` for anything but a whole session."""
        self._file = file
        self._path = path
        self._size = os.fstat(file.fileno()).st_size
        self._check_start()
        # All of it before the first sequence is restored: nothing of a damaged file is used.
        while self._check_part() != _END:
            pass
        file.seek(_START.size)
        self._identity: Identity = self._json(_IDENTITY)

    def check_fits(self, identity: Identity) -> None:
        """Raises `SessionFileError` if the session was not saved of `identity`, naming why."""
        for name in {**identity, **self._identity}:
            saved, here = self._identity.get(name), identity.get(name)
            if saved != here:
                raise session_refused(
                    self._path,
                    "is of another model"
                    if name == "model"
                    else f"was saved with {name} {saved!r}, and the model has {here!r} now. Load "
                    "the model as it was then, or save the session again",
                )

    def sequences(self) -> Iterator[SavedSequence]:
        """The sequences, one at a time."""
        while self._file.tell() + _HEAD.size < self._size:
            told = self._json(_TOKENS)
            if not _is_sound(told):
                raise self._damaged()
            yield SavedSequence(**told, state=self._part(_STATE))

    def _check_start(self) -> None:
        raw = self._file.read(_START.size)
        if not raw.startswith(_MAGIC):
            raise session_refused(self._path, "is no saved session")
        if len(raw) < _START.size:
            raise self._cut_off()
        version = _START.unpack(raw)[1]
        if version != _VERSION:
            raise session_refused(
                self._path, f"is a session of version {version}; this release reads {_VERSION}"
            )

    def _check_part(self) -> bytes:
        """Reads over a part in little memory; returns its kind."""
        kind, length, expected = self._head()
        digest = _checksum(kind, length)
        for start in range(0, length, _CHUNK):
            digest.update(self._file.read(min(_CHUNK, length - start)))
        if digest.digest() != expected or (kind == _END) != (self._file.tell() == self._size):
            raise self._damaged()
        return kind

    def _part(self, wanted: bytes) -> bytearray:
        """The next part, checked again: the file may have changed since."""
        kind, length, expected = self._head()
        digest, data = _checksum(kind, length), bytearray(length)
        if kind != wanted or self._file.readinto(data) != length:
            raise self._damaged()
        digest.update(data)
        if digest.digest() != expected:
            raise self._damaged()
        return data

    def _json(self, wanted: bytes) -> Any:
        return json.loads(self._part(wanted))

    def _head(self) -> tuple[bytes, int, bytes]:
        raw = self._file.read(_HEAD.size)
        if len(raw) < _HEAD.size:
            raise self._cut_off()
        kind, length, expected = _HEAD.unpack(raw)
        if length > self._size - self._file.tell():
            raise self._cut_off()
        return kind, length, expected

    def _cut_off(self) -> SessionFileError:
        return session_refused(self._path, "is cut off or damaged. Save the session again")

    def _damaged(self) -> SessionFileError:
        return session_refused(self._path, "is damaged. Save the session again")


@contextmanager
def write_session(path: Path, identity: Identity) -> Iterator[SessionWriter]:
    """Write a file that is there only when it is whole; what was there before stays until then.

    Only its owner may read it. Raises `SessionFileError` where it cannot be written, or where a
    file is that is no session.
    """
    try:
        _check_replaceable(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                writer = SessionWriter(file, identity)
                yield writer
                writer.end()
            os.replace(temporary, path)
        except BaseException:  # whatever it is, half a file is of no use
            os.unlink(temporary)
            raise
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise session_refused(path, f"cannot be written: {error}") from error


@contextmanager
def read_session(path: Path) -> Iterator[SessionReader]:
    """Open a file and check it.

    Raises `NotFoundError` for a missing one, `SessionFileError` for one that is no whole session.
    """
    try:
        file = _opened(path)
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no saved session {path}.", provider="llamacpp", url=str(path)
        ) from None
    except (OSError, ValueError) as error:  # as above
        raise session_refused(path, f"cannot be read: {error}") from error
    with file:
        try:
            yield SessionReader(file, path)
        except OSError as error:
            raise session_refused(path, f"cannot be read: {error}") from error


def session_refused(path: Path, problem: str) -> SessionFileError:
    """The error for a file that is no session, or none of this model."""
    return SessionFileError(f"{path} {problem}.", provider="llamacpp", url=str(path))


def _opened(path: Path) -> io.BufferedReader:
    """A regular file, opened; nothing else is opened at all, as a pipe would be waited for and a
    device may do anything."""
    _check_regular(path, os.lstat(path).st_mode)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = os.fdopen(handle, "rb")
    try:
        _check_regular(path, os.fstat(handle).st_mode)  # it may be another one by now
    except BaseException:  # whatever it is, the file must not stay open
        file.close()
        raise
    return file


def _check_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "no regular file"
        raise session_refused(path, f"is {kind}. Name the file itself, or a new one")


def _check_replaceable(path: Path) -> None:
    """Nobody wants a session in place of a model, or of a device."""
    try:
        file = _opened(path)
    except FileNotFoundError:
        return
    with file:
        start = file.read(len(_MAGIC))
    if start not in (b"", _MAGIC):
        raise session_refused(path, "is there and is no saved session. Name another file")


def _is_sound(told: Any) -> bool:
    if not isinstance(told, dict) or sorted(told) != ["checkpoint", "start", "tokens"]:
        return False
    tokens, start = told["tokens"], told["start"]
    return (
        isinstance(told["checkpoint"], bool)
        and isinstance(tokens, list)
        and all(type(token) is int for token in tokens)
        and type(start) is int
        and 0 <= start <= len(tokens)
    )


def _checksum(kind: bytes, length: int) -> Any:
    return hashlib.sha256(kind + length.to_bytes(8, "little"))
