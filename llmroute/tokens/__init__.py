"""How many tokens a request is, and making a conversation fit."""

from .counter import TokenCount, register_counter, token_counter
from .trim import trim_messages
from .window import check_context_window

__all__ = [
    "TokenCount",
    "check_context_window",
    "register_counter",
    "token_counter",
    "trim_messages",
]
