"""What Anthropic's Messages API refuses in requests, as far as its documentation says it.

(https://platform.claude.com/docs/en/api/errors and /api/messages, 2026-11-28.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .loopback import RecordedRequest

_KEYS = frozenset(
    [
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "max_tokens",
        "mcp_servers",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    ]
)
_REQUIRED = ("model", "max_tokens", "messages")


class RefusedError(Exception):
    """A request that the service refuses."""

    def __init__(self, message: str, status: int = 400, type: str = "invalid_request_error"):
        super().__init__(message)
        self.status = status
        self.type = type


def check_headers(request: RecordedRequest, api_key: str) -> None:
    """Raises `RefusedError` for another path, a wrong key or a missing version."""
    if (request.method, request.path.partition("?")[0]) != ("POST", "/v1/messages"):
        raise RefusedError("Not found", 404, "not_found_error")
    key = request.headers.get("x-api-key")
    # The official client sends it as a bearer token since its version 2.
    bearer = request.headers.get("authorization")
    if key != api_key and bearer != f"Bearer {api_key}":
        raise RefusedError("invalid x-api-key", 401, "authentication_error")
    if "anthropic-version" not in request.headers:
        raise RefusedError("anthropic-version: header is required")


def check_request(body: Any) -> None:
    """Raises `RefusedError` for a body that breaks a rule of the API."""
    _need(isinstance(body, Mapping), "the body is no object")
    for key in _REQUIRED:
        _need(key in body, f"{key}: Field required")
    unknown = sorted(body.keys() - _KEYS)
    _need(not unknown, f"{', '.join(unknown)}: Extra inputs are not permitted")
    _need(body["messages"], "messages: at least one message is required")
    thinking = body.get("thinking") or {}
    budget = thinking.get("budget_tokens", 0)
    _need(budget == 0 or 1024 <= budget < body["max_tokens"], "max_tokens must exceed the budget")
    _need(not budget or body.get("temperature", 1) == 1, "temperature may only be 1 with thinking")
    open_calls: set[str] = set()
    after = ""
    for position, message in enumerate(body["messages"]):
        open_calls = _check_message(f"messages.{position}", message, after, open_calls)
        after = message["role"]
    _need(not open_calls, f"tool_use ids without tool_result: {sorted(open_calls)}")


def _check_message(
    where: str, message: Mapping[str, Any], after: str, open_calls: set[str]
) -> set[str]:
    """Checks one message that comes `after` one of that role, and must hold the results of
    `open_calls`; the calls of which the next one must hold them."""
    _need(message.keys() == {"role", "content"}, f"{where}: only role and content are permitted")
    role = message["role"]
    _need(role in ("user", "assistant", "system"), f"{where}.role: user, assistant or system")
    _need(role != "system" or after == "user", f"{where}: system must follow a user message")
    _need(role == "assistant" or after != "system", f"{where}: only assistant may follow system")
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    _need(blocks, f"{where}: content must not be empty")
    for block in blocks:
        is_empty = block["type"] == "text" and not block["text"].strip()
        _need(not is_empty, f"{where}: text content blocks must be non-empty")
    results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
    _need(results == open_calls, f"{where}: tool_result ids {results} are not {open_calls}")
    return {block["id"] for block in blocks if block["type"] == "tool_use"}


def _need(holds: object, message: str) -> None:
    if not holds:
        raise RefusedError(message)
