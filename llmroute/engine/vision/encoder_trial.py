"""Tries an image encoder in a process of its own, as llama.cpp ends the process over many.

See docs/decisions/0009-try-encoders.md.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.spawn import get_executable
from pathlib import Path

from ...errors import LLMRouteError
from ...runtime import shared
from .. import native
from ..gguf.header import refused
from ..options.load import LoadOptions
from ..vocabulary.standalone import VocabularyOnly
from .encoder import ImageReader, Picture
from .encoder_check import check_encoder

_SECONDS = 600.0
"""How long a trial may take; one of a real encoder takes about a second."""
_POLL_SECONDS = 0.02
_BEGUN = "begun"
_SIZES = ((64, 64), (1, 1), (500, 50), (50, 500), (448, 448))
"""Width and height of the images that are tried, in pixels."""
_CODE = """\
import sys
sys.path[:] = {path!r}
from llmroute.engine.vision.encoder_trial import main
main({model!r}, {encoder!r})
"""


class SoundEncoders(set[tuple[tuple[Path, int, int], ...]]):
    """Models and encoders, with their time of change and size, for which all went well."""


def try_encoder(model: Path, encoder: Path, go_on: Callable[[float], bool]) -> None:
    """Find out whether an image encoder can be loaded beside a model and used without harm.

    Its header is checked here; then another process loads it and reads images without computing
    anything, once for as long as neither file changes. That one is stopped when `go_on`, which is
    asked all the time, says no. Raises `NotFoundError` or `ModelFileError`.
    """
    check_encoder(encoder)
    files = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in (model, encoder))
    if files in shared(SoundEncoders):
        return
    code, said = _run(_CODE.format(path=sys.path, model=str(model), encoder=str(encoder)), go_on)
    if code == 0:
        shared(SoundEncoders).add(files)
    elif not go_on(0.0):
        return
    elif _BEGUN in said:
        reason = said[-1].rpartition("/")[2] if said[-1] != _BEGUN else f"code {code}"
        raise refused(
            encoder, f"is damaged or does not fit the model: llama.cpp ends over it ({reason})"
        )
    else:
        native.logger.warning(
            "%s was not tried in a process of its own, as none could be started: %s",
            *(encoder, " / ".join(said[-1:])),
        )


def _run(code: str, go_on: Callable[[float], bool]) -> tuple[int | None, list[str]]:
    """Run code in a new interpreter; returns what it ended with, and the lines it wrote."""
    if getattr(sys, "frozen", False):
        return None, ["this program has no interpreter to start"]
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                [get_executable(), "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"GGML_NO_BACKTRACE": "1"},  # which would start a debugger
            )
        except OSError as error:
            return None, [str(error)]
        try:
            end = time.monotonic() + _SECONDS
            while process.poll() is None and time.monotonic() < end and go_on(0.0):
                time.sleep(_POLL_SECONDS)
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        return process.returncode, output.read().decode("utf-8", "replace").strip().splitlines()


# In the process that tries


def main(model: str, encoder: str) -> None:
    """Load an encoder and let it read images."""
    _leave_no_core()
    native.multimodal()
    print(_BEGUN, flush=True)  # noqa: T201 - read by the process that waits
    try:
        vocabulary = VocabularyOnly(Path(model))
        options = LoadOptions(n_gpu_layers=0, n_threads=1, n_batch=2**16)
        reader = ImageReader(vocabulary.native, encoder, options, compute=False)
    except LLMRouteError:  # it comes up again where it is reported
        return
    for width, height in _SIZES:
        _look(reader, _black(width, height))


def _look(reader: ImageReader, image: bytes) -> None:
    try:
        for piece in reader.pieces(image):
            if isinstance(piece, Picture):
                reader.encode(piece)
    except LLMRouteError:  # not every encoder takes every shape
        pass


def _black(width: int, height: int) -> bytes:
    """A black image, as a BMP file."""
    pixels = bytes(height * (width * 3 + 3 & ~3))  # rows begin at multiples of four bytes
    file = struct.pack("<2sIII", b"BM", 54 + len(pixels), 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    return file + info + pixels


def _leave_no_core() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
