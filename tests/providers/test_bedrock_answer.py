"""Answers of Bedrock, over loopback: whole and streamed, sync and async."""

from __future__ import annotations

import asyncio
import json
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Any

import openai.types.chat
import pytest
from pydantic import BaseModel

import llmroute
from llmroute import (
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadGatewayError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from llmroute.providers import get_provider
from llmroute.testing.bedrock_api import (
    BedrockEmulator,
    HTTPAnswer,
    Says,
    event_stream,
    exception_event,
    failure,
    whole,
)
from llmroute.testing.event_frames import event_frame
from llmroute.types.chat import ChatCompletion, Message
from llmroute.types.chat_request import ChatRequest
from tests.providers.bedrock_blocks import (
    BARE_CALL,
    CALL,
    EVERY_BLOCK,
    TEXT,
    THINKING,
    UNKNOWN,
)

MODEL = "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0"
OLDER = "bedrock/us.anthropic.claude-3-5-haiku-20241022-v1:0"
BODY = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
STREAM = {"content-type": "application/vnd.amazon.eventstream"}
ALL = [*EVERY_BLOCK, UNKNOWN]
CACHE = {
    "inputTokens": 5,
    "outputTokens": 7,
    "totalTokens": 32,
    "cacheReadInputTokens": 8,
    "cacheWriteInputTokens": 12,
    "cacheDetails": [{"ttl": "5m", "inputTokens": 4}, {"ttl": "1h", "inputTokens": 8}],
    "serverToolUsage": {},
}
Ask = Callable[..., ChatCompletion]


def plain(messages: Any = "Hi", model: str = MODEL, **given: Any) -> ChatCompletion:
    return llmroute.completion(model, messages, **given)


def streamed(messages: Any = "Hi", model: str = MODEL, **given: Any) -> ChatCompletion:
    with llmroute.completion(model, messages, stream=True, **given) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


def plain_async(messages: Any = "Hi", model: str = MODEL, **given: Any) -> ChatCompletion:
    return asyncio.run(llmroute.acompletion(model, messages, **given))


def streamed_async(messages: Any = "Hi", model: str = MODEL, **given: Any) -> ChatCompletion:
    async def run() -> ChatCompletion:
        async with await llmroute.acompletion(model, messages, stream=True, **given) as stream:
            async for _ in stream:
                pass
            return await stream.get_final_completion()

    return asyncio.run(run())


ways = pytest.mark.parametrize("ask", [plain, streamed, plain_async, streamed_async])


@pytest.fixture
def server() -> Iterator[BedrockEmulator]:
    with BedrockEmulator() as emulator:
        yield emulator


@pytest.fixture
def place(server: BedrockEmulator) -> dict[str, Any]:
    return {**server.place, "num_retries": 0}


@ways
def test_text(ask: Ask, server: BedrockEmulator, place: dict[str, Any]) -> None:
    answer = ask("Hello, who's there?", **place)
    assert answer.text == "You said: Hello, who's there?"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0]["native_finish_reason"] == "end_turn"
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.call_info is not None
    assert answer.call_info.request_id == "emulated-request"
    openai.types.chat.ChatCompletion.model_validate(answer.to_dict())
    path = server.requests[-1].path
    assert path.startswith("/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse")


@ways
def test_every_block_is_said_and_kept(
    ask: Ask, server: BedrockEmulator, place: dict[str, Any]
) -> None:
    server.script(ALL)
    answer = ask(**place)
    said = answer.choices[0].message
    assert said.content == TEXT["text"] + "They sting."
    assert said.reasoning_content == "Let me look."
    assert said["thinking_blocks"] == [
        {"type": "thinking", "thinking": "Let me look.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="},
    ]
    assert [(c.id, c.function and c.function.name) for c in said.tool_calls or ()] == [
        ("tooluse_1", "look_up"),
        ("tooluse_2", "now"),
    ]
    arguments = [json.loads(c.function.arguments) for c in said.tool_calls or () if c.function]
    assert arguments == [CALL["toolUse"]["input"], BARE_CALL["toolUse"]["input"]]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert said.annotations is not None
    (note,) = said.annotations
    assert note.to_dict()["url_citation"] == {
        "url": "https://bees.example/",
        "title": "Bees",
        "start_index": len(TEXT["text"]),
        "end_index": len(str(said.content)),
    }
    assert said["provider_content"] == {"format": "bedrock", "blocks": ALL}


