"""`messages()` at Gemini, whose server refuses calls that come back without their signature."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

import llmroute
from llmroute import MessagesResponse
from llmroute.testing.gemini_api import KEY, SIGNATURE, GeminiServer

MODEL = "gemini/gemini-3-pro"
TOOLS: Any = [
    {"name": name, "input_schema": {"type": "object", "properties": {}}} for name in ("one", "two")
]


def ask(server: GeminiServer, messages: Any, stream: bool) -> MessagesResponse:
    options: Any = {"api_base": server.base_url, "api_key": KEY, "tools": TOOLS}
    if not stream:
        answer: MessagesResponse = llmroute.messages(MODEL, messages, **options)
        return answer
    with llmroute.messages(MODEL, messages, stream=True, **options) as events:
        return events.get_final_message()


@pytest.mark.parametrize("stream", [False, True])
def test_signatures_come_back_through_the_protocol(stream: bool) -> None:
    with GeminiServer() as server:
        turns: list[Any] = [{"role": "user", "content": "Hello"}]
        first = ask(server, turns, stream)
        assert first.stop_reason == "tool_use"
        # As a client keeps it: what its own types read.
        kept = anthropic.types.Message.model_validate(first.to_dict())
        calls = [block for block in kept.content if block.type == "tool_use"]
        assert [call.name for call in calls] == ["one", "two"]
        turns.append(kept.to_param())
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": "Done."} for call in calls
        ]
        turns.append({"role": "user", "content": results})
        second = ask(server, turns, stream)
        assert second.text == "Hello from the loopback server."
        assert SIGNATURE in server.requests[1].body.decode()
        assert second.usage.input_tokens
