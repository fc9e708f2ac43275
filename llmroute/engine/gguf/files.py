"""Finds the file behind a local model's name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...errors import NotFoundError
from ...runtime import shared

MODELS_DIR = "LLMROUTE_MODELS_DIR"
"""The environment variable with the folder to look in; several are separated as in `PATH`."""

_MAX_LISTED = 2_000
"""Files of the models folder that are looked through for near matches."""
_MAX_SHOWN = 200
"""Characters of a name that an error repeats."""


class Aliases(dict[str, tuple[Path, Mapping[str, Any]]]):
    """Names that this program has given to files, and the options to load each with."""


def register_local_model(alias: str, path: str | os.PathLike[str], **model_kwargs: Any) -> None:
    """Make a model file available as `llamacpp/<alias>` in this process.

    `model_kwargs` (`n_ctx=8192`, ...) are the options to load it with; those of a call win.
    Registering a name again replaces it. The file is looked at when the model is used.
    """
    shared(Aliases)[alias] = (expanded(path), MappingProxyType(dict(model_kwargs)))


def registered_options(name: str) -> Mapping[str, Any]:
    """The load options registered with an alias; empty for any other name."""
    registered = shared(Aliases).get(name)
    return registered[1] if registered else {}


def find_model(name: str | os.PathLike[str], environ: Mapping[str, str] = os.environ) -> Path:
    """The file that `name` stands for.

    In this order: a registered alias; a path, absolute, with `~`, or relative to the current
    folder, with or without `.gguf`; a path below a folder of `LLMROUTE_MODELS_DIR`; a file of that
    name anywhere below it. Raises `NotFoundError`, with near matches and the places looked in.
    """
    name = os.fspath(name)
    if name in shared(Aliases):
        return _registered(name)
    folders = _folders(environ)
    for path in _candidates(name, folders):
        if _is(Path.is_file, path):
            return path
    # A folder is found too, so that the error can say that it is one.
    if name and _is(Path.is_dir, path := expanded(name)):
        return path
    raise NotFoundError(
        f"There is no local model {_shown(name)}. {_near(name, folders)}Looked for a registered "
        f"alias, a "
        f"file relative to {Path.cwd()}, and {_looked_in(folders)}.",
        provider="llamacpp",
        model=f"llamacpp/{name}",
        url=name,
    )


def _registered(name: str) -> Path:
    path = shared(Aliases)[name][0]
    if path.exists():
        return path
    raise NotFoundError(
        f"There is no file {str(path)!r}, which {name!r} was registered for. Register it again.",
        provider="llamacpp",
        model=f"llamacpp/{name}",
        url=str(path),
    )


def _folders(environ: Mapping[str, str]) -> list[Path]:
    value = environ.get(MODELS_DIR, "")
    return [expanded(part) for part in value.split(os.pathsep) if part]


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with `~` made the home folder; as it is for an unknown user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    """Whether a path is a file or a folder; not if the system cannot even look at such a path."""
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def _shown(name: str) -> str:
    return repr(name) if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]!r}..."


def _candidates(name: str, folders: list[Path]) -> Iterator[Path]:
    if not name or "\0" in name:
        return
    names = [name] if name.endswith(".gguf") else [name, name + ".gguf"]
    yield from (expanded(variant) for variant in names)
    # An absolute path stays itself when it is put below a folder.
    for folder in folders:
        yield from (folder / variant for variant in names)
    if Path(name).name == name:
        for folder in folders:
            yield from (path for path in _models_in(folder) if path.name in names)


def _models_in(folder: Path) -> Iterator[Path]:
    """All model files below a folder, in a fixed order."""
    for parent, subfolders, files in os.walk(folder):
        subfolders.sort()
        yield from (Path(parent, file) for file in sorted(files) if file.endswith(".gguf"))


def _near(name: str, folders: list[Path]) -> str:
    """`"Did you mean ...? "`, or nothing."""
    known = {alias: alias for alias in shared(Aliases)}
    beside = expanded(name).parent
    if _is(Path.is_dir, beside):
        # Only the file's own name counts: two paths in one folder are alike already.
        known |= {path.stem: str(beside / path.stem) for path in beside.glob("*.gguf")}
    for folder in folders:
        known = {path.stem: path.stem for path in _models_in(folder)} | known
    stem = Path(name).name.removesuffix(".gguf")
    near = difflib.get_close_matches(stem, list(known)[:_MAX_LISTED], n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(repr(known[n]) for n in near)}? " if near else ""


def _looked_in(folders: list[Path]) -> str:
    if not folders:
        return f"no models folder, since {MODELS_DIR} is not set"
    return f"below {MODELS_DIR} ({', '.join(map(str, folders))})"
