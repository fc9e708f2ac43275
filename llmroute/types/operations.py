"""Every operation there is. To add one: a module of this folder with its row, and a line here."""

from __future__ import annotations

from typing import Any

from .chat_request import CHAT
from .embedding import EMBEDDING
from .messages import MESSAGES
from .operation import Operation
from .rerank import RERANK
from .responses_request import RESPONSES
from .text import TEXT

OPERATIONS: dict[str, Operation[Any, Any]] = {
    row.name: row for row in (CHAT, TEXT, EMBEDDING, RERANK, RESPONSES, MESSAGES)
}
"""The rows by name."""
