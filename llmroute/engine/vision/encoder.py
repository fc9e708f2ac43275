"""The image encoder beside a model (its mmproj), through llama.cpp's mtmd library.

Belongs to the engine's thread. No text of a caller goes through mtmd, only images.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...errors import BadRequestError, InternalServerError, ModelFileError
from .. import native
from ..memory import machine
from ..options.load import LoadOptions
from .images import check_image

# enum mtmd_input_chunk_type
_TEXT, _IMAGE = 0, 1


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, or one of the parts that the encoder cuts it into, as it is in the prompt."""

    data: bytes
    """The whole image, as it came."""
    part: int
    """Which of its parts."""
    cells: int
    """Cells of the cache it takes, and tokens it counts as."""
    positions: int
    """Positions it takes in the prompt; for some models fewer than cells."""

    @property
    def token(self) -> int:
        """What stands for it in the list of tokens: no token has this number, no other image."""
        digest = hashlib.sha256(self.data).digest()
        return -1 - int.from_bytes(digest[:16], "big") - self.part


Piece: TypeAlias = list[int] | Picture
"""Tokens the model wants around an image, or (a part of) the image itself."""


class ImageReader:
    """Makes an image into what the model reads."""

    def __init__(
        self, model: Any, path: str, options: LoadOptions, *, compute: bool = True
    ) -> None:
        """With `compute=False` images go all the way through it, but nothing is computed."""
        self._lib = lib = native.multimodal()
        self._at_once = min(options.n_ubatch or options.n_batch, options.n_batch)
        params = lib.mtmd_context_params_default()
        params.use_gpu = options.n_gpu_layers != 0
        params.print_timings = False
        params.warmup = False
        params.n_threads = options.n_threads or machine.cores()
        params.flash_attn_type = native.library().LLAMA_FLASH_ATTN_TYPE_DISABLED
        if not compute:
            params.cb_eval = self._stop = native.library().ggml_backend_sched_eval_callback(_first)
        with native.logged_errors() as errors:
            self._context = lib.mtmd_init_from_file(os.fsencode(path), model, params)
        if not self._context:
            words = native.last_words(errors)
            raise ModelFileError(
                f"{path} does not fit the model, or llama.cpp cannot load it{words}.",
                provider="llamacpp",
                url=path,
                param="mmproj",
            )
        self._marker: bytes = lib.mtmd_get_marker(self._context) or lib.mtmd_default_marker()
        self._last: tuple[bytes, Any] | None = None
        """The parts of the image that was looked at last, as its parts come one after the other."""

    def pieces(self, data: bytes) -> list[Piece]:
        """What an image is in the prompt. Raises `BadRequestError` for bytes that are no image."""
        chunks = self._chunks(data)
        return [self._piece(data, chunks, part) for part in range(self._count(chunks))]

    def encode(self, picture: Picture) -> Any:
        """Compute what the model reads of an image; returns mtmd's handle of it."""
        chunk = self._lib.mtmd_input_chunks_get(self._chunks(picture.data), picture.part)
        if self._lib.mtmd_encode_chunk(self._context, chunk):
            raise InternalServerError("The image encoder failed.")
        return chunk

    def read(
        self, picture: Picture, context: Any, *, position: int, sequence: int, batch_size: int
    ) -> int:
        """Encode an image and put it into a sequence; returns the result of `llama_decode`."""
        chunk = self.encode(picture)
        after = native.library().llama_pos(0)
        return int(
            self._lib.mtmd_helper_decode_image_chunk(
                self._context,
                context,
                chunk,
                self._lib.mtmd_get_output_embd(self._context),
                position,
                sequence,
                batch_size,
                ctypes.byref(after),
                self._lib.mtmd_helper_post_decode_callback(),
                None,
            )
        )

    def free(self) -> None:
        """Give all memory back."""
        self._forget()
        self._lib.mtmd_free(self._context)
        self._context = None

    def _count(self, chunks: Any) -> int:
        return int(self._lib.mtmd_input_chunks_size(chunks))

    def _piece(self, data: bytes, chunks: Any, part: int) -> Piece:
        lib = self._lib
        chunk = lib.mtmd_input_chunks_get(chunks, part)
        if lib.mtmd_input_chunk_get_type(chunk) == _TEXT:
            count = ctypes.c_size_t()
            tokens = lib.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
            return list(tokens[: count.value])
        cells = int(lib.mtmd_input_chunk_get_n_tokens(chunk))
        if cells > self._at_once and lib.mtmd_decode_use_non_causal(self._context, chunk):
            raise BadRequestError(
                f"An image takes {cells:,} tokens, which this model must compute at once; set "
                "n_batch (and n_ubatch) in model_kwargs to that many.",
                param="messages",
            )
        return Picture(data, part, cells, int(lib.mtmd_input_chunk_get_n_pos(chunk)))

    def _chunks(self, data: bytes) -> Any:
        """The parts of an image, kept until another one is looked at."""
        if self._last is None or self._last[0] != data:
            self._forget()
            with self._bitmap(data) as bitmap:
                self._last = data, self._cut(bitmap)
        return self._last[1]

    def _cut(self, bitmap: Any) -> Any:
        lib = self._lib
        text = lib.mtmd_input_text(self._marker, len(self._marker), False, True)
        chunks = lib.mtmd_input_chunks_init()
        bitmaps = (ctypes.c_void_p * 1)(bitmap)
        code = lib.mtmd_tokenize(self._context, chunks, ctypes.byref(text), bitmaps, 1)
        if code:
            lib.mtmd_input_chunks_free(chunks)
            raise BadRequestError(
                f"The model's image encoder does not take an image (code {code}); its size or "
                "shape may be the reason.",
                param="messages",
            )
        return chunks

    @contextmanager
    def _bitmap(self, data: bytes) -> Iterator[Any]:
        check_image(data)
        options = self._lib.mtmd_helper_init_opt_default()
        # For an image it cannot decode mtmd would call ffprobe, as it might be a video. No program
        # is to see what a caller sent, so it is looked for where there is none.
        options.video_params.ffmpeg_bin_dir = os.devnull.encode()
        buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        made = self._lib.mtmd_helper_bitmap_init_from_buf_wrapper(
            self._context, buffer, len(data), False, options
        )
        if not made.bitmap:
            raise BadRequestError(
                "An image cannot be decoded: it is damaged, or of a kind that llama.cpp does not "
                "read.",
                param="messages",
            )
        try:
            yield made.bitmap
        finally:
            self._lib.mtmd_bitmap_free(made.bitmap)

    def _forget(self) -> None:
        if self._last is not None:
            self._lib.mtmd_input_chunks_free(self._last[1])
            self._last = None


def _first(_node: object, asked: bool, _data: object) -> bool:
    """Tells ggml, which asks of each node whether its result is wanted, and then whether to go on:
    the first one's is, and then no."""
    return asked
