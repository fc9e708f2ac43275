"""The emulator of Anthropic's API against the official client, unmodified and in strict mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from llmroute.testing.anthropic_api import (
    AnthropicEmulator,
    HTTPAnswer,
    Says,
    error_event,
    event_stream,
    failure,
)
from tests.providers.anthropic_blocks import EVERY_BLOCK

MODEL = "claude-haiku-4-5"
HELLO: Any = [{"role": "user", "content": "Hello"}]
TOOL: Any = {"name": "look_up", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture
def server() -> Iterator[AnthropicEmulator]:
    with AnthropicEmulator() as emulator:
        yield emulator


@pytest.fixture
def client(server: AnthropicEmulator) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key=server.api_key,
        base_url=server.url,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def test_text(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model=MODEL, max_tokens=9, messages=HELLO)
    (block,) = message.content
    assert block.type == "text"
    assert block.text == "You said: Hello"
    assert (message.stop_reason, message.usage.service_tier) == ("end_turn", "standard")


@pytest.mark.parametrize("block", EVERY_BLOCK, ids=lambda block: str(block["type"]))
def test_every_block_whole_and_streamed(
    block: dict[str, Any], server: AnthropicEmulator, client: anthropic.Anthropic
) -> None:
    usage = {"cache_read_input_tokens": 3, "output_tokens": 8, "input_tokens": 5}
    says = Says([block], usage=usage)
    server.script(says, says)
    whole = client.messages.create(model=MODEL, max_tokens=9, messages=HELLO)
    assert whole.content[0].to_dict(exclude_unset=True) == block
    with client.messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].to_dict(exclude_unset=True) == block
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.cache_read_input_tokens == 3
    assert (streamed.usage.input_tokens, streamed.usage.output_tokens) == (5, 8)


def test_demanded_tool_and_schema(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model=MODEL, max_tokens=9, messages=HELLO, tools=[TOOL], tool_choice={"type": "any"}
    )
    assert message.stop_reason == "tool_use"
    assert message.content[0].to_dict()["name"] == "look_up"
    schema: Any = {"type": "object", "properties": {"age": {"type": "integer"}}}
    message = client.messages.create(
        model=MODEL,
        max_tokens=9,
        messages=HELLO,
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    assert message.content[0].to_dict()["text"] == '{"age": 1}'


def test_errors(server: AnthropicEmulator, client: anthropic.Anthropic) -> None:
    server.script(failure(529, "overloaded_error"), failure(429, "rate_limit_error"))
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        client.messages.create(model=MODEL, max_tokens=9, messages=HELLO)
    assert overloaded.value.status_code == 529
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(model=MODEL, max_tokens=9, messages=HELLO)
    events = event_stream("Hello there", {"model": MODEL, "messages": HELLO})
    broken = b"".join([*events[:4], error_event("overloaded_error")])
    server.script(HTTPAnswer(200, broken, {"content-type": "text/event-stream"}))
    with (
        pytest.raises(anthropic.APIStatusError),
        client.messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream,
    ):
        stream.until_done()


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "user", "content": " "}]}, "non-empty"),
        ({"extra_body": {"n": 2}}, "n: Extra inputs"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "exceed the budget"),
        (
            {
                "messages": [
                    *HELLO,
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
                    },
                    *HELLO,
                ]
            },
            "tool_result ids",
        ),
    ],
)
def test_refusals(request_: dict[str, Any], says: str, client: anthropic.Anthropic) -> None:
    call: Any = {"model": MODEL, "max_tokens": 100, "messages": HELLO, **request_}
    with pytest.raises(anthropic.BadRequestError, match=says):
        client.messages.create(**call)


def test_wrong_key(server: AnthropicEmulator) -> None:
    client = anthropic.Anthropic(api_key="other", base_url=server.url, max_retries=0)
    with client, pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model=MODEL, max_tokens=9, messages=HELLO)
