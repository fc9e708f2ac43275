"""Requests to Bedrock: what is sent, with AWS's own model of the API as the judge."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import botocore.session
import httpx
import pytest
from botocore.serialize import create_serializer

import llmroute
from llmroute import (
    AuthenticationError,
    BadRequestError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from llmroute.deployments import Deployment
from llmroute.prepare import ProviderOptions
from llmroute.providers import get_provider
from llmroute.providers.base import HTTPCall
from llmroute.testing.bedrock_api import BedrockEmulator
from llmroute.types.chat_request import ChatRequest
from tests.providers.bedrock_blocks import CALL, THINKING, problems

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OLDER = "anthropic.claude-3-7-sonnet-20250219-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
    },
}
SPEC = {
    "toolSpec": {
        "name": "look_up",
        "description": "Looks something up.",
        "inputSchema": {"json": TOOL["function"]["parameters"]},  # type: ignore[index]
    }
}
ASKED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c-1", "type": "function", "function": {"name": "look_up", "arguments": '{"q": 1}'}}
    ],
}
USED = {"toolUse": {"toolUseId": "c-1", "name": "look_up", "input": {"q": 1}}}


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*parts]}]


def build(messages: Any = "Hi", model: str = CLAUDE, **params: Any) -> HTTPCall:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    place = Deployment(provider="bedrock", model=model, api_base="http://h", api_key="k")
    request = ChatRequest(
        model=f"bedrock/{model}",
        messages=messages,
        stream=params.pop("stream", False),
        unsupported=params.pop("unsupported", "raise"),
        params=params,
    )
    call = get_provider("bedrock").build(request, place)
    assert isinstance(call, HTTPCall)
    return call


def body(messages: Any = "Hi", model: str = CLAUDE, **params: Any) -> dict[str, Any]:
    """The body, if AWS's own model of the API has nothing against it."""
    sent: dict[str, Any] = json.loads(build(messages, model, **params).body)
    assert problems(sent) == ""
    return sent


def content(*parts: Any) -> list[Any]:
    blocks: list[Any] = body(user(*parts))["messages"][0]["content"]
    return blocks


@pytest.mark.parametrize(
    "model",
    [
        "amazon.nova-lite-v1:0",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123",
        "arn:aws:bedrock:eu-west-1::foundation-model/cohere.command-r-v1:0",
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_url_is_that_of_the_official_client(model: str, stream: bool) -> None:
    service = botocore.session.Session().get_service_model("bedrock-runtime")
    name = "ConverseStream" if stream else "Converse"
    serializer = create_serializer(service.resolved_protocol)
    theirs = serializer.serialize_to_request({"modelId": model}, service.operation_model(name))
    call = build(model=model, stream=stream)
    assert call.url == f"http://h{theirs['url_path']}"
    assert call.method == theirs["method"]
    assert unquote(call.url).endswith(f"{model}/converse{'-stream' if stream else ''}")
    assert build(model=f"converse/{model}", stream=stream).url == call.url


def test_plain_messages() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "developer", "content": "Be short."},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "A"},
        {"role": "user", "content": ["B", {"type": "text", "text": " "}]},
    ]
    assert body(messages) == {
        "system": [{"text": "Be kind."}, {"text": "Be short."}],
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}]},
            {"role": "assistant", "content": [{"text": "Hello"}]},
            {"role": "user", "content": [{"text": "A"}, {"text": "B"}]},
        ],
    }


