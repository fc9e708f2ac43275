"""One loaded model with its context: all calls into llama.cpp that compute something.

Every method belongs to the thread that called `load`; only `abort` may be used from others.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InternalServerError, ModelFileError
from .. import native
from ..gguf.check import all_tensors
from ..gguf.header import GGUFHeader, refused
from ..options.load import LoadOptions
from ..options.pooling import RANK
from ..vision.encoder import ImageReader, Picture
from ..vision.encoder_trial import try_encoder
from ..vocabulary.vocabulary import Vocabulary
from .batch import Batch
from .grammars import GrammarCompiler
from .lora import check_adapter, put_on
from .params import can_cut, context_params, warn_about_gpu, weights_params

DECODED, NO_ROOM, ABORTED = 0, 1, 2
"""What `decode` returns; negative values are failures."""

_SCORE_BYTES = 64 * 2**20
"""What the scores of a prompt's tokens may take in one step; with a large vocabulary those of a
whole batch would be half a gigabyte, and llama.cpp keeps the room forever."""
_SCORE_SIZE = 4


class Model:
    """Weights, context and cache of one model."""

    def __init__(
        self,
        lib: Any,
        model: Any,
        context: Any,
        header: GGUFHeader,
        options: LoadOptions,
        n_ctx: int,
    ) -> None:
        self.lib = lib
        self.header = header
        self.context = context
        self.vocabulary = Vocabulary(lib, model)
        self.grammars = GrammarCompiler(self.vocabulary)
        self.batch = Batch(lib, lib.llama_n_batch(context))
        self.cells: int = lib.llama_n_ctx(context)
        """Tokens the cache holds, over all sequences."""
        self.window = min(n_ctx, self.cells)
        """Tokens one prompt and its answer may have. llama.cpp rounds the cache up."""
        self.batch_size: int = lib.llama_n_batch(context)
        self.score_rows = max(1, _SCORE_BYTES // (self.vocabulary.size * _SCORE_SIZE))
        """Tokens after which a step can tell the scores of all others."""
        self.options = options
        if lib.llama_model_is_recurrent(model):
            self.cells *= lib.llama_n_seq_max(context)  # a state takes no cells
        self.sequences: int = lib.llama_n_seq_max(context)
        self.sliding_window: int = lib.llama_model_n_swa(model)
        """Tokens that layers with a sliding window look back; 0 without such layers."""
        self.can_cut = can_cut(lib, model)
        """Whether a sequence's beginning can be had without what follows it."""
        if options.draft_model and self.sliding_window:
            # Within what is computed at once, no cell is overwritten that is still within the
            # window when the drafts are cut off again.
            self.batch_size = lib.llama_n_ubatch(context)
        self.images: ImageReader | None = None
        """Reads images; `None` for a model loaded without an encoder for them."""
        self._model = model
        self._memory = lib.llama_get_memory(context)

    def decode(self) -> int:
        """Compute the batch; returns llama.cpp's own result."""
        return int(self.lib.llama_decode(self.context, self.batch.native))

    def wait(self) -> None:
        """Wait until what was decoded is there; a GPU goes on by itself."""
        self.lib.llama_synchronize(self.context)

    def encode_image(self, picture: Picture, position: int, sequence: int) -> int:
        """Put an image into a sequence; returns as `decode` does."""
        assert self.images is not None
        return self.images.read(
            picture,
            self.context,
            position=position,
            sequence=sequence,
            batch_size=self.batch_size,
        )

    def logits(self, row: int) -> np.ndarray[Any, Any]:
        """The scores of every token at a place of the last batch; valid until the next one."""
        pointer = self.lib.llama_get_logits_ith(self.context, row)
        return np.ctypeslib.as_array(pointer, (self.vocabulary.size,))

    def check_scores(self, row: int) -> None:
        """Raises `ModelFileError` if a token's score at a place of the last batch is NaN."""
        if np.isnan(self.logits(row).max()):
            raise self._no_scores()

    def check_score(self, row: int, token: int) -> None:
        """The same of one token; costs next to nothing."""
        score = self.lib.llama_get_logits_ith(self.context, row)[token]
        if score != score:
            raise self._no_scores()

    def _no_scores(self) -> ModelFileError:
        return refused(
            self.header.path,
            "gives scores that are not numbers (NaN): it is damaged or badly converted, or load "
            "options (rope_freq_base, lora_path, ...) do not fit it",
        )

    def forget(self, sequence: int) -> None:
        """Drop everything kept of a sequence."""
        self.lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Give `target` what `source` has from one position to before another, uncomputed.

        Recurrent layers always give all they have.
        """
        if start < end:
            self.lib.llama_memory_seq_cp(self._memory, source, target, start, end)

    def cut(self, sequence: int, length: int) -> None:
        """Drop all of a sequence except its first `length` tokens, with `can_cut`."""
        self.lib.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def renew_window(self, sequence: int) -> bool:
        """Give a sequence cells of its own for its window, in layers that have one, and take what
        lies before it away; whether that went well. If not, the sequence has lost its window."""
        lib, partial = self.lib, self.lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
        size = lib.llama_state_seq_get_size_ext(self.context, sequence, partial)
        state = np.empty(size, np.uint8)
        pointer = state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        given = lib.llama_state_seq_get_data_ext(self.context, pointer, size, sequence, partial)
        return bool(
            given == size
            and lib.llama_state_seq_set_data_ext(self.context, pointer, size, sequence, partial)
        )

    def first_cached(self, sequence: int) -> int:
        """The first position a sequence still has in every layer."""
        return int(self.lib.llama_memory_seq_pos_min(self._memory, sequence))

    def drop_beginning(self, sequence: int, length: int) -> None:
        """Drop the first `length` tokens of what is kept of a sequence; `share` puts them back."""
        if length:
            self.lib.llama_memory_seq_rm(self._memory, sequence, 0, length)

    def state(self, sequence: int) -> bytearray:
        """What the cache holds of a sequence, for `restore`."""
        size = self.lib.llama_state_seq_get_size(self.context, sequence)
        state = bytearray(size)
        copied = self.lib.llama_state_seq_get_data(self.context, _bytes(state), size, sequence)
        if not size or copied != size:
            raise InternalServerError("llama.cpp cannot save what its cache holds.")
        return state

    def restore(self, sequence: int, state: bytearray) -> None:
        """Fill a sequence with what `state` returned once, for this model loaded like this.

        Raises `InternalServerError` if llama.cpp does not take it; the sequence is empty then.
        """
        size = len(state)
        with native.logged_errors() as errors:
            read = self.lib.llama_state_seq_set_data(self.context, _bytes(state), size, sequence)
        if read != size:
            self.forget(sequence)  # some layers may have it
            reasons = f": {' / '.join(errors)}" if errors else ""
            raise InternalServerError(f"llama.cpp does not take what was saved{reasons}.")

    def vector(self, sequence: int) -> np.ndarray[Any, Any]:
        """The vector (or the ranks) of a sequence of the last batch; valid until the next one."""
        ranks = self.lib.llama_pooling_type(self.context) == RANK
        size = (self.lib.llama_model_n_cls_out if ranks else self.lib.llama_model_n_embd_out)(
            self._model
        )
        pointer = self.lib.llama_get_embeddings_seq(self.context, sequence)
        return np.ctypeslib.as_array(pointer, (size,))

    def forget_all(self) -> None:
        """Drop everything kept of every sequence."""
        self.lib.llama_memory_clear(self._memory, False)

    def free(self) -> None:
        """Give all memory back. Nothing may be called afterwards."""
        self.grammars.free()
        if self.images is not None:
            self.images.free()
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self._model)
        self.context = self._model = None
        native.return_freed_memory()


def load(
    header: GGUFHeader,
    options: LoadOptions,
    n_ctx: int,
    abort: native.Flag,
    go_on: Callable[[float], bool],
) -> Model:
    """Load a model. `go_on` is told meanwhile how much of it is loaded, from 0 to 1; when it says
    no, loading fails.

    Raises `ModelFileError` with llama.cpp's own words.
    """
    lib, path = native.library(), header.path
    warn_about_gpu(lib, options)
    if options.numa is not None:
        native.use_numa(options.numa)
    if options.lora_path is not None:
        check_adapter(Path(options.lora_path), header, all_tensors(header))
    if options.mmproj is not None:
        try_encoder(path, Path(options.mmproj), go_on)
    with native.logged_errors() as errors:
        model = _load_weights(lib, path, options, go_on)
        if not model:
            raise _failed(path, "llama.cpp cannot load it", errors)
        context = lib.llama_init_from_model(
            model, context_params(lib, model, header, options, n_ctx, abort)
        )
        if not context:
            lib.llama_model_free(model)
            raise _failed(path, f"llama.cpp cannot make a context of {n_ctx} tokens", errors)
    loaded = Model(lib, model, context, header, options, n_ctx)
    problem = _not_for(options, lib, model, context, loaded.vocabulary)
    if problem:
        loaded.free()
        raise _failed(path, problem, [])
    try:
        _add(loaded, model, options)
    except BaseException:  # whatever it is, the weights must not stay behind
        loaded.free()
        raise
    return loaded


def _add(loaded: Model, model: Any, options: LoadOptions) -> None:
    """What goes beside a model in files of its own."""
    if options.lora_path is not None:
        path = Path(options.lora_path)
        put_on(loaded.lib, model, loaded.context, path, options.lora_scale)
    if options.mmproj is not None:
        loaded.images = ImageReader(model, options.mmproj, options)


def _bytes(data: bytearray) -> Any:
    return (ctypes.c_uint8 * len(data)).from_buffer(data)


def _failed(path: Path, problem: str, errors: list[str]) -> ModelFileError:
    words = native.last_words(errors)
    return ModelFileError(f"{path}: {problem}{words}.", provider="llamacpp", url=str(path))


def _load_weights(
    lib: Any, path: Path, options: LoadOptions, go_on: Callable[[float], bool]
) -> Any:
    params = weights_params(lib, options)
    # Held by this frame until loading is over.
    progress = lib.llama_progress_callback(lambda progress, _data: go_on(progress))
    params.progress_callback = progress
    return lib.llama_model_load_from_file(bytes(path), params)


def _not_for(
    options: LoadOptions, lib: Any, model: Any, context: Any, vocabulary: Vocabulary
) -> str | None:
    """Why a model that loads cannot do here what it is for; `None` if it can."""
    if not vocabulary.usable:
        return "has no tokenizer"
    if options.embeddings:
        has_encoder = lib.llama_model_has_encoder(model)
        return "has a separate encoder, which this engine does not run" if has_encoder else None
    if lib.llama_model_has_encoder(model) or not lib.llama_model_has_decoder(model):
        return "is a model with an encoder, which this engine does not run"
    if not lib.llama_get_memory(context) or lib.llama_model_is_diffusion(model):
        return "does not write text from left to right, so this engine does not run it"
    return None
