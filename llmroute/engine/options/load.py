"""How to load a model: the options of `model_kwargs`, checked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ...errors import BadRequestError, UnsupportedParamsError
from ..checks import bad, positive
from ..gguf.overrides import Overrides
from .llama_cpp_python import INSTEAD, is_neutral
from .table import CHECKS, PROMPT_LOOKUP

IDLE_VARIABLE = "LLMROUTE_LLAMACPP_IDLE_UNLOAD"
"""The environment variable for `idle_unload`."""
_ALIASES = {
    "embedding": "embeddings",
    "clip_model_path": "mmproj",
    "max_parallel": "n_parallel",
    "pooling_type": "pooling",
}
_FOR_IMAGES = frozenset({"allow_image_urls", "allow_local_images", "chat_handler_name"})
"""Options of a call that loading has nothing to do with; see `image_sources` and `handlers`."""
_SHARED = (
    *("n_parallel", "n_batch", "n_ubatch", "n_threads", "n_threads_batch", "flash_attn"),
    *("n_gpu_layers", "main_gpu", "split_mode", "tensor_split", "offload_kqv", "op_offload"),
    *("use_mmap", "use_mlock", "check_tensors"),
)
"""Options that hold for a draft model too: those about the machine."""


_NOT_LEFT_OPEN = {
    *("lora_path", "pooling", "spm_infill", "rope_freq_base", "rope_freq_scale"),
    *("rope_scaling_type", "yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast"),
    *("yarn_beta_slow", "yarn_orig_ctx"),
}
"""Options whose `None` is a choice of its own: it changes what the model says."""
FEWEST_AT_ONCE = 4
"""Answers that are generated at once at least, unless the caller says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How one model is loaded. A call uses a model that is loaded already if their options agree;
    see `differences`."""

    n_ctx: int | None = None
    """The context window in tokens. `None` takes the one the model was trained with, or less where
    its cache would take more than a quarter of the free memory. Requests that run at once share
    it: each may use all of it when it is alone."""
    n_parallel: int | None = None
    """How many answers are generated at once; the others wait. `None` takes as many as the context
    window has room for and a small part of the free memory allows, from 4 to 16. `max_parallel` is
    accepted too."""
    max_queue: int = 512
    """How many answers may wait; one more is a `RateLimitError`."""
    n_batch: int = 512
    """Tokens computed in one step, over all requests."""
    n_ubatch: int | None = None
    """Tokens computed at once within a step; `None` means `n_batch`."""
    n_threads: int | None = None
    """Threads that generate; `None` means one per processor core this process may use."""
    n_threads_batch: int | None = None
    """Threads that read prompts; `None` means as `n_threads`."""
    n_gpu_layers: int | None = None
    """Layers put on the GPU, -1 for all; `None` leaves it to llama.cpp."""
    main_gpu: int | None = None
    """Which GPU, counted from 0; `None` leaves it to llama.cpp."""
    split_mode: str | None = None
    """How a model is spread over several GPUs: none (all on `main_gpu`), layer, row; llama.cpp's
    numbers for them are accepted too. `None` leaves it to llama.cpp."""
    tensor_split: tuple[float, ...] | None = None
    """How much of the model each GPU gets, as parts of their sum; `None` leaves it to llama.cpp."""
    offload_kqv: bool | None = None
    """Keep the cache, and compute attention, on the GPU; `None` leaves it to llama.cpp, which does
    so."""
    op_offload: bool | None = None
    """Let the GPU compute large batches also with weights that are not on it; `None` leaves it to
    llama.cpp."""
    numa: str | None = None
    """How threads are spread over the nodes of a machine with several memories: distribute,
    isolate, numactl; `True` means distribute. It holds for the whole process, which can set it
    once."""
    use_mmap: bool | None = None
    """Map the file instead of reading it; `None` leaves it to llama.cpp."""
    use_mlock: bool = False
    """Keep the model from being swapped out."""
    check_tensors: bool = False
    """Look through all weights for numbers that cannot be, while loading."""
    flash_attn: bool | None = None
    """Flash attention; `None` lets llama.cpp decide, but leaves it off for models with very short
    attention heads, where it is slower on the CPU."""
    prefix_cache: bool = True
    """Keep what was computed of ended calls as long as there is room, so that a prompt that begins
    alike is read from there on. A recurrent or hybrid model sets memory aside for it."""
    idle_unload: float | None = None
    """Seconds without a call after which the model is unloaded; the next call loads it again.
    `None` takes those of the environment variable `LLMROUTE_LLAMACPP_IDLE_UNLOAD`; without it, the
    model stays."""
    swa_full: bool = False
    """Keep the whole context in the cache also for layers that look at a sliding window."""
    rope_freq_base: float | None = None
    """RoPE's base frequency; `None` takes the model's."""
    rope_freq_scale: float | None = None
    """RoPE's frequency scale; `None` takes the model's."""
    rope_scaling_type: str | None = None
    """How RoPE reaches beyond the window that the model was trained with: none, linear, yarn,
    longrope; `None` takes the model's. How far is `rope_freq_scale`: 0.25 for four times as far."""
    yarn_ext_factor: float | None = None
    """How much YaRN extrapolates; `None`, or a number below 0, takes the model's."""
    yarn_attn_factor: float | None = None
    """By what YaRN multiplies attention, where `yarn_ext_factor` is 0; `None`, or a number below 0,
    takes the model's."""
    yarn_beta_fast: float | None = None
    """From how many rotations on YaRN leaves a dimension as it is; `None`, or a number below 0,
    takes the model's."""
    yarn_beta_slow: float | None = None
    """Up to how many rotations YaRN interpolates a dimension; `None`, or a number below 0, takes
    the model's."""
    yarn_orig_ctx: int | None = None
    """The window that the model was trained with, for YaRN; `None` or 0 takes the model's."""
    kv_overrides: Overrides = ()
    """Settings in place of those in the file, as a dict: `{"tokenizer.ggml.add_bos_token": False}`.
    What would be refused in a file is refused here; a setting that the model's kind does not have
    has no effect."""
    lora_path: str | None = None
    """A LoRA adapter for the model, a GGUF file of its own."""
    lora_scale: float = 1.0
    """By what the adapter is multiplied."""
    mmproj: str | None = None
    """The image encoder that goes with the model, a GGUF file of its own. `clip_model_path` is
    accepted too."""
    draft_model: str | None = None
    """What guesses how answers go on, so that a step can confirm several tokens: `"prompt_lookup"`
    (as they went on earlier in prompt and answer), or a smaller model with the same vocabulary, a
    GGUF file named as models are. Answers stay as they are. `None` guesses nothing."""
    n_draft: int = 16
    """The most tokens guessed for an answer in a step. It is as many as make answers fastest, and
    none where that would be slower."""
    embeddings: bool = False
    """Make vectors instead of text. `embedding()` and `rerank()` set it themselves; it is for
    `warm_up`. `n_parallel`, `n_batch` and `n_ubatch` then have no effect: a text is computed whole,
    with others if they fit into `n_ctx` together, which is at most 2,048 by default."""
    pooling: str | None = None
    """How the vectors of a text's tokens become one: mean, cls (the first), last. `None` takes what
    the file says, or mean. Only for `embedding()`."""
    spm_infill: bool | None = None
    """For `suffix`: give the model the suffix before the prefix. `None` does so where the model has
    no token for the middle, as Mistral's, and takes the common order elsewhere."""
    type_k: str = "f16"
    """Number type of the cache's keys: f32, f16, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl."""
    type_v: str = "f16"
    """Number type of the cache's values, as above; a quantised one needs flash attention."""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> LoadOptions:
        """Options from what a caller wrote; entries that are `None` keep the default.

        Raises `UnsupportedParamsError` for an unknown name, `BadRequestError` for a bad value, and
        `NotFoundError` for an unknown draft model.
        """
        options: dict[str, Any] = {}
        for written, value in _asked(given):
            name = _ALIASES.get(written, written)
            checked = CHECKS[name](written, value)
            if checked is not None:
                options[name] = checked
        result = cls(**options)
        if result.n_parallel and result.n_parallel > result.n_batch:
            raise bad("n_parallel", f"must not be more than n_batch ({result.n_batch})")
        if "lora_scale" in options and not result.lora_path:
            raise bad("lora_scale", "is for an adapter; name it in lora_path")
        if result.pooling and not result.embeddings:
            raise bad("pooling", "is for embedding(); leave it out of other calls")
        if result.draft_model and result.embeddings:
            raise bad("draft_model", "is for texts; leave it out of embedding() and rerank()")
        if "n_draft" in options and not result.draft_model:
            raise bad("n_draft", f"is for draft_model; set that to {PROMPT_LOOKUP!r} or a file")
        return result

    @property
    def at_once(self) -> int:
        """How many answers are generated at once; the least number until one is chosen."""
        return self.n_parallel or min(FEWEST_AT_ONCE, self.n_batch)

    def differences(self, loaded: LoadOptions) -> list[str]:
        """The options that keep a call with these from using a model that is `loaded` with others.

        One that is `None` leaves it open, unless that changes what is answered.
        """
        return [
            field.name
            for field in fields(self)
            if (wanted := getattr(self, field.name)) != getattr(loaded, field.name)
            and (wanted is not None or field.name in _NOT_LEFT_OPEN)
        ]

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are loaded beside the model's own."""
        draft = None if self.draft_model == PROMPT_LOOKUP else self.draft_model
        return tuple(file for file in (self.mmproj, self.lora_path, draft) if file)

    def for_draft_model(self) -> LoadOptions | None:
        """How the draft model is loaded that goes beside this one; `None` without one. What is said
        of the other one's file and cache does not hold for it."""
        if self.draft_model in (None, PROMPT_LOOKUP):
            return None
        return LoadOptions(prefix_cache=False, **{name: getattr(self, name) for name in _SHARED})


