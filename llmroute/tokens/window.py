"""Finding out before sending that a prompt can't fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ContextWindowExceededError
from ..model_info import ModelInfo
from ..registry import get_model_info
from ..types.chat_request import ChatRequest
from . import vocabulary
from .counter import image_url, parts, template_known, token_counter
from .images import MOST_IMAGE_TOKENS

# More than any known chat format adds to a message beside its role and content.
_MOST_MESSAGE_TOKENS = 16


def check_context_window(request: ChatRequest, info: ModelInfo | None = None) -> None:
    """Raise `ContextWindowExceededError` for a prompt that is sure not to fit its model.

    Only an exact count refuses; where the count would be an estimate the provider decides. A
    prompt with fewer bytes than the window has tokens fits in any vocabulary, so most calls load
    none. `info` is what is known about the model, looked up if not given.
    """
    if "tools" in request.params or not template_known(request.model):
        return
    info = info or get_model_info(request.model)
    window = info.max_input_tokens
    if window is None or sum(map(_most_tokens, request.messages)) <= window:
        return
    if info.tokenizer is None or vocabulary.find(info.tokenizer) is None:
        return
    count = token_counter(request.model, messages=request.messages)
    if count.exact and count.tokens > window:
        raise ContextWindowExceededError(
            f"The prompt is {count.tokens} tokens; {info.name} takes {window}. Shorten it, for"
            " example with trim_messages(), or use a model with a larger context window.",
            provider=info.provider,
            model=request.model,
            param="messages",
        )


def _most_tokens(message: Mapping[str, Any]) -> int:
    """A bound for the tokens of a message: every token of a text is at least one byte."""
    content = sum(_most_part_tokens(part) for part in parts(message))
    return _MOST_MESSAGE_TOKENS + len(str(message.get("role", ""))) + content


def _most_part_tokens(part: Mapping[str, Any]) -> int:
    if image_url(part):
        return MOST_IMAGE_TOKENS
    text = str(part.get("text") or "")
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
