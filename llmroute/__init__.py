"""llmroute: one call for every language model, hosted, self-hosted, or in this process.

    from llmroute import completion

    print(completion("llamacpp//models/llama.gguf", "Hello").text)

Importing this package loads nothing; each name is loaded when it is first used.
"""

from __future__ import annotations

import os
from _thread import RLock  # threading's, without loading threading

from .version import __version__ as __version__

# Where each public name lives; `__init__.pyi` tells type checkers the same.
_HOMES = {
    "calls.chat": ("acompletion", "completion"),
    "calls.embedding": ("aembedding", "embedding"),
    "calls.message_streams": ("AsyncMessageStream", "MessageStream"),
    "calls.messages": ("amessages", "count_message_tokens", "messages"),
    "calls.rerank": ("arerank", "rerank"),
    "calls.response_store": ("MemoryResponseStore", "ResponseStore"),
    "calls.response_streams": ("AsyncResponseStream", "ResponseStream"),
    "calls.responses": ("aresponses", "responses"),
    "calls.text": ("atext_completion", "text_completion"),
    "costs": ("Cost", "completion_cost", "cost_per_token"),
    "engine.gguf.files": ("register_local_model",),
    "engine.loaded_model": ("LoadedModel",),
    "errors": (
        "APIConnectionError",
        "APIError",
        "APIResponseValidationError",
        "APIStatusError",
        "APITimeoutError",
        "AuthenticationError",
        "BadGatewayError",
        "BadRequestError",
        "BudgetExceededError",
        "ConflictError",
        "ContentPolicyViolationError",
        "ContextWindowExceededError",
        "GatewayTimeoutError",
        "InternalServerError",
        "LLMRouteError",
        "MissingExtraError",
        "ModelFileError",
        "ModelUnloadedError",
        "NotFoundError",
        "OpenAIError",
        "PermissionDeniedError",
        "ProviderRetiredError",
        "RateLimitError",
        "RequestTooLargeError",
        "ServiceUnavailableError",
        "SessionFileError",
        "StreamInterruptedError",
        "Timeout",
        "UnprocessableEntityError",
        "UnsupportedOperationError",
        "UnsupportedParamsError",
    ),
    "local_models": ("load_session", "loaded_models", "save_session", "unload", "warm_up"),
    "model_info": ("ModelInfo",),
    "providers": ("register_provider",),
    "providers.params": ("DroppedParamsWarning",),
    "chunks.wholeness": ("MissingChoicesWarning",),
    "registry": ("get_model_info", "known_models", "register_model"),
    "tokens": ("TokenCount", "token_counter", "trim_messages"),
    "transport.streams": ("AsyncStream", "Stream"),
    "types.call_info": ("AttemptRecord", "CallInfo"),
    "types.chat": ("ChatCompletion", "Message"),
    "types.chat_chunk": ("ChatCompletionChunk",),
    "types.embedding": ("EmbeddingResponse",),
    "types.chat_request": ("ChatParams",),
    "types.messages": ("MessageEvent", "MessagesResponse"),
    "types.request": ("TimeLimits",),
    "types.rerank": ("RerankResponse",),
    "types.responses": ("Response", "ResponseEvent"),
    "types.text": ("TextCompletion",),
    "types.usage": ("Usage",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "__version__"])


# A child forked while another thread loads a name would wait forever for that thread to finish:
# so a fork waits instead.
_loading = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_loading.acquire,
        after_in_parent=_loading.release,
        after_in_child=_loading.release,
    )


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    with _loading:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
