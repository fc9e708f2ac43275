"""From what the caller wrote to the tokens the model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import (
    BadRequestError,
    ContextWindowExceededError,
    UnsupportedOperationError,
)
from ...providers.base import LocalCall
from ..gguf.header import GGUFHeader
from ..vision.encoder import ImageReader, Picture
from ..vision.images import Place
from ..vocabulary.vocabulary import Vocabulary
from .infill import infill_tokens, suffix_of
from .prompt import Prompt
from .rendered import RenderedChat, rendered_chat
from .rerank import rank_prompts


def prompts_of(
    call: LocalCall,
    vocabulary: Vocabulary,
    header: GGUFHeader,
    reader: ImageReader | None = None,
    *,
    rendered: RenderedChat | None = None,
    window: int | None = None,
    suffix_first: bool | None = None,
) -> list[Prompt]:
    """The prompts of a call: one for a chat or a text, several for a list of texts.

    A chat is rendered here unless it was before (`rendered`). `suffix_first` is about texts with a
    `suffix`; see `infill`. Raises `BadRequestError` for one that is empty or no prompt at all, and
    `ContextWindowExceededError` for a text that cannot fit into `window` tokens, before it is
    tokenized.
    """
    if call.operation == "chat":
        chat = rendered or rendered_chat(call, header, vocabulary.control)
        return [_chat_prompt(chat, vocabulary, reader, window)]
    if call.operation == "rerank":
        return rank_prompts(call, vocabulary, header)
    items = _items(call.prompt)
    for item in items:
        if isinstance(item, str):
            _check_text_fits(item, vocabulary, window)
    if suffix := suffix_of(call.params):
        return [_infill_prompt(item, suffix, vocabulary, suffix_first) for item in items]
    # In a text to be continued the caller may write control tokens, as nothing else can.
    special = call.operation == "text"
    return [_text_prompt(item, vocabulary, special=special) for item in items]


def check_fits(prompt: Prompt, window: int) -> None:
    """Raises `ContextWindowExceededError` for a prompt that leaves no room for an answer."""
    if prompt.size >= window:
        raise _too_long(f"{prompt.size:,}", window)


def _check_text_fits(text: str, vocabulary: Vocabulary, window: int | None) -> None:
    """Refuse a text that even the longest tokens would not fit into the window.

    Tokenizing takes time and many times the memory of the text.
    """
    if window is None or len(text) <= window:
        return
    longest = vocabulary.longest
    if longest is not None and len(text) > window * longest:
        raise _too_long(f"more than {window:,}", window)


def _too_long(tokens: str, window: int) -> ContextWindowExceededError:
    return ContextWindowExceededError(
        f"The prompt has {tokens} tokens and the context window {window:,}, which must hold the "
        "answer too. Shorten the prompt or set a larger n_ctx in model_kwargs.",
        code="context_length_exceeded",
    )


def _chat_prompt(
    chat: RenderedChat, vocabulary: Vocabulary, reader: ImageReader | None, window: int | None
) -> Prompt:
    prompt = Prompt([], chat.text)
    _check_text_fits(chat.text, vocabulary, window)
    add_special = chat.add_special
    for piece in chat.pieces:
        if isinstance(piece, Place):
            _add_image(prompt, chat.images[piece.number], reader)
            continue
        prompt.tokens += vocabulary.tokenize(
            piece.text, add_special=add_special, parse_special=piece.parse_special
        )
        add_special = False
    return _checked(prompt)


def _add_image(prompt: Prompt, data: bytes, reader: ImageReader | None) -> None:
    if reader is None:
        raise UnsupportedOperationError(
            "Images need the model's image encoder: load it with "
            'model_kwargs={"mmproj": "<path of its mmproj file>"}.',
            param="mmproj",
        )
    for piece in reader.pieces(data):
        if isinstance(piece, Picture):
            prompt.pictures[len(prompt.tokens)] = piece
            prompt.tokens += [piece.token] * piece.positions
        else:
            prompt.tokens += piece


def _items(prompt: Any) -> Sequence[Any]:
    """A text, texts, token ids or lists of them, as a list of prompts."""
    if isinstance(prompt, str) or (prompt and _is_tokens(prompt)):
        return [prompt]
    if not isinstance(prompt, Sequence) or not prompt:
        raise _no_prompt(prompt)
    return prompt


def _is_tokens(item: Any) -> bool:
    return isinstance(item, Sequence) and all(type(token) is int for token in item)


def _infill_prompt(
    item: Any, suffix: str, vocabulary: Vocabulary, suffix_first: bool | None
) -> Prompt:
    if isinstance(item, str):
        tokens = vocabulary.tokenize(item, add_special=False, parse_special=False)
        prompt = Prompt(tokens, item)
    else:
        prompt = _token_prompt(item, vocabulary)
    prompt.tokens = infill_tokens(vocabulary, prompt.tokens, suffix, suffix_first=suffix_first)
    return prompt


def _text_prompt(item: Any, vocabulary: Vocabulary, *, special: bool) -> Prompt:
    if isinstance(item, str):
        tokens = vocabulary.tokenize(item, add_special=True, parse_special=special)
        return _checked(Prompt(tokens, item))
    return _checked(_token_prompt(item, vocabulary))


def _token_prompt(item: Any, vocabulary: Vocabulary) -> Prompt:
    if not _is_tokens(item):
        raise _no_prompt(item)
    if not all(0 <= token < vocabulary.size for token in item):
        raise BadRequestError(
            f"A token of the prompt is not in the vocabulary of {vocabulary.size:,} tokens.",
            param="prompt",
        )
    raw = b"".join(map(vocabulary.bytes_of, item))
    return Prompt(list(item), raw.decode("utf-8", "replace"))


def _checked(prompt: Prompt) -> Prompt:
    if not prompt.tokens:
        raise BadRequestError(
            "The prompt is empty, and this model has no token to begin a text with.",
            param="prompt",
        )
    return prompt


def _no_prompt(value: Any) -> BadRequestError:
    return BadRequestError(
        f"The prompt must be a text, a list of texts or token ids, not {value!r:.200}.",
        param="prompt",
    )
