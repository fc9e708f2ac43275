"""The bodies and events of the Llama API's two surfaces, as recorded.

No recording of a stream of either surface exists: the native events follow the types of the
official client and its tool example, the compat chunks OpenAI's with the quirks of the compat
surface's plain answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from .llama_api_script import Reply, ToolUse

CREATED = 1746107585
"""The time of every emulated answer, in Unix seconds (2025-05-01, when the API was new)."""


class Events(NamedTuple):
    """The payloads of a stream, and what ends it."""

    content: list[Any]
    ending: list[Any]
    """The last events; the first of them carries the reason."""
    marker: bytes = b""
    """What comes after the last payload."""


class Surface(Protocol):
    """One way to speak the API."""

    def answer(self, number: int, model: str, reply: Reply) -> Mapping[str, Any]:
        """The whole answer."""

    def events(self, number: int, body: Mapping[str, Any], reply: Reply) -> Events:
        """The answer as a stream."""

    def without_reason(self, ending: Sequence[Any]) -> list[Any]:
        """The last events of a stream that does not say why it ended."""


class Native:
    """`/v1`: Meta's own shape."""

    def answer(self, number: int, model: str, reply: Reply) -> Mapping[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "stop_reason": reply.stop_reason,
            "content": {"type": "text", "text": reply.text},
        }
        if reply.tool_calls:
            message["tool_calls"] = [
                {"id": call.id, "function": {"arguments": call.text, "name": call.name}}
                for call in reply.tool_calls
            ]
        return {
            "id": f"emulated-{number}",
            "completion_message": message,
            "metrics": _metrics(reply),
        }

    def events(self, number: int, body: Mapping[str, Any], reply: Reply) -> Events:
        def event(kind: str, delta: Mapping[str, Any] | None = None, **more: Any) -> Any:
            delta = delta or {"type": "text", "text": ""}
            return {
                "id": f"emulated-{number}",
                "event": {"event_type": kind, "delta": delta, **more},
            }

        deltas = [{"type": "text", "text": piece} for piece in reply.pieces or ()]
        for call in reply.tool_calls:
            deltas += _tool_deltas(call)
        return Events(
            [event("start"), *(event("progress", delta) for delta in deltas)],
            [
                event("complete", stop_reason=reply.stop_reason),
                event("metrics", metrics=_metrics(reply)),
            ],
        )

    def without_reason(self, ending: Sequence[Any]) -> list[Any]:
        complete, *rest = ending
        event = {key: value for key, value in complete["event"].items() if key != "stop_reason"}
        return [{**complete, "event": event}, *rest]


def _metrics(reply: Reply) -> list[dict[str, Any]]:
    prompt, completion = reply.prompt_tokens or 0, reply.completion_tokens or 0
    counts = {
        "num_completion_tokens": completion,
        "num_prompt_tokens": prompt,
        "num_total_tokens": prompt + completion,
    }
    return [{"metric": name, "value": n, "unit": "tokens"} for name, n in counts.items()]


def _tool_deltas(call: ToolUse) -> list[dict[str, Any]]:
    """The id and the name come first, then the arguments with neither."""
    first = {"type": "tool_call", "id": call.id, "function": {"name": call.name}}
    return [first] + [
        {"type": "tool_call", "function": {"arguments": piece}} for piece in _halves(call.text)
    ]


def _halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [text[:middle], text[middle:]]


class Compat:
    """`/compat/v1`: OpenAI's shape, nearly."""

    def answer(self, number: int, model: str, reply: Reply) -> Mapping[str, Any]:
        message = {
            "id": f"emulated-{number}",
            "role": "assistant",
            "content": reply.text,
            "refusal": "",
            "tool_calls": [_tool_call(call) for call in reply.tool_calls],
        }
        choice = {
            "index": 0,
            "finish_reason": reply.stop_reason,
            "logprobs": {"content": None, "refusal": None},
            "message": message,
        }
        return {
            "id": f"emulated-{number}",
            "object": "chat.completions",
            "created": CREATED,
            "model": model,
            "choices": [choice],
            "usage": _usage(reply),
        }

    def events(self, number: int, body: Mapping[str, Any], reply: Reply) -> Events:
        def chunk(choices: list[Any], **more: Any) -> Any:
            return {
                "id": f"emulated-{number}",
                "object": "chat.completion.chunk",
                "created": CREATED,
                "model": body["model"],
                "choices": choices,
                **more,
            }

        def choice(reason: str | None = None, **delta: Any) -> list[Any]:
            delta = {"refusal": "", "tool_calls": [], **delta}
            nulls = {"content": None, "refusal": None}
            return [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": nulls}]

        content = [chunk(choice(role="assistant", content=""))]
        content += [chunk(choice(content=piece)) for piece in reply.pieces or ()]
        for index, call in enumerate(reply.tool_calls):
            first = {**_tool_call(call), "index": index}
            first["function"] = {"name": call.name, "arguments": ""}
            content.append(chunk(choice(tool_calls=[first])))
            for piece in _halves(call.text):
                more = {"index": index, "function": {"arguments": piece}}
                content.append(chunk(choice(tool_calls=[more])))
        ending = [chunk(choice(reply.stop_reason))]
        if (body.get("stream_options") or {}).get("include_usage"):
            ending.append(chunk([], usage=_usage(reply)))
        return Events(content, ending, b"data: [DONE]\n\n")

    def without_reason(self, ending: Sequence[Any]) -> list[Any]:
        return list(ending[1:])


def _tool_call(call: ToolUse) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.text}
    return {"id": call.id, "type": "function", "function": function}


def _usage(reply: Reply) -> dict[str, int]:
    prompt, completion = reply.prompt_tokens or 0, reply.completion_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