def check_names(given: Mapping[str, Any]) -> None:
    """Raises `UnsupportedParamsError` for a name that is no load option; looks at no value."""
    for _ in _asked(given):
        pass


def _asked(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a caller asks for, by the name as it was written."""
    for written, value in given.items():
        if written in _FOR_IMAGES or value is None or is_neutral(written, value):
            continue
        if _ALIASES.get(written, written) not in CHECKS:
            raise _unknown(written)
        yield written, value


def idle_seconds(options: LoadOptions) -> float | None:
    """After how many seconds without a call a model is unloaded; `None` for never.

    Raises `BadRequestError` if the environment says something that is no number above 0.
    """
    text = os.environ.get(IDLE_VARIABLE, "").strip()
    if options.idle_unload is not None or not text:
        return options.idle_unload
    try:
        return positive(IDLE_VARIABLE, float(text))
    except ValueError:
        raise bad(IDLE_VARIABLE, f"must be a number of seconds, not {text!r}") from None


def _unknown(name: str) -> BadRequestError:
    return UnsupportedParamsError(
        f"llamacpp has no load option {name!r} (in model_kwargs). {_advice(name)}", param=name
    )


def _advice(name: str) -> str:
    if name in INSTEAD:
        return INSTEAD[name]
    near = difflib.get_close_matches(name, CHECKS, 1)
    return f"Did you mean {near[0]!r}?" if near else f"It takes: {', '.join(sorted(CHECKS))}."


assert set(CHECKS) == {field.name for field in fields(LoadOptions)}