@ways
@pytest.mark.parametrize("carried", ["object", "dict", "pickle", "json"])
def test_what_came_goes_back_unchanged(
    ask: Ask, carried: str, server: BedrockEmulator, place: dict[str, Any]
) -> None:
    server.script(ALL, "Done.")
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    first = ask(tools=tools, **place)
    message: Any = first.choices[0].message
    if carried == "dict":
        message = message.to_dict()
    elif carried == "pickle":
        message = pickle.loads(pickle.dumps(message))
    elif carried == "json":
        message = json.loads(message.model_dump_json())
    results = [{"role": "tool", "tool_call_id": f"tooluse_{n}", "content": "ok"} for n in (1, 2)]
    ask([{"role": "user", "content": "Hi"}, message, *results], tools=tools, **place)
    assert server.requests[-1].json["messages"][1] == {"role": "assistant", "content": ALL}


def test_a_message_that_was_changed_is_sent_as_it_is_now(
    server: BedrockEmulator, place: dict[str, Any]
) -> None:
    server.script([THINKING, TEXT], "Done.")
    message: Message = plain(**place).choices[0].message
    message.content = "Bees do not fly."
    plain([{"role": "user", "content": "Hi"}, message, {"role": "user", "content": "?"}], **place)
    assert server.requests[-1].json["messages"][1]["content"] == [
        THINKING,
        {"text": "Bees do not fly."},
    ]


@ways
def test_usage_counts_the_cache(ask: Ask, server: BedrockEmulator, place: dict[str, Any]) -> None:
    server.script(Says([TEXT], usage=CACHE))
    usage = ask(**place).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (25, 7, 32)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 8
    assert usage["cache_creation_input_tokens"] == 12
    assert usage["cache_read_input_tokens"] == 8
    assert usage["cache_creation"] == {
        "ephemeral_5m_input_tokens": 4,
        "ephemeral_1h_input_tokens": 8,
    }


@ways
@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("content_filtered", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("malformed_tool_use", None),
        ("of_the_future", None),
    ],
)
def test_finish_reason(
    reason: str, ours: str | None, ask: Ask, server: BedrockEmulator, place: dict[str, Any]
) -> None:
    server.script(Says([TEXT], reason, more={"trace": {"guardrail": {"actionReason": "x"}}}))
    answer = ask(**place)
    assert answer.choices[0].finish_reason == ours
    assert answer.choices[0]["native_finish_reason"] == reason
    assert answer["trace"] == {"guardrail": {"actionReason": "x"}}


class City(BaseModel):
    """A city."""

    name: str
    inhabitants: int


@ways
@pytest.mark.parametrize("model", [MODEL, OLDER])
def test_schema(model: str, ask: Ask, server: BedrockEmulator, place: dict[str, Any]) -> None:
    answer = ask("Paris?", model, response_format=City, **place)
    City.model_validate_json(answer.text)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.tool_calls is None
    sent = server.requests[-1].json
    if model == OLDER:
        assert sent["toolConfig"]["toolChoice"] == {"tool": {"name": "json_tool_call"}}
    else:
        assert sent["outputConfig"]["textFormat"]["type"] == "json_schema"
    following = [{"role": "user", "content": "Paris?"}, answer.choices[0].message]
    ask([*following, {"role": "user", "content": "Sure?"}], model, **place)
    assert server.requests[-1].json["messages"][1]["content"] == [{"text": answer.text}]


