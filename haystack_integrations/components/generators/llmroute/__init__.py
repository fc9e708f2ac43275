"""llmroute's components for Haystack, also importable from `llmroute.integrations.haystack`."""

from .chat import LLMRouteChatGenerator
from .llama_cpp import LlamaCppGenerator
from .llama_cpp_chat import LlamaCppChatGenerator
from .meta_llama import MetaLlamaChatGenerator

__all__ = [
    "LLMRouteChatGenerator",
    "LlamaCppChatGenerator",
    "LlamaCppGenerator",
    "MetaLlamaChatGenerator",
]
