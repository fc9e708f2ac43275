"""`messages()` with models in this process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import pytest

import llmroute
from llmroute import MessagesResponse
from tests.protocols.test_messages_bridge import check_order

pytest.importorskip("llama_cpp", reason="needs the extra llamacpp")

CHAT_MODEL = os.environ.get("LLMROUTE_TEST_CHAT_MODEL", "")
MESSAGES: Any = [
    {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]},
    {"role": "user", "content": "Who are you?"},
]


def plain(model: str, **given: Any) -> MessagesResponse:
    answer: MessagesResponse = llmroute.messages(model, MESSAGES, **given)
    return answer


def plain_async(model: str, **given: Any) -> MessagesResponse:
    answer: MessagesResponse = asyncio.run(llmroute.amessages(model, MESSAGES, **given))
    return answer


def streamed(model: str, **given: Any) -> MessagesResponse:
    with llmroute.messages(model, MESSAGES, stream=True, **given) as stream:
        check_order(list(stream))
        return stream.get_final_message()


def streamed_async(model: str, **given: Any) -> MessagesResponse:
    async def run() -> MessagesResponse:
        async with await llmroute.amessages(model, MESSAGES, stream=True, **given) as stream:
            check_order([event async for event in stream])
            return await stream.get_final_message()

    return asyncio.run(run())


@pytest.mark.parametrize("ask", [plain, plain_async, streamed, streamed_async])
def test_a_local_model_answers(
    ask: Callable[..., MessagesResponse], scripted: Callable[..., Path]
) -> None:
    model = f"llamacpp/{scripted('I am a model.')}"
    answer = ask(model, system="Be brief.", max_tokens=50)
    assert (answer.text, answer.stop_reason) == ("I am a model.", "end_turn")
    assert answer.usage.input_tokens is not None
    read = anthropic.types.Message.model_validate(answer.to_dict())
    assert read.usage.output_tokens == answer.usage.output_tokens
    cut = ask(model, max_tokens=2)
    assert cut.stop_reason == "max_tokens"
    assert cut.usage.output_tokens == 2


@pytest.mark.skipif(not CHAT_MODEL, reason="LLMROUTE_TEST_CHAT_MODEL is not set")
@pytest.mark.parametrize("ask", [plain, streamed_async])
def test_a_real_model_answers(ask: Callable[..., MessagesResponse]) -> None:
    answer = ask(f"llamacpp/{CHAT_MODEL}", system="Be brief.", max_tokens=20, temperature=0.0)
    assert answer.text
    assert answer.stop_reason in ("end_turn", "max_tokens")
    assert 0 < (answer.usage.output_tokens or 0) <= 20


def test_count_message_tokens_is_what_the_model_reads(scripted: Callable[..., Path]) -> None:
    model = f"llamacpp/{scripted('I am a model.')}"
    count = llmroute.count_message_tokens(model, MESSAGES, system="Be brief.")
    usage = plain(model, system="Be brief.", max_tokens=1).usage
    read = (usage.input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    assert (count.input_tokens, count.exact) == (read, True)


def test_count_message_tokens_marks_an_estimate() -> None:
    tool: Any = {"name": "look_up", "input_schema": {"type": "object", "properties": {}}}
    without = llmroute.count_message_tokens("openai/gpt-4o", MESSAGES)
    count = llmroute.count_message_tokens("openai/gpt-4o", MESSAGES, tools=[tool])
    assert count.input_tokens > without.input_tokens > 0
    assert count.exact is False