@ways
def test_schema_by_a_tool_with_text_before_it(
    ask: Ask, server: BedrockEmulator, place: dict[str, Any]
) -> None:
    made = {"toolUseId": "t", "name": "json_tool_call", "input": {"name": "P", "inhabitants": 2}}
    server.script([{"text": "Here it is: "}, {"toolUse": made}])
    answer = ask("Paris?", OLDER, response_format=City, **place)
    assert City.model_validate_json(answer.text) == City(name="P", inhabitants=2)
    server.script("I would rather not.")
    assert ask("Paris?", OLDER, response_format=City, **place).text == "I would rather not."


@ways
def test_schema_by_a_tool_beside_other_tools(
    ask: Ask, server: BedrockEmulator, place: dict[str, Any]
) -> None:
    server.script([CALL])
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    answer = ask("Paris?", OLDER, response_format=City, tools=tools, **place)
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None or answer.text == ""
    sent = server.requests[-1].json["toolConfig"]
    assert [tool["toolSpec"]["name"] for tool in sent["tools"]] == ["look_up", "json_tool_call"]
    assert sent["toolChoice"] == {"any": {}}


@ways
@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "ValidationException", BadRequestError),
        (400, "ServiceQuotaExceededException", RateLimitError),
        (403, "AccessDeniedException", PermissionDeniedError),
        (403, "ExpiredTokenException", AuthenticationError),
        (403, "UnrecognizedClientException", AuthenticationError),
        (404, "ResourceNotFoundException", NotFoundError),
        (408, "ModelTimeoutException", APITimeoutError),
        (424, "ModelErrorException", BadGatewayError),
        (429, "ModelNotReadyException", ServiceUnavailableError),
        (429, "ThrottlingException", RateLimitError),
        (500, "InternalServerException", InternalServerError),
        (503, "ServiceUnavailableException", ServiceUnavailableError),
    ],
)
def test_errors_by_their_names(
    status: int,
    name: str,
    kind: type[APIError],
    ask: Ask,
    server: BedrockEmulator,
    place: dict[str, Any],
) -> None:
    server.script(failure(status, name, "the reason why"))
    with pytest.raises(APIError) as caught:
        ask(**place)
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.code) == (status, name)
    assert error.provider_message == "the reason why"
    assert error.request_id == "emulated-request"


def test_error_named_in_the_body() -> None:
    body = b'{"__type": "com.amazon.coral#ThrottlingException", "message": "slow"}'
    error = get_provider("bedrock").error(429, {}, body)
    assert (type(error), error.code) == (RateLimitError, "ThrottlingException")


@pytest.mark.parametrize("ask", [streamed, streamed_async])
@pytest.mark.parametrize(
    ("name", "more", "kind"),
    [
        ("internalServerException", {}, InternalServerError),
        ("modelStreamErrorException", {}, BadGatewayError),
        ("modelStreamErrorException", {"originalStatusCode": 429}, RateLimitError),
        ("modelTimeoutException", {}, APITimeoutError),
        ("serviceUnavailableException", {}, ServiceUnavailableError),
        ("throttlingException", {}, RateLimitError),
        ("validationException", {}, BadRequestError),
        ("exceptionOfTheFuture", {}, InternalServerError),
    ],
)
def test_exceptions_in_a_stream(
    name: str,
    more: dict[str, Any],
    kind: type[APIError],
    ask: Ask,
    server: BedrockEmulator,
    place: dict[str, Any],
) -> None:
    event = exception_event(name, "the reason why", **more)
    frames = event_stream("One two three four", BODY)
    server.script(
        HTTPAnswer(200, event, STREAM), HTTPAnswer(200, b"".join(frames[:3]) + event, STREAM)
    )
    with pytest.raises(kind) as early:
        ask(**place)
    assert early.value.provider_message == "the reason why"
    with pytest.raises(StreamInterruptedError, match="the reason why") as late:
        ask(**place)
    assert isinstance(late.value.__cause__, kind)
    assert late.value.partial.text == "One two three "


def cut(body: bytes, server: BedrockEmulator, place: dict[str, Any]) -> ChatCompletion | APIError:
    server.script(HTTPAnswer(200, body, STREAM))
    try:
        return streamed(**place)
    except APIError as error:
        return error


