"""The components for Haystack: `pip install 'llmroute[haystack]'`.

They live in `haystack_integrations`, because Haystack loads a pipeline's YAML only from modules it
trusts, and that is where it looks for integrations.
"""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import MissingExtraError

if find_spec("haystack") is None:
    raise MissingExtraError("haystack", "llmroute.integrations.haystack")

from haystack_integrations.components.generators.llmroute import (
    LlamaCppChatGenerator,
    LlamaCppGenerator,
    LLMRouteChatGenerator,
    MetaLlamaChatGenerator,
)

__all__ = [
    "LLMRouteChatGenerator",
    "LlamaCppChatGenerator",
    "LlamaCppGenerator",
    "MetaLlamaChatGenerator",
]
