"""The Llama API's native surface: Meta's own shape, to and from OpenAI's.

The shapes are those of recordings and of the types of Meta's official client, llama-api-client
0.6. The words for why an answer ended are OpenAI's (`stop`, `length`, `tool_calls`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from ..deployments import Deployment
from ..errors import APIResponseValidationError
from ..sse import Event
from ..types.request import Request
from .base import Chunk, Decoder
from .openai_answers import OpenAIDecoder, from_any_json
from .openai_like import OpenAILike

PARAMS = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "repetition_penalty",
        "response_format",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "user",
    }
)
"""What the surface takes, in canonical names."""

_USAGE = {
    "num_prompt_tokens": "prompt_tokens",
    "num_completion_tokens": "completion_tokens",
    "num_total_tokens": "total_tokens",
}


class LlamaNative(OpenAILike):
    """The requests of the native surface."""

    def accepted(self, request: Request) -> frozenset[str]:
        """The names of the parameters it takes."""
        return PARAMS

    def refused_values(self, request: Request) -> Mapping[str, str]:
        """It takes only the response formats `text` and `json_schema`."""
        kind = (request.params.get("response_format") or {}).get("type", "text")
        if kind in ("text", "json_schema"):
            return {}
        return {"response_format": f'"{kind}"; it takes "json_schema" and "text"'}

    def adjust(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        """`params` by the surface's names. Its streams always bring the usage, unasked."""
        params.pop("stream_options", None)
        limit = params.pop("max_tokens", None)
        if limit is not None:
            params.setdefault("max_completion_tokens", limit)
        return params

    def body(
        self, request: Request, deployment: Deployment, params: dict[str, Any]
    ) -> dict[str, Any]:
        """The body, with the messages in Meta's shape."""
        body = super().body(request, deployment, params)
        body["messages"] = [native_message(message) for message in body["messages"]]
        return body


def native_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAI message in the native shape; fields that neither shape knows go along."""
    native = {key: value for key, value in message.items() if value is not None}
    if native.get("role") == "developer":  # OpenAI's later word for the same
        native["role"] = "system"
    if native.get("role") == "assistant":
        _assistant(native)
    return native


def _assistant(message: dict[str, Any]) -> None:
    message.pop("id", None)  # the answer's
    if not message.get("refusal"):
        message.pop("refusal", None)
    content = message.get("content", "")
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    calls = message.pop("tool_calls", None)
    message["content"] = content
    if calls:
        message["content"] = {"type": "text", "text": content}
        message["stop_reason"] = "tool_calls"
        message["tool_calls"] = [
            {"id": call.get("id"), "function": call.get("function")} for call in calls
        ]


def openai_completion(body: bytes, request: Request) -> bytes:
    """A native answer as an OpenAI completion; anything else is returned unchanged."""
    payload = _decoded(body)
    message = payload.get("completion_message") if isinstance(payload, dict) else None
    if not isinstance(payload, dict) or not isinstance(message, dict):
        return body
    calls = message.get("tool_calls") or None
    text = _text(message.get("content"))
    said = {
        **message,
        "content": None if calls and not text else text,
        "tool_calls": calls and [{"type": "function", **call} for call in calls],
    }
    reason = said.pop("stop_reason", None)
    rest = {key: payload[key] for key in payload.keys() - {"completion_message", "metrics"}}
    choice = {"index": 0, "message": said, "finish_reason": reason}
    return to_json({**rest, "choices": [choice], **_usage(payload.get("metrics"))})


def _decoded(data: bytes) -> object:
    """Decoded JSON; `None` for what is not JSON, such as an answer whose end is missing."""
    try:
        payload: object = from_any_json(data)
    except ValueError:
        return None
    return payload


def _text(content: object) -> object:
    if isinstance(content, dict) and content.get("type") == "text":
        return content.get("text")
    return content


def _usage(metrics: object) -> dict[str, Any]:
    """The token counts, if both are there; otherwise the metrics as they came."""
    if not isinstance(metrics, Sequence) or not all(isinstance(m, Mapping) for m in metrics):
        return {}
    counts = {_USAGE.get(m.get("metric", ""), m.get("metric")): m.get("value") for m in metrics}
    if counts.get("prompt_tokens") is None or counts.get("completion_tokens") is None:
        return {"metrics": metrics}
    counts.setdefault("total_tokens", counts["prompt_tokens"] + counts["completion_tokens"])
    return {"usage": counts}


class NativeDecoder(Decoder[Event]):
    """Decodes one stream of the native surface; see `Decoder`.

    Its events are rewritten as OpenAI's chunks, whose decoder does the rest: pieces of a tool call
    come with an id and no index, and a failure comes as a bare line of JSON.
    """

    def __init__(self, request: Request, chunks: OpenAIDecoder) -> None:
        # It is done when the `complete` event has come; only the metrics may follow it.
        self._counted = False
        self._request = request
        self._chunks = chunks
        # All that a canonical chunk needs beyond the event, so that none has to be repaired.
        self._head = {
            "id": f"chatcmpl-{request.call_id}",
            "object": "chat.completion.chunk",
            "created": request.created,
            "model": request.model.partition("/")[2] or request.model,
        }

    def feed(self, event: Event) -> tuple[Chunk, ...]:
        """The chunk in `event`. Raises `APIError` for an error event or one that is no chunk."""
        payload = _decoded(event.data)
        native = payload.get("event") if isinstance(payload, dict) else None
        if event.name != "message" or not isinstance(payload, dict) or not isinstance(native, dict):
            return self._chunks.feed(event)  # an error, which this raises
        if self._is_over(native, payload):
            return ()
        return self._chunks.feed(Event("message", to_json(self._chunk(payload, native))))

    def _is_over(self, native: Mapping[str, Any], payload: object) -> bool:
        """Whether everything has come before this event. Raises an error for text that follows."""
        kind = native.get("event_type")
        if self._counted or (self.done and kind == "complete"):
            return True
        if self.done and kind != "metrics":
            raise APIResponseValidationError(
                "The stream went on after its end.", model=self._request.model, body=payload
            )
        self.done = self.done or kind == "complete"
        self._counted = kind == "metrics"
        return False

    def _chunk(self, payload: Mapping[str, Any], native: Mapping[str, Any]) -> dict[str, Any]:
        chunk = {**self._head, **payload}
        del chunk["event"]
        if native.get("event_type") == "metrics":
            return {**chunk, "choices": [], **_usage(native.get("metrics"))}
        delta = _delta(native.get("delta"))
        if native.get("event_type") == "start":
            delta["role"] = "assistant"
        choice = {"index": 0, "delta": delta, "finish_reason": native.get("stop_reason")}
        return {**chunk, "choices": [choice]}


def _delta(delta: object) -> dict[str, Any]:
    if not isinstance(delta, dict):
        return {}
    if delta.get("type") == "text":
        return {"content": delta.get("text")}
    if delta.get("type") == "tool_call":
        function = delta.get("function")
        call = {"index": None, "id": delta.get("id"), "type": "function", "function": function}
        return {"tool_calls": [call]}
    return {"native_delta": delta}
