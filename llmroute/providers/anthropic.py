"""Anthropic's Messages API: Claude models.

Facts from https://platform.claude.com/docs/en/api/overview (2026-11-28).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from pydantic_core import from_json

from ..chunks import assembled
from ..deployments import Deployment
from ..errors import APIError, APIResponseValidationError, ServiceUnavailableError
from ..sse import Event, SSEDecoder, is_event_stream
from ..types.call_info import Answer
from ..types.chat_request import ChatRequest
from ..types.messages import MessagesRequest
from ..types.request import JSON, Request
from . import anthropic_answer, anthropic_request
from .anthropic_answer import AnthropicDecoder
from .anthropic_messages import EventDecoder, parse_response, passed_body
from .base import Decoder, HTTPCall, Provider
from .failures import decode, status_error, stream_error
from .openai_like import encode
from .params import select_params
from .text_bridge import chat_request, text_answer, text_decoder

VERSION = "2023-06-01"
"""The version of the API; the newest since 2023."""

PARAMS = frozenset(
    [
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "service_tier",
        "stop",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "user",
        "web_search_options",
    ]
)
"""OpenAI's parameters that the protocol has something for."""
EXTRA_PARAMS = frozenset(
    [
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
        "output_config",
        "speed",
        "thinking",
        "top_k",
    ]
)
"""Its own parameters."""

# What a beta feature needs in the header `anthropic-beta`, by the key or tool type that uses it
# (https://platform.claude.com/docs/en/api/beta-headers, 2026-11-28).
_BETAS = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
}
_TOOL_BETAS = {
    "code_execution_20250825": "code-execution-2025-08-25",
    "code_execution_20250522": "code-execution-2025-05-22",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
    "memory_20250818": "context-management-2025-06-27",
    "web_fetch_20250910": "web-fetch-2025-09-10",
}
_FILES_BETA = "files-api-2025-04-14"


class Anthropic(Provider):
    """Claude, at Anthropic's own API or at a host that speaks its protocol."""

    name = "anthropic"
    base_url = "https://api.anthropic.com"
    base_env = ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL")
    key_env = ("ANTHROPIC_API_KEY",)
    key_required = True
    operations = ("chat", "text", "messages")
    extra_params = EXTRA_PARAMS

    def build(self, request: Request, deployment: Deployment) -> HTTPCall:
        """The call to `/v1/messages`."""
        dropped: tuple[str, ...] = ()
        if isinstance(request, MessagesRequest):
            body = passed_body(request)
        else:
            request = chat_request(request)
            body, dropped = messages_body(request, deployment, self.name)
        body = {"model": deployment.model, **body}
        if request.stream:
            body["stream"] = True
        body.update(request.extra_body)
        return HTTPCall(
            "POST",
            _url(deployment.api_base or self.base_url),
            _headers(request, deployment, body),
            encode(body, request),
            dropped,
        )

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer in OpenAI's shape, or in Anthropic's own if it was asked for in that."""
        if isinstance(request, MessagesRequest):
            return parse_response(body, request)
        return text_answer(parse_message(body, request), request)

    def decoder(self, request: Request) -> Decoder[Event]:
        """A decoder for one stream."""
        if isinstance(request, MessagesRequest):
            return EventDecoder(request)
        return text_decoder(AnthropicDecoder(request), request)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> APIError:
        """The error an answer stands for; 529 says that the API is overloaded."""
        error = status_error(status, headers, body)
        if status == 529:
            return error.recast(ServiceUnavailableError, error.message)
        return error


def messages_body(
    request: Request, deployment: Deployment, provider: str
) -> tuple[dict[str, JSON], tuple[str, ...]]:
    """The body without `model` and `stream`, and the names of parameters that were left out."""
    assert isinstance(request, ChatRequest)  # `operations` has nothing else
    refused = anthropic_request.refused_values(request.params)
    params, dropped = select_params(request, PARAMS | EXTRA_PARAMS, provider, refused)
    params.pop("stream_options", None)  # the usage always comes
    return anthropic_request.body(request, deployment.model, params), dropped


def parse_message(body: bytes, request: Request) -> Answer:
    """The answer in `body`, also from a stream that nobody asked for.

    Raises `APIResponseValidationError`, or the error that it stands for.
    """
    if is_event_stream(body):
        events = SSEDecoder()
        pieces = chain(events.feed(body), events.flush())
        return assembled(AnthropicDecoder(request), pieces, chat_request(request))
    try:
        payload: Any = from_json(body)
    except ValueError:
        payload = None
    if error := stream_error(payload):
        raise error
    if not isinstance(payload, Mapping):
        raise APIResponseValidationError(
            "The answer of Anthropic is not a JSON object.", model=request.model, body=decode(body)
        )
    return anthropic_answer.completion(payload, request)


def betas(body: Mapping[str, JSON]) -> Iterator[str]:
    """The betas that the features used in `body` need."""
    yield from (beta for key, beta in _BETAS.items() if key in body)
    for tool in body.get("tools") or ():
        if isinstance(tool, Mapping) and tool.get("type") in _TOOL_BETAS:
            yield _TOOL_BETAS[tool["type"]]
    if any(_has_file(message) for message in body.get("messages") or ()):
        yield _FILES_BETA


def _has_file(message: Mapping[str, JSON]) -> bool:
    blocks = message.get("content")
    if not isinstance(blocks, list):
        return False
    sources = (block.get("source") for block in blocks if isinstance(block, Mapping))
    return any(isinstance(source, Mapping) and "file_id" in source for source in sources)


def _url(base: str) -> str:
    base, question, query = base.partition("?")
    base = base.rstrip("/").removesuffix("/messages").removesuffix("/v1")
    return f"{base}/v1/messages{question}{query}"


def _headers(request: Request, deployment: Deployment, body: Mapping[str, JSON]) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if request.stream else "application/json",
        "anthropic-version": VERSION,
    }
    key = deployment.api_key
    if key is not None and key.startswith("sk-ant-oat"):  # a token of a person's login
        headers["authorization"] = f"Bearer {key}"
    elif key is not None:
        headers["x-api-key"] = key
    headers.update((name.lower(), value) for name, value in request.extra_headers.items())
    return with_betas(headers, body)


def with_betas(headers: dict[str, str], body: Mapping[str, JSON]) -> dict[str, str]:
    """`headers`, with the betas that `body` needs beside those that they name."""
    wanted = [*filter(None, headers.get("anthropic-beta", "").split(",")), *betas(body)]
    if wanted:
        headers["anthropic-beta"] = ",".join(dict.fromkeys(beta.strip() for beta in wanted))
    return headers


provider = Anthropic()