def test_parameters() -> None:
    sent = body(
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        stop="END",
        metadata={"team": "bees"},
        service_tier="flex",
        performanceConfig={"latency": "optimized"},
        guardrailConfig={"guardrailIdentifier": "g1", "guardrailVersion": "1"},
        additionalModelResponseFieldPaths=["/stop_sequence"],
        stream_options={"include_usage": True},
    )
    del sent["messages"]
    assert sent == {
        "inferenceConfig": {
            "maxTokens": 9,
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["END"],
        },
        "requestMetadata": {"team": "bees"},
        "serviceTier": {"type": "flex"},
        "performanceConfig": {"latency": "optimized"},
        "guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "1"},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    assert body(max_completion_tokens=3)["inferenceConfig"] == {"maxTokens": 3}
    assert body(service_tier="auto").keys() == {"messages"}


@pytest.mark.parametrize(
    ("model", "params", "fields"),
    [
        (CLAUDE, {"top_k": 3}, {"top_k": 3}),
        (NOVA, {"top_k": 3}, {"inferenceConfig": {"topK": 3}}),
        (CLAUDE, {"reasoning_effort": "low"},
         {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (CLAUDE, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ("us.anthropic.claude-sonnet-4-6", {"reasoning_effort": "high"},
         {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (NOVA, {"reasoning_effort": "minimal"},
         {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        (NOVA, {"reasoning_effort": "none"}, {"reasoningConfig": {"type": "disabled"}}),
        ("openai.gpt-oss-120b-1:0", {"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
        ("qwen.qwen3-32b-v1:0", {"reasoning_effort": "high"}, {"reasoning_config": "high"}),
        (CLAUDE, {"reasoning_effort": "low",
                  "thinking": {"type": "enabled", "budget_tokens": 2000}},
         {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (CLAUDE, {"anthropic_beta": ["b"], "additionalModelRequestFields": {"x": 1}},
         {"anthropic_beta": ["b"], "x": 1}),
        (CLAUDE, {"tools": [{"type": "computer_20250124", "name": "computer"}]},
         {"tools": [{"type": "computer_20250124", "name": "computer"}]}),
    ],
)  # fmt: skip
def test_fields_of_the_model(model: str, params: dict[str, Any], fields: dict[str, Any]) -> None:
    assert body(model=model, **params)["additionalModelRequestFields"] == fields


def test_effort_that_the_model_cannot_be_told() -> None:
    with pytest.raises(BadRequestError, match="reasoning_effort"):
        build(reasoning_effort="enormous")


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ("any", {"any": {}}),
        ({"type": "function", "function": {"name": "look_up"}}, {"tool": {"name": "look_up"}}),
        ({"type": "tool", "name": "look_up"}, {"tool": {"name": "look_up"}}),
        ({"any": {}}, {"any": {}}),
    ],
)
def test_tool_choice(choice: Any, sent: Any) -> None:
    config = body(tools=[TOOL], **({"tool_choice": choice} if choice else {}))["toolConfig"]
    assert config["tools"] == [SPEC]
    assert config.get("toolChoice") == sent


def test_tools() -> None:
    bare = {"type": "function", "function": {"name": "now", "description": ""}}
    strict = {"type": "function", "function": {**TOOL["function"], "strict": True}}  # type: ignore[dict-item]
    cached = {**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    own = {"systemTool": {"name": "nova_grounding"}}
    closed = {**SPEC["toolSpec"]["inputSchema"]["json"], "additionalProperties": False}
    assert body(tools=[bare, strict, cached, own, SPEC])["toolConfig"]["tools"] == [
        {
            "toolSpec": {
                "name": "now",
                "inputSchema": {"json": {"type": "object", "properties": {}}},
            }
        },
        {"toolSpec": {**SPEC["toolSpec"], "strict": True, "inputSchema": {"json": closed}}},
        SPEC,
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        own,
        SPEC,
    ]
    assert "toolConfig" not in body(tools=[TOOL], tool_choice="none")


def test_calls_and_results() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        ASKED,
        {
            "role": "tool",
            "tool_call_id": "c-1",
            "is_error": True,
            "content": [
                {"type": "text", "text": "no"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ],
        },
        {"role": "user", "content": "And?"},
    ]
    sent = body(messages, tools=[TOOL])["messages"]
    assert sent[1] == {"role": "assistant", "content": [USED]}
    picture = {"image": {"format": "png", "source": {"bytes": PNG}}}
    result = {"toolUseId": "c-1", "content": [{"text": "no"}, picture], "status": "error"}
    assert sent[2] == {"role": "user", "content": [{"toolResult": result}, {"text": "And?"}]}


def test_ids_of_other_providers_are_made_to_fit() -> None:
    call = {**ASKED["tool_calls"][0], "id": "a/b+" + "c" * 99}  # type: ignore[index]
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": ""},
    ]
    sent = body(messages, tools=[TOOL])["messages"]
    name = "a_b_" + "c" * 60
    assert sent[1]["content"][0]["toolUse"]["toolUseId"] == name
    assert sent[2]["content"] == [{"toolResult": {"toolUseId": name, "content": []}}]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "image_url", "image_url": f"data:image/jpg;base64,{PNG}"},
         {"image": {"format": "jpeg", "source": {"bytes": PNG}}}),
        ({"type": "image_url", "image_url": "s3://bucket/a.webp"},
         {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/a.webp"}}}}),
        ({"type": "file", "file": {"file_data": f"data:text/plain;base64,{PNG}"}},
         {"document": {"format": "txt", "name": "document", "source": {"bytes": PNG}}}),
        ({"type": "file", "file": {"file_id": f"data:application/pdf;base64,{PNG}",
                                   "filename": "My_Report  (1).v2.pdf"}},
         {"document": {"format": "pdf", "name": "My Report (1) v2", "source": {"bytes": PNG}}}),
        ({"type": "file", "file": {"file_id": f"data:text/markdown;base64,{PNG}",
                                   "filename": "ü"}},
         {"document": {"format": "md", "name": "document", "source": {"bytes": PNG}}}),
        ({"type": "file", "file": {"file_data": PNG, "format":
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document"}},
         {"document": {"format": "docx", "name": "document", "source": {"bytes": PNG}}}),
        ({"type": "video_url", "video_url": {"url": f"data:video/quicktime;base64,{PNG}"}},
         {"video": {"format": "mov", "source": {"bytes": PNG}}}),
        ({"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
         {"audio": {"format": "wav", "source": {"bytes": PNG}}}),
    ],
)  # fmt: skip
def test_media(part: dict[str, Any], block: dict[str, Any]) -> None:
    assert content(part) == [block]


def test_names_of_documents_differ() -> None:
    part = {"type": "file", "file": {"file_data": f"data:text/plain;base64,{PNG}"}}
    names = [block["document"]["name"] for block in content(part, part, part)]
    assert names == ["document", "document 2", "document 3"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": "https://h.example/a.png"},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
)
def test_media_that_is_elsewhere(part: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedOperationError, match="data URI"):
        build(user(part))


def test_cache_points() -> None:
    marked = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}
    point = {"cachePoint": {"type": "default"}}
    messages = [
        {"role": "system", "content": [marked]},
        {"role": "user", "content": [marked, {"type": "text", "text": "Short."}]},
        ASKED,
        {"role": "tool", "tool_call_id": "c-1", "content": [marked]},
    ]
    sent = body(messages, tools=[TOOL])
    assert sent["system"] == [{"text": "Long."}, point]
    assert sent["messages"][0]["content"] == [{"text": "Long."}, point, {"text": "Short."}]
    result = {"toolResult": {"toolUseId": "c-1", "content": [{"text": "Long."}]}}
    assert sent["messages"][2]["content"] == [result]
    messages[3] = {**messages[3], "content": "x", "cache_control": {"type": "ephemeral"}}
    assert body(messages, tools=[TOOL])["messages"][2]["content"][1] == point


def test_blocks_of_its_own_pass() -> None:
    own = [
        {"guardContent": {"text": {"text": "x"}}},
        {"cachePoint": {"type": "default"}},
        {"document": {"name": "d", "format": "txt", "source": {"bytes": PNG}}},
    ]
    assert content({"type": "text", "text": "x"}, *own)[1:] == own


def test_thinking_of_litellm_goes_back() -> None:
    message = {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "Let me look.",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "Let me look.", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "cmVk"},
        ],
    }
    sent = body([*user("Hi"), message, *user("Sure?")])["messages"][1]["content"]
    redacted = {"reasoningContent": {"redactedContent": "cmVk"}}
    assert sent == [THINKING, redacted, {"text": "Yes."}]
    del message["thinking_blocks"]
    assert body([*user("Hi"), message, *user("?")])["messages"][1]["content"] == [{"text": "Yes."}]


def test_blocks_of_another_provider_do_not_go_back() -> None:
    native = {"format": "anthropic", "blocks": [{"type": "text", "text": "Yes."}]}
    message = {"role": "assistant", "content": "Yes.", "provider_content": native}
    assert body([*user("Hi"), message, *user("?")])["messages"][1]["content"] == [{"text": "Yes."}]


def test_a_beginning_to_go_on_with() -> None:
    begun = {"role": "assistant", "content": "The answer is \n"}
    assert body([*user("Hi"), begun])["messages"][1]["content"] == [{"text": "The answer is"}]


FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "Answer", "description": "One.", "schema": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("model", "enforced"),
    [
        (CLAUDE, True),
        ("global.anthropic.claude-opus-5", True),
        ("anthropic.claude-opus-4-1-20250805-v1:0", False),
        (OLDER, False),
        ("qwen.qwen3-32b-v1:0", True),
        ("google.gemma-3-27b-it", True),
        ("mistral.mistral-large-3-675b-instruct", True),
        ("mistral.mistral-large-2402-v1:0", False),
        ("us.meta.llama3-3-70b-instruct-v1:0", False),
        (NOVA, False),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", False),
    ],
)
def test_schema_by_each_models_best_way(model: str, enforced: bool) -> None:
    sent = body(model=model, response_format=FORMAT)
    if enforced:
        schema = sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        assert schema == {"name": "Answer", "description": "One.", "schema": '{"type":"object"}'}
        assert "toolConfig" not in sent
        return
    spec = {
        "name": "json_tool_call",
        "description": "One.",
        "inputSchema": {"json": {"type": "object"}},
    }
    assert sent["toolConfig"] == {
        "tools": [{"toolSpec": spec}],
        "toolChoice": {"tool": {"name": "json_tool_call"}},
    }


def test_schema_without_what_is_not_enforced() -> None:
    number = {"type": "integer", "minimum": 1}
    schema = {"type": "object", "properties": {"number": number}}
    format = {"type": "json_schema", "json_schema": {"name": "A", "schema": schema}}
    sent = body(response_format=format)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert json.loads(sent["schema"]) == {
        "type": "object",
        "properties": {"number": {"type": "integer", "description": "(minimum: 1)"}},
        "additionalProperties": False,
    }


def test_schema_while_claude_thinks_forces_no_tool() -> None:
    sent = body(model=OLDER, response_format=FORMAT, reasoning_effort="low")
    assert sent["toolConfig"]["toolChoice"] == {"auto": {}}


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"n": 2}, "n"),
        ({"seed": 1}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_refused_parameters(params: dict[str, Any], name: str) -> None:
    with pytest.raises(UnsupportedParamsError, match=name):
        build(**params)
    with pytest.warns(UserWarning, match=name):
        assert build(**params, unsupported="drop").dropped_params == (name,)


def test_refused_parameters_that_are_passed() -> None:
    format = {"type": "json_object"}
    sent = body(
        seed=1,
        response_format=format,
        tools=[TOOL],
        parallel_tool_calls=False,
        max_tokens=3,
        additionalModelRequestFields={"x": 1},
        unsupported="pass",
    )
    fields = {"seed": 1, "response_format": format, "parallel_tool_calls": False, "x": 1}
    assert sent["additionalModelRequestFields"] == fields
    assert sent["inferenceConfig"] == {"maxTokens": 3}


def test_no_tools_after_calls_is_refused() -> None:
    messages = [*user("Hi"), ASKED, {"role": "tool", "tool_call_id": "c-1", "content": "x"}]
    with pytest.raises(UnsupportedParamsError, match="tool_choice"):
        build(messages, tools=[TOOL], tool_choice="none")


@pytest.mark.parametrize(
    ("messages", "params", "named"),
    [
        ([{"role": "system", "content": "x"}], {}, "user"),
        ("Hi", {"response_format": {"type": "json_schema"}}, "schema"),
        ("Hi", {"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
    ],
)
def test_what_cannot_be_sent(messages: Any, params: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequestError, match=named):
        build(messages, **params)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BedrockEmulator]:
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nowhere")
    with BedrockEmulator() as server:
        yield server


def ask(**given: Any) -> str:
    answer = llmroute.completion(f"bedrock/{CLAUDE}", "Hi", num_retries=0, **given)
    return answer.text


def test_access_by_signature(server: BedrockEmulator) -> None:
    assert ask(**server.place) == "You said: Hi"
    sent = server.requests[-1]
    assert sent.headers["x-amz-security-token"] == server.session_token
    assert server.secret not in str(sent.headers) + sent.body.decode()
    assert sent.json.keys() == {"messages"}


@pytest.mark.parametrize("headers", [{"x-amzn-bedrock-trace": "ENABLED"}, {"X-Amz-Other": "a  b"}])
def test_access_by_signature_with_headers(headers: dict[str, str], server: BedrockEmulator) -> None:
    assert ask(**server.place, extra_headers=headers) == "You said: Hi"


def test_access_by_signature_through_a_client_of_the_caller(server: BedrockEmulator) -> None:
    with httpx.Client() as client:
        assert ask(**server.place, client=client) == "You said: Hi"


def test_access_by_settings_of_the_environment(
    server: BedrockEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEDROCK_RUNTIME_ENDPOINT", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret)
    monkeypatch.setenv("AWS_REGION", server.region)
    assert ask() == "You said: Hi"
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", server.api_key)
    assert ask() == "You said: Hi"
    schemes = [r.headers["authorization"].partition(" ")[0] for r in server.requests]
    assert schemes == ["AWS4-HMAC-SHA256", "Bearer"]


def test_access_by_bearer_key(server: BedrockEmulator) -> None:
    assert ask(api_base=server.url, api_key=server.api_key) == "You said: Hi"


@pytest.mark.parametrize(
    "wrong", [{"aws_secret_access_key": "wrong-secret"}, {"aws_region_name": "eu-west-1"}]
)
def test_access_by_a_wrong_signature(wrong: dict[str, str], server: BedrockEmulator) -> None:
    with pytest.raises(AuthenticationError) as caught:
        ask(**{**server.place, **wrong})
    shown = f"{caught.value!s} {vars(caught.value)}"
    assert server.secret not in shown
    assert server.session_token not in shown


@pytest.mark.parametrize("missing", ["aws_access_key_id", "aws_secret_access_key"])
def test_access_without_credentials_names_them(missing: str, server: BedrockEmulator) -> None:
    place = {name: value for name, value in server.place.items() if name != missing}
    with pytest.raises(AuthenticationError, match=missing):
        ask(**place)
    assert server.requests == []


def test_access_needs_a_region(server: BedrockEmulator) -> None:
    place = {name: value for name, value in server.place.items() if name != "aws_region_name"}
    with pytest.raises(BadRequestError, match="aws_region_name"):
        ask(**place)


def test_region_of_the_host_is_signed() -> None:
    given = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "s", "aws_region_name": "x-y-1"}
    host = "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com"
    place = Deployment(provider="bedrock", model="m", api_base=host, model_kwargs=given)
    request = ChatRequest(model="bedrock/m", messages=user({"type": "text", "text": "Hi"}))
    call = get_provider("bedrock").build(request, place)
    assert isinstance(call, HTTPCall)
    assert call.sign is not None
    assert "/us-gov-west-1/bedrock/aws4_request" in call.sign(call, 0).headers["authorization"]


def test_options_are_known_to_type_checkers() -> None:
    names = {option.name for option in get_provider("bedrock").options}
    assert names <= ProviderOptions.__annotations__.keys()


def test_the_judge_finds_what_is_wrong() -> None:
    assert problems({"messages": [{"role": "user", "content": [CALL]}]}) == ""
    assert "unknown" in problems({"messages": [{"role": "user", "content": [{"txt": "x"}]}]})
    assert "role" in problems({"messages": [{"content": []}]})
