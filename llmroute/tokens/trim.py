"""Dropping the oldest messages of a conversation until it fits."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import BadRequestError, ContextWindowExceededError
from ..registry import get_model_info
from .counter import Messages, Tools, plain, token_counter

_ALWAYS_KEPT = ("system", "developer")


def trim_messages(
    messages: Messages,
    model: str,
    *,
    max_tokens: int | None = None,
    trim_ratio: float = 0.75,
    tools: Tools | None = None,
) -> list[Mapping[str, Any]]:
    """The conversation with its oldest messages dropped until it fits `max_tokens`.

    System messages, the newest user message and the newest message stay; a tool call and its
    results stay or go together. Messages are never cut in the middle, and a conversation that fits
    comes back whole.

    `max_tokens` is for the prompt as `token_counter` counts it, `tools` included; by default it is
    `trim_ratio` of the model's longest prompt, which leaves room for the answer and for counts
    that are estimates. Raises `ContextWindowExceededError` when even what must stay is too long,
    and `BadRequestError` when `max_tokens` isn't given and the model's limit isn't known.
    """
    limit = max_tokens if max_tokens is not None else _default_limit(model, trim_ratio)
    blocks = _blocks(plain(messages))
    droppable = _droppable(blocks)

    def kept(dropped: int) -> list[Mapping[str, Any]]:
        gone = set(droppable[:dropped])
        return [m for i, block in enumerate(blocks) if i not in gone for m in block]

    def fits(dropped: int) -> bool:
        return token_counter(model, messages=kept(dropped), tools=tools).tokens <= limit

    # A halving search: a long conversation is counted a few times, not once per message.
    dropped = bisect.bisect_left(range(len(droppable) + 1), True, key=fits)
    if dropped <= len(droppable):
        return kept(dropped)
    least = token_counter(model, messages=kept(len(droppable)), tools=tools)
    raise ContextWindowExceededError(
        f"The system messages and the newest turn alone are {least.tokens} tokens; the limit is"
        f" {limit}. Shorten them, or allow more with max_tokens=.",
        model=model,
    )


def _default_limit(model: str, ratio: float) -> int:
    limit = get_model_info(model).max_input_tokens
    if limit is None:
        raise BadRequestError(
            f"The context window of {model!r} isn't known; pass max_tokens=.", model=model
        )
    return int(limit * ratio)


def _blocks(messages: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Messages that stay or go together: tool results belong to the message that called."""
    blocks: list[list[Mapping[str, Any]]] = []
    for message in messages:
        if message.get("role") in ("tool", "function") and blocks:
            blocks[-1].append(message)
        else:
            blocks.append([message])
    return blocks


def _droppable(blocks: Sequence[Sequence[Mapping[str, Any]]]) -> list[int]:
    """The positions of the blocks that may go, oldest first."""
    roles = [block[0].get("role") for block in blocks]
    question = max((i for i, role in enumerate(roles) if role == "user"), default=-1)
    newest = {question, len(blocks) - 1}
    return [i for i, role in enumerate(roles) if role not in _ALWAYS_KEPT and i not in newest]
