"""AWS's official client against the emulator: before our own code runs on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from llmroute.testing.bedrock_api import (
    BedrockEmulator,
    HTTPAnswer,
    Says,
    event_stream,
    exception_event,
    failure,
)
from tests.providers.bedrock_blocks import EVERY_BLOCK, as_json

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
MESSAGES = [{"role": "user", "content": [{"text": "Hi there"}]}]


@pytest.fixture
def server() -> Iterator[BedrockEmulator]:
    with BedrockEmulator() as server:
        yield server


@pytest.fixture
def client(server: BedrockEmulator) -> Any:
    return client_of(server)


def client_of(server: BedrockEmulator, **given: Any) -> Any:
    signer = {
        "aws_access_key_id": server.key_id,
        "aws_secret_access_key": server.secret,
        "aws_session_token": server.session_token,
    }
    return boto3.client(
        "bedrock-runtime",
        region_name=server.region,
        endpoint_url=server.url,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
        **{**signer, **given},
    )


def streamed_blocks(events: Any) -> tuple[list[Any], str, Any]:
    """The blocks of a stream, put together by the events' own rules."""
    blocks: dict[int, Any] = {}
    reason, usage = "", None
    for event in events:
        match event:
            case {"contentBlockStart": {"start": start, "contentBlockIndex": index}}:
                blocks[index] = start
            case {"contentBlockDelta": {"delta": delta, "contentBlockIndex": index}}:
                if isinstance(pieces := blocks.setdefault(index, []), list):
                    pieces.append(delta)
            case {"messageStop": {"stopReason": reason}}:
                pass
            case {"metadata": {"usage": usage}}:
                pass
    return [block for _, block in sorted(blocks.items())], reason, usage


def test_converse_whole(server: BedrockEmulator, client: Any) -> None:
    answer = client.converse(modelId=MODEL, messages=MESSAGES)
    assert answer["output"]["message"]["content"] == [{"text": "You said: Hi there"}]
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"]["totalTokens"] > 0
    (request,) = server.requests
    assert request.path == f"/model/{MODEL.replace(':', '%3A')}/converse"


def test_converse_gives_every_block(server: BedrockEmulator, client: Any) -> None:
    server.script(Says(EVERY_BLOCK))
    answer = client.converse(modelId=MODEL, messages=MESSAGES)
    assert as_json(answer["output"]["message"]["content"]) == EVERY_BLOCK
    assert answer["stopReason"] == "tool_use"


def test_converse_stream(server: BedrockEmulator, client: Any) -> None:
    server.script(Says(EVERY_BLOCK, usage={"cacheReadInputTokens": 3}))
    answer = client.converse_stream(modelId=MODEL, messages=MESSAGES)
    blocks, reason, usage = streamed_blocks(answer["stream"])
    assert reason == "tool_use"
    assert usage["cacheReadInputTokens"] == 3
    assert len(blocks) == len(EVERY_BLOCK)
    assert "".join(piece["text"] for piece in blocks[2]) == EVERY_BLOCK[2]["text"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"aws_secret_access_key": "wrong"},
        {"region_name": "eu-west-1"},
        {"aws_session_token": "wrong"},
    ],
)
def test_a_wrong_signature_is_refused(wrong: dict[str, str], server: BedrockEmulator) -> None:
    given = {k: v for k, v in wrong.items() if k != "region_name"}
    client = client_of(server, **given)
    if "region_name" in wrong:
        server.region = "ap-south-1"
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client.converse(modelId=MODEL, messages=MESSAGES)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize(
    ("status", "name"),
    [(400, "ValidationException"), (429, "ThrottlingException"), (403, "AccessDeniedException")],
)
def test_errors_have_their_names(
    status: int, name: str, server: BedrockEmulator, client: Any
) -> None:
    server.script(failure(status, name, "why"))
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client.converse(modelId=MODEL, messages=MESSAGES)
    assert caught.value.response["Error"] == {"Code": name, "Message": "why"}


def test_exceptions_in_a_stream_have_their_names(server: BedrockEmulator, client: Any) -> None:
    begun = b"".join(event_stream("Hi", {"messages": MESSAGES})[:2])
    body = begun + exception_event("throttlingException", "slow down")
    server.script(HTTPAnswer(200, body, {"content-type": "application/vnd.amazon.eventstream"}))
    answer = client.converse_stream(modelId=MODEL, messages=MESSAGES)
    with pytest.raises(botocore.exceptions.EventStreamError) as caught:
        list(answer["stream"])
    assert caught.value.response["Error"] == {
        "Code": "throttlingException",
        "Message": "slow down",
    }


def test_tools_and_schemas_unscripted(client: Any) -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    tool = {"toolSpec": {"name": "look_up", "inputSchema": {"json": schema}}}
    answer = client.converse(
        modelId=MODEL,
        messages=MESSAGES,
        toolConfig={"tools": [tool], "toolChoice": {"any": {}}},
    )
    assert answer["stopReason"] == "tool_use"
    assert "q" in answer["output"]["message"]["content"][0]["toolUse"]["input"]
