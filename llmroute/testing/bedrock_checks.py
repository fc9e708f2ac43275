"""What Bedrock refuses: a wrong signature or key, and requests that break its rules."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..providers.base import HTTPCall
from ..providers.sigv4 import ALGORITHM, signature
from .loopback import RecordedRequest

_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=(?P<id>[^/]+)/(?P<scope>\S+), SignedHeaders=(?P<names>\S+), "
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


class RefusedError(Exception):
    """A request that is refused."""

    def __init__(self, status: int, type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.type = type


def check_access(
    request: RecordedRequest, *, region: str, secret: str, session_token: str, api_key: str
) -> None:
    """Raises `RefusedError` unless the request has the key, or is signed with the secret."""
    given = request.headers.get("authorization", "")
    if hmac.compare_digest(given, f"Bearer {api_key}"):
        return
    found = _AUTHORIZATION.fullmatch(given)
    if found is None:
        raise _denied("MissingAuthenticationTokenException", "Missing Authentication Token")
    time = request.headers.get("x-amz-date", "")
    names = found["names"].split(";")
    if not {"host", "x-amz-date"} <= set(names) or names != sorted(names):
        raise _denied("IncompleteSignatureException", "host and x-amz-date must be signed.")
    if found["scope"] != f"{time[:8]}/{region}/bedrock/aws4_request":
        raise _denied("InvalidSignatureException", "Credential should be scoped to a valid region.")
    url = f"http://{request.headers['host']}{request.path}"
    call = HTTPCall(request.method, url, request.headers, request.body)
    right = signature(call, names, time=time, scope=found["scope"], secret=secret)
    if not hmac.compare_digest(found["signature"], right):
        raise _denied("InvalidSignatureException", "The signature does not match.")
    if request.headers.get("x-amz-security-token", session_token) != session_token:
        raise _denied("UnrecognizedClientException", "The security token is invalid.")


def check_request(body: Any) -> None:
    """Raises `RefusedError` for a body that breaks the protocol's rules."""
    messages = body.get("messages") if isinstance(body, dict) else None
    if not messages:
        raise _invalid("A conversation must have a message.")
    if messages[0]["role"] != "user":
        raise _invalid("A conversation must start with a user message.")
    pending: list[str] = []
    for earlier, message in zip([None, *messages], messages, strict=False):
        if earlier is not None and earlier["role"] == message["role"]:
            raise _invalid("Roles must alternate between user and assistant.")
        _check_blocks(message)
        results = [block["toolResult"]["toolUseId"] for block in _with(message, "toolResult")]
        if message["role"] == "user" and sorted(results) != sorted(pending):
            raise _invalid("Expected toolResult blocks for all toolUse blocks of the turn before.")
        uses = [block["toolUse"] for block in _with(message, "toolUse")]
        pending = [use["toolUseId"] for use in uses if "type" not in use]
    last = messages[-1]
    if last["role"] == "assistant" and last["content"][-1].get("text", "x")[-1].isspace():
        raise _invalid("Final assistant content cannot end with trailing whitespace.")
    _check_tools(body, messages)


def _check_blocks(message: Mapping[str, Any]) -> None:
    if not message["content"]:
        raise _invalid("The content field is empty.")
    for block in message["content"]:
        if len(block) != 1:
            raise _invalid("A content block must have exactly one member.")
        if not block.get("text", "x").strip():
            raise _invalid("The text field in the ContentBlock object is blank.")


def _check_tools(body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> None:
    about_tools = any(_with(m, "toolUse") or _with(m, "toolResult") for m in messages)
    config = body.get("toolConfig")
    if about_tools and config is None:
        raise _invalid("The toolConfig field must be defined when using toolUse and toolResult.")
    choice = (config or {}).get("toolChoice") or {}
    thinking = (body.get("additionalModelRequestFields") or {}).get("thinking") or {}
    if thinking.get("type") in ("adaptive", "enabled") and choice.keys() & {"any", "tool"}:
        raise _invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _with(message: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    return [block for block in message["content"] if kind in block]


def _invalid(message: str) -> RefusedError:
    return RefusedError(400, "ValidationException", message)


def _denied(type: str, message: str) -> RefusedError:
    return RefusedError(403, type, message)
