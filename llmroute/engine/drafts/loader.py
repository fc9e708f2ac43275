"""Finds out who drafts for a model that was loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...errors import ModelFileError
from ..checks import bad
from ..gguf.check import read_header
from ..interrupt import Interrupt
from ..model import model
from ..model.model import Model
from ..native import Flag
from ..vocabulary.match import difference
from .drafts import Drafter, Drafts, PromptLookup
from .model import DraftModel


def load_drafts(
    target: Model, abort: Flag, interrupt: Interrupt, go_on: Callable[[float], bool]
) -> Drafts:
    """What drafts for `target`, a draft model loaded as `model.load` does.

    Raises `BadRequestError` for a target whose memory cannot be cut back to before a wrong draft,
    and `ModelFileError` for a draft model that does not fit it.
    """
    options = target.options
    if options.draft_model is not None and not target.can_cut:
        raise bad(
            "draft_model",
            "cannot be used with a recurrent or hybrid model, whose memory cannot be cut back to "
            "before a wrong draft. Leave it out",
        )
    return Drafts(
        _drafter(target, abort, interrupt, go_on), options.n_draft, target.vocabulary.is_end
    )


def _drafter(
    target: Model, abort: Flag, interrupt: Interrupt, go_on: Callable[[float], bool]
) -> Drafter | None:
    options = target.options
    if options.draft_model is None:
        return None
    draft_options = options.for_draft_model()
    if draft_options is None:
        return PromptLookup()
    header = read_header(options.draft_model)
    n_ctx = min(target.window, header.context_length or target.window)
    draft_options = replace(draft_options, n_parallel=target.sequences)
    # Both have the same flag: who waits for an answer, waits for its drafts.
    loaded = model.load(header, draft_options, n_ctx, abort, lambda _: go_on(1.0))
    problem = _problem(target, loaded)
    if problem:
        loaded.free()
        raise ModelFileError(
            f"{header.path} cannot draft for {target.header.path}: {problem}.",
            provider="llamacpp",
            url=str(header.path),
            param="draft_model",
        )
    return DraftModel(loaded, interrupt, vocabulary=target.vocabulary.size, most=options.n_draft)


def _problem(target: Model, draft: Model) -> str | None:
    """Why one model cannot draft for the other; `None` if it can."""
    if not draft.can_cut:
        return "the memory of a recurrent or hybrid model cannot be cut back"
    return difference(target.lib, target.vocabulary, draft.vocabulary)
