"""`responses()` at a provider with a protocol of its own: what must come back does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from llmroute.testing.anthropic_api import AnthropicEmulator
from tests.protocols.responses_ways import Ask, ways
from tests.providers.anthropic_blocks import CALL, REDACTED, TEXT, THINKING

MODEL = "anthropic/claude-haiku-4-5"
TOOLS = [{"type": "function", "name": CALL["name"], "parameters": {"type": "object"}}]
RESULT = {"type": "function_call_output", "call_id": CALL["id"], "output": "They dance."}


@pytest.fixture
def server() -> Iterator[AnthropicEmulator]:
    with AnthropicEmulator() as emulator:
        yield emulator


@ways
@pytest.mark.parametrize(
    "blocks", [[THINKING, TEXT, CALL], [REDACTED, TEXT, CALL], [THINKING, CALL], [TEXT, CALL]]
)
@pytest.mark.parametrize("by_id", [False, True])
def test_responses_gives_thinking_back_as_it_came(
    ask: Ask, blocks: Sequence[Any], by_id: bool, server: AnthropicEmulator
) -> None:
    place: dict[str, Any] = {"api_base": server.url, "api_key": server.api_key, "tools": TOOLS}
    server.script(blocks, "Bees dance.")
    first = ask(MODEL, "How do bees talk?", **place)
    calls = [item for item in first.output if item["type"] == "function_call"]
    assert [call["call_id"] for call in calls] == [CALL["id"]]
    if by_id:
        second = ask(MODEL, [RESULT], previous_response_id=first.id, **place)
    else:
        asked = {"role": "user", "content": "How do bees talk?"}
        second = ask(MODEL, [asked, *first.output, RESULT], **place)
    assert second.output_text == "Bees dance."
    assert second.dropped is None
    assert server.requests[-1].json["messages"][1]["content"] == list(blocks)


@ways
def test_responses_needs_nothing_back_with_plain_text(ask: Ask, server: AnthropicEmulator) -> None:
    answer = ask(MODEL, "Hi", api_base=server.url, api_key=server.api_key)
    assert [item["type"] for item in answer.output] == ["message"]
