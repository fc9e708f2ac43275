"""`responses()` with models in this process."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

import llmroute
from tests.protocols.responses_judge import check_order, judged, judged_events

CHAT_MODEL = os.environ.get("LLMROUTE_TEST_CHAT_MODEL", "")


def test_responses_streams_from_a_local_model(tiny_random: Path) -> None:
    model = f"llamacpp/{tiny_random}"
    with llmroute.responses(model, "Hello", stream=True, max_output_tokens=6) as stream:
        events = list(stream)
        answer = stream.get_final_response()
    check_order(events)
    assert judged_events(events)[-1].type == events[-1].type == "response.incomplete"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 6
    again = llmroute.responses(model, "Hello", max_output_tokens=6, temperature=0)
    assert judged(again).incomplete_details is not None


@pytest.mark.skipif(not CHAT_MODEL, reason="LLMROUTE_TEST_CHAT_MODEL is not set")
def test_responses_goes_on_with_a_real_model() -> None:
    model, rest = f"llamacpp/{CHAT_MODEL}", {"temperature": 0.0, "max_output_tokens": 40}
    first = llmroute.responses(model, "My name is Ada. Say hello to me.", **rest)
    judged(first)

    async def ask() -> llmroute.Response:
        return await llmroute.aresponses(
            model, "What is my name?", previous_response_id=first.id, **rest
        )

    second = asyncio.run(ask())
    said = llmroute.completion(
        model,
        [
            {"role": "user", "content": "My name is Ada. Say hello to me."},
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "What is my name?"},
        ],
        temperature=0.0,
        max_tokens=40,
    )
    assert judged(second).output_text == said.text != ""
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