def test_a_stream_cut_at_every_frame(server: BedrockEmulator, place: dict[str, Any]) -> None:
    frames = event_stream(ALL, BODY)
    for count in range(len(frames) - 1):
        error = cut(b"".join(frames[:count]), server, place)
        assert isinstance(error, StreamInterruptedError), count
    assert isinstance(cut(b"".join(frames[:-1]), server, place), ChatCompletion)  # without counts


def test_a_stream_cut_anywhere(server: BedrockEmulator, place: dict[str, Any]) -> None:
    frames = event_stream(ALL, BODY)
    body = b"".join(frames)
    borders = {len(b"".join(frames[:count])) for count in range(len(frames) + 1)}
    inside = [at for at in range(1, len(body)) if at not in borders]
    for at in random.Random(7).sample(inside, 50):
        error = cut(body[:at], server, place)
        assert isinstance(error, StreamInterruptedError), at
        partial = error.partial
        text = "" if partial is None else partial.text
        assert (TEXT["text"] + "They sting.").startswith(text)


def test_a_stream_with_a_damaged_frame(server: BedrockEmulator, place: dict[str, Any]) -> None:
    body = bytearray(b"".join(event_stream("One two three", BODY)))
    body[-20] ^= 1
    error = cut(bytes(body), server, place)
    assert isinstance(error, StreamInterruptedError)
    assert "damaged" in error.message


@pytest.mark.parametrize("ask", [plain, plain_async])
def test_a_stream_nobody_asked_for(
    ask: Ask, server: BedrockEmulator, place: dict[str, Any]
) -> None:
    server.script(HTTPAnswer(200, b"".join(event_stream(ALL, BODY)), STREAM))
    assert ask(**place).choices[0].message["provider_content"]["blocks"] == ALL


@pytest.mark.parametrize("ask", [streamed, streamed_async])
def test_a_whole_answer_for_a_stream(
    ask: Ask, server: BedrockEmulator, place: dict[str, Any]
) -> None:
    server.script(HTTPAnswer(200, json.dumps(whole(ALL, BODY)).encode(), {}))
    assert ask(**place).choices[0].message["provider_content"]["blocks"] == ALL


@ways
@pytest.mark.parametrize(
    "body", [b"", b"null", b"<html>", b"{}", b'{"output": {}}', b'{"message": "Oh"}', b"\0\0"]
)
def test_what_is_no_answer(
    body: bytes, ask: Ask, server: BedrockEmulator, place: dict[str, Any]
) -> None:
    server.script(HTTPAnswer(200, body, {}))
    with pytest.raises(APIError):
        ask(**place)


def test_pieces_of_redacted_content_are_one() -> None:
    decoder = get_provider("bedrock").decoder(ChatRequest(model=MODEL, messages=[]))
    splitter = get_provider("bedrock").splitter({})
    pieces = [{"reasoningContent": {"redactedContent": part}} for part in ("YQ==", "Yg==")]
    events = [("contentBlockDelta", {"contentBlockIndex": 0, "delta": d}) for d in pieces]
    frames = [event_frame(n, json.dumps(p).encode()) for n, p in events]
    frames.append(event_frame("messageStop", b'{"stopReason": "end_turn"}'))
    chunks = [c for e in splitter.feed(b"".join(frames)) for c in decoder.feed(e)]
    (choice,) = chunks[-1].to_dict()["choices"]
    assert choice["delta"]["provider_content"]["blocks"] == [
        {"reasoningContent": {"redactedContent": "YWI="}}
    ]


@pytest.mark.parametrize("in_pieces", [False, True])
def test_text_completion(in_pieces: bool, place: dict[str, Any]) -> None:
    if in_pieces:
        with llmroute.text_completion(MODEL, "Hi", stream=True, **place) as stream:
            answer = stream.get_final_completion()
    else:
        answer = llmroute.text_completion(MODEL, "Hi", **place)
    assert answer.choices[0].text == "You said: Hi"
