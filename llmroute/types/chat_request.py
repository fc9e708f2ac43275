"""What a caller asks for with `completion()`: the parameters, the request, the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import with_config

from .chat import ChatCompletion
from .chat_chunk import ChatCompletionChunk
from .operation import Operation
from .request import JSON, STRICT, Request
from .samplers import SamplerParams


@with_config(STRICT)
class ChatParams(SamplerParams, total=False):
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
    tools: Sequence[Mapping[str, JSON] | type | Callable[..., Any]] | None
    top_logprobs: int | None
    top_p: float | None
    user: str | None
    verbosity: str | None
    web_search_options: Mapping[str, JSON] | None
    # Not OpenAI's, as those of `SamplerParams`.
    chat_template: str | None
    chat_template_kwargs: Mapping[str, JSON] | None


CHAT = Operation(
    name="chat",
    params=ChatParams,
    content=("messages",),
    path="/chat/completions",
    answer=ChatCompletion,
    chunk=ChatCompletionChunk,
    id_prefix="chatcmpl-",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(Request):
    """A conversation to be answered."""

    row: ClassVar[Operation[ChatCompletion, ChatCompletionChunk]] = CHAT

    messages: Sequence[Mapping[str, JSON]]
    """OpenAI's message objects as plain dicts; never empty."""
