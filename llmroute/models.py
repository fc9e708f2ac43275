"""What is known about a model in this process: its limits, and the tokens of a prompt.

The registry and the token counter lie below the engine and know nothing of it: for a model in this
process they import this module and ask `local_info` and `local_count`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .deployments import split_model
from .engine.gguf.check import read_header
from .engine.gguf.files import find_model
from .errors import MissingExtraError
from .local_models import context_window
from .model_info import ModelInfo
from .providers.base import LocalCall
from .registry import local_model_info
from .tokens import TokenCount


def local_info(model: str) -> ModelInfo:
    """What the file of a local model says. Raises `NotFoundError` or `ModelFileError`."""
    try:
        window = context_window(model)
    except MissingExtraError:  # what the file says can be read without llama.cpp
        window = read_header(find_model(split_model(model)[1])).context_length
    return local_model_info(model, context_window=window)


def local_count(
    model: str,
    messages: Any,
    text: str | None,
    tools: Sequence[Mapping[str, Any]] | None,
) -> TokenCount:
    """The tokens of `text` or `messages` as the model itself counts them, loaded for that."""
    from .transport.local import count_tokens  # the engine, only for a model in this process

    path = split_model(model)[1]
    if text is not None:
        call = LocalCall(path, "text", text, {})
    else:
        prompt = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        call = LocalCall(path, "chat", prompt, {"tools": tools} if tools else {})
    return TokenCount(count_tokens(call), method="gguf", exact=True)
