"""What a caller asks for: one frozen value per operation, and the parameters by name."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

JSON: TypeAlias = Any
"""Data that JSON can carry; checked where it is encoded."""

Unsupported: TypeAlias = Literal["raise", "drop", "pass"]
"""What to do with a parameter the provider does not take: raise `UnsupportedParamsError`, leave it
out with a warning and a record in `call_info.dropped_params`, or send it all the same."""

_STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")


@with_config(_STRICT)
class ChatParams(TypedDict, total=False):
    """OpenAI's parameters of a chat call, and the samplers most local servers take as well."""

    audio: Mapping[str, JSON] | None
    frequency_penalty: float | None
    function_call: str | Mapping[str, JSON] | None
    functions: Sequence[Mapping[str, JSON]] | None
    logit_bias: Mapping[str | int, float] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    metadata: Mapping[str, str] | None
    modalities: Sequence[str] | None
    moderation: Mapping[str, JSON] | None
    n: int | None
    parallel_tool_calls: bool | None
    prediction: Mapping[str, JSON] | None
    presence_penalty: float | None
    prompt_cache_key: str | None
    prompt_cache_options: Mapping[str, JSON] | None
    prompt_cache_retention: str | None
    reasoning_effort: str | None
    response_format: Mapping[str, JSON] | type | None
    safety_identifier: str | None
    seed: int | None
    service_tier: str | None
    stop: str | Sequence[str] | None
    store: bool | None
    stream_options: Mapping[str, JSON] | None
    temperature: float | None
    tool_choice: str | Mapping[str, JSON] | None
    tools: Sequence[Mapping[str, JSON]] | None
    top_logprobs: int | None
    top_p: float | None
    user: str | None
    verbosity: str | None
    web_search_options: Mapping[str, JSON] | None
    # Not OpenAI's; the names that llama.cpp, vLLM and most gateways share.
    chat_template: str | None
    chat_template_kwargs: Mapping[str, JSON] | None
    grammar: str | None
    ignore_eos: bool | None
    min_p: float | None
    mirostat: int | None
    mirostat_eta: float | None
    mirostat_tau: float | None
    repeat_penalty: float | None
    repetition_penalty: float | None
    top_k: int | None
    typical_p: float | None


@with_config(_STRICT)
class TextParams(TypedDict, total=False):
    """OpenAI's parameters of a text completion, and the samplers local servers share."""

    best_of: int | None
    echo: bool | None
    frequency_penalty: float | None
    logit_bias: Mapping[str | int, float] | None
    logprobs: int | None
    max_tokens: int | None
    n: int | None
    presence_penalty: float | None
    seed: int | None
    stop: str | Sequence[str] | None
    stream_options: Mapping[str, JSON] | None
    suffix: str | None
    temperature: float | None
    top_p: float | None
    user: str | None
    grammar: str | None
    ignore_eos: bool | None
    min_p: float | None
    mirostat: int | None
    mirostat_eta: float | None
    mirostat_tau: float | None
    repeat_penalty: float | None
    repetition_penalty: float | None
    top_k: int | None
    typical_p: float | None


@with_config(_STRICT)
class EmbeddingParams(TypedDict, total=False):
    """OpenAI's parameters of an embedding call."""

    dimensions: int | None
    encoding_format: Literal["float", "base64"] | None
    user: str | None


@with_config(_STRICT)
class RerankParams(TypedDict, total=False):
    """The parameters of a call that ranks documents."""

    top_n: int | None
    """How many of the best to give back; `None` gives all."""
    return_documents: bool | None
    """Whether to give back their texts too."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a call may take, in seconds; `None` means no limit.

    The defaults wait ten minutes for a server that says nothing, as OpenAI's SDK does, and set no
    limit to a long answer that keeps coming.
    """

    total: float | None = None
    """The whole call: all attempts, the waits between them, and the whole stream."""
    connect: float | None = 10.0
    """Opening one connection."""
    first_token: float | None = 600.0
    """From sending a request to the first piece of its answer that says something: the first chunk
    with text, reasoning or a call of a stream, the first byte of a whole answer. Comments, pings
    and empty chunks do not count."""
    idle: float | None = 600.0
    """Between two such pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every operation shares. `params` hold only what the caller set (no `None`)."""

    operation: ClassVar[str]
    """`"chat"`, `"text"`, `"embedding"` or `"rerank"`."""

    model: str
    """The model string as the caller wrote it, prefix included."""
    params: Mapping[str, JSON] = field(default_factory=dict)
    stream: bool = False
    extra_body: Mapping[str, JSON] = field(default_factory=dict)
    """Merged into the body last; its keys win. Not checked."""
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with the provider's own; may hold a key, so they are never shown."""
    unsupported: Unsupported = "raise"
    call_id: str = field(default_factory=lambda: os.urandom(12).hex())
    """Stands in for an id where the provider gives none, so that providers stay pure."""
    created: int = field(default_factory=lambda: int(time.time()))
    """Unix time in seconds; stands in where the provider gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(Request):
    """A conversation to be answered."""

    operation: ClassVar[str] = "chat"

    messages: Sequence[Mapping[str, JSON]]
    """OpenAI's message objects as plain dicts; never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRequest(Request):
    """A text to be continued."""

    operation: ClassVar[str] = "text"

    prompt: str | Sequence[str] | Sequence[int]
    """A text, several texts, or token ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest(Request):
    """Texts to be turned into vectors."""

    operation: ClassVar[str] = "embedding"

    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankRequest(Request):
    """Documents to be ranked by what they are worth for a query."""

    operation: ClassVar[str] = "rerank"

    query: str
    documents: Sequence[str]
    """Never empty."""
