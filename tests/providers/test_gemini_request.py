"""What is sent to Gemini, checked by the models of Google's own SDK."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from pydantic import BaseModel

from llmroute.errors import BadRequestError, UnsupportedParamsError
from llmroute.providers.gemini_contents import UNSIGNED
from llmroute.providers.params import DroppedParamsWarning
from tests.providers.gemini_wire import CALLED, HI, NEW, OLD, PNG, body, call, request

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
    },
}
URL = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


class Person(BaseModel):
    """Somebody."""

    name: str
    friends: list[Person] = []


def tool_call(call_id: str = "call_1", **extra: Any) -> dict[str, Any]:
    function = {"name": "look_up", "arguments": '{"q": "sky"}'}
    return {"id": call_id, "type": "function", "function": function, **extra}


def called(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def result(content: Any = "blue", call_id: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_build_sends_the_key_in_a_header_only() -> None:
    sent = call(request(stream=True))
    assert sent.url == f"http://127.0.0.1/v1beta/models/{NEW}:streamGenerateContent?alt=sse"
    assert sent.headers["x-goog-api-key"] == "secret-key"
    assert "secret-key" not in sent.url
    assert call(request()).url == f"http://127.0.0.1/v1beta/models/{NEW}:generateContent"


def test_build_adds_the_version_to_a_bare_host() -> None:
    assert call(request(), "http://127.0.0.1:8080").url.startswith("http://127.0.0.1:8080/v1beta/m")
    assert call(request(), "http://127.0.0.1/v1/").url.startswith("http://127.0.0.1/v1/models/")


def test_build_refuses_the_base_of_the_openai_endpoint() -> None:
    with pytest.raises(BadRequestError, match="gemini_openai/") as caught:
        call(request(), "https://generativelanguage.googleapis.com/v1beta/openai/")
    assert "/v1beta/openai" in caught.value.message
    assert caught.value.param == "api_base"


def test_build_sends_text_and_system_prompts() -> None:
    sent = body(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            {"role": "user", "content": "b"},
        ]
    )
    assert sent == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Hello."}]},
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        ],
    }


def test_build_sends_an_empty_prompt_where_only_the_system_speaks() -> None:
    sent = body(messages=[{"role": "system", "content": "Say hello."}])
    assert sent["contents"] == [{"role": "user", "parts": [{"text": ""}]}]


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (URL, {"inlineData": {"mimeType": "image/png", "data": PNG}}),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.jpg"}},
            {"fileData": {"fileUri": "https://x.example/a.jpg", "mimeType": "image/jpeg"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://b/a", "format": "image/webp"}},
            {"fileData": {"fileUri": "gs://b/a", "mimeType": "image/webp"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"file_id": "files/abc", "format": "video/mp4"}},
            {
                "fileData": {
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                    "mimeType": "video/mp4",
                }
            },
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://youtu.be/x"}},
            {"fileData": {"fileUri": "https://youtu.be/x"}},
        ),
        ({"fileData": {"fileUri": "gs://b/c"}}, {"fileData": {"fileUri": "gs://b/c"}}),
    ],
)
def test_build_sends_media(part: dict[str, Any], sent: dict[str, Any]) -> None:
    assert body(messages=[{"role": "user", "content": [part]}])["contents"][0]["parts"] == [sent]


def test_build_sends_the_detail_of_an_image_to_models_that_take_it() -> None:
    part = {"type": "image_url", "image_url": {**URL["image_url"], "detail": "low"}}  # type: ignore[dict-item]
    messages = [{"role": "user", "content": [part]}]
    (sent,) = body(messages=messages)["contents"][0]["parts"]
    assert sent["mediaResolution"] == {"level": "MEDIA_RESOLUTION_LOW"}
    assert "mediaResolution" not in body(OLD, messages)["contents"][0]["parts"][0]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([{"role": "user", "content": [{"type": "server_tool_use"}]}], "server_tool_use"),
        ([{"role": "system", "content": [URL]}, *HI], "must be text"),
        ([*HI, {"role": "tool", "tool_call_id": "x", "content": "y"}], "name of its function"),
        ([*HI, called({**tool_call(), "function": {"name": "f", "arguments": "[]"}})], "object"),
    ],
)
def test_build_refuses_what_gemini_cannot_be_told(messages: Any, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        body(messages=messages)


def test_build_sends_functions_with_their_json_schema() -> None:
    declared = body(tools=[LOOK_UP])["tools"]
    assert declared == [
        {
            "functionDeclarations": [
                {
                    "name": "look_up",
                    "description": "Looks something up.",
                    "parametersJsonSchema": LOOK_UP["function"]["parameters"],  # type: ignore[index]
                }
            ]
        }
    ]


def test_build_sends_a_schema_in_googles_own_form_as_such() -> None:
    schema = {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    (declared,) = body(tools=[tool])["tools"][0]["functionDeclarations"]
    assert declared == {"name": "f", "parameters": schema}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "look_up"}},
            {"mode": "ANY", "allowedFunctionNames": ["look_up"]},
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [LOOK_UP]},
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["look_up"]},
        ),
    ],
)
def test_build_sends_tool_choices(choice: Any, config: dict[str, Any]) -> None:
    sent = body(tools=[LOOK_UP], tool_choice=choice)
    assert sent["toolConfig"] == {"functionCallingConfig": config}


def test_build_sends_googles_own_tools_as_they_are() -> None:
    sent = body(tools=[{"googleSearch": {}}, {"url_context": {}}, {"codeExecution": {}}])
    assert sent["tools"] == [{"googleSearch": {}}, {"urlContext": {}}, {"codeExecution": {}}]
    assert body(web_search_options={})["tools"] == [{"googleSearch": {}}]
    both = body(tools=[LOOK_UP, {"googleSearch": {}}])
    assert both["toolConfig"] == {"includeServerSideToolInvocations": True}
    with pytest.raises(BadRequestError, match="web_search_20250305"):
        body(tools=[{"type": "web_search_20250305", "name": "web_search"}])


def test_build_sends_calls_with_their_signature_and_results() -> None:
    signed = tool_call(extra_content={"google": {"thought_signature": "c2ln"}})
    sent = body(messages=[*HI, called(signed), result()])["contents"]
    assert sent[1]["parts"] == [
        {
            "functionCall": {"name": "look_up", "args": {"q": "sky"}, "id": "call_1"},
            "thoughtSignature": "c2ln",
        }
    ]
    response = {"name": "look_up", "response": {"output": "blue"}, "id": "call_1"}
    assert sent[2] == {"role": "user", "parts": [{"functionResponse": response}]}


@pytest.mark.parametrize(
    "extra",
    [
        {"extra_content": {"google": {"thought_signature": "c2ln"}}},
        {"provider_specific_fields": {"thought_signature": "c2ln"}},
    ],
)
def test_build_takes_a_signature_from_either_place(extra: dict[str, Any]) -> None:
    sent = body(messages=[*HI, called(tool_call(**extra)), result()])["contents"]
    assert sent[1]["parts"][0]["thoughtSignature"] == "c2ln"


def test_build_marks_calls_of_another_model_for_gemini_3_only() -> None:
    messages = [*HI, called(tool_call("a"), tool_call("b")), result(call_id="a")]
    first, second = body(NEW, messages)["contents"][1]["parts"]
    assert first["thoughtSignature"] == UNSIGNED
    assert "thoughtSignature" not in second
    assert "thoughtSignature" not in body(OLD, messages)["contents"][1]["parts"][0]


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("blue", {"output": "blue"}),
        ('{"sky": "blue"}', {"sky": "blue"}),
        ("{broken", {"output": "{broken"}),
        ("[1]", {"output": "[1]"}),
        ([{"type": "text", "text": "blue"}], {"output": "blue"}),
    ],
)
def test_build_sends_results_as_objects(content: Any, response: dict[str, Any]) -> None:
    sent = body(messages=[*HI, called(tool_call()), result(content)])["contents"]
    assert sent[2]["parts"][0]["functionResponse"]["response"] == response


def test_build_sends_failed_results_as_errors() -> None:
    failed = {**result("no net"), "is_error": True}
    sent = body(messages=[*HI, called(tool_call()), failed])["contents"]
    assert sent[2]["parts"][0]["functionResponse"]["response"] == {"error": "no net"}


def test_build_sends_images_in_results_where_the_model_takes_them() -> None:
    messages = [*HI, called(tool_call()), result([{"type": "text", "text": "Look:"}, URL])]
    image = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    (new,) = body(NEW, messages)["contents"][2]["parts"]
    assert new["functionResponse"]["parts"] == [image]
    old, beside = body(OLD, messages)["contents"][2]["parts"]
    assert "parts" not in old["functionResponse"]
    assert beside == image


def test_build_puts_results_in_the_order_of_their_calls() -> None:
    """Google's calls may have no ids, and results are then matched by their order."""
    messages = [*HI, called(tool_call("a"), tool_call("b")), result("2", "b"), result("1", "a")]
    parts = body(messages=messages)["contents"][2]["parts"]
    assert [part["functionResponse"]["response"]["output"] for part in parts] == ["1", "2"]


def test_build_sends_native_parts_unless_the_message_was_changed() -> None:
    kept = {"format": "gemini", "blocks": [{"text": "x", "thought": True}, CALLED]}
    message = called(tool_call("ours"), provider_content=kept)
    sent = body(messages=[*HI, message, result(call_id="ours")])["contents"]
    assert sent[1]["parts"] == kept["blocks"]
    assert "id" not in sent[2]["parts"][0]["functionResponse"]
    message["tool_calls"][0]["function"]["arguments"] = '{"q": "sea"}'
    changed = body(messages=[*HI, message, result(call_id="ours")])["contents"]
    assert changed[1]["parts"][0]["functionCall"]["args"] == {"q": "sea"}
    other = {**message, "provider_content": {"format": "anthropic", "blocks": []}}
    rebuilt = body(messages=[*HI, other, result(call_id="ours")])["contents"]
    assert rebuilt[2]["parts"][0]["functionResponse"]["id"] == "ours"


def test_build_sends_sampling_parameters_by_googles_names() -> None:
    sent = body(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=7,
        n=2,
        stop="END",
        max_tokens=100,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=True,
        top_logprobs=3,
        modalities=["text", "image"],
        service_tier="flex",
        safety_settings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        cached_content="cachedContents/x",
    )
    assert sent["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "seed": 7,
        "candidateCount": 2,
        "stopSequences": ["END"],
        "maxOutputTokens": 100,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseModalities": ["TEXT", "IMAGE"],
    }
    assert sent["serviceTier"] == "flex"
    assert sent["safetySettings"][0]["threshold"] == "BLOCK_NONE"
    assert sent["cachedContent"] == "cachedContents/x"


def test_build_sends_the_newer_limit_where_both_are_given() -> None:
    assert body(max_tokens=1, max_completion_tokens=2)["generationConfig"] == {"maxOutputTokens": 2}


def test_build_sends_the_voice() -> None:
    config = body(modalities=["audio"], audio={"voice": "Kore"})["generationConfig"]
    voice = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
    assert config == {"responseModalities": ["AUDIO"], "speechConfig": voice}


@pytest.mark.parametrize(
    ("model", "given", "config"),
    [
        (NEW, {"reasoning_effort": "low"}, {"thinkingLevel": "low", "includeThoughts": True}),
        (NEW, {"reasoning_effort": "xhigh"}, {"thinkingLevel": "high", "includeThoughts": True}),
        (
            "gemini-flash-latest",
            {"reasoning_effort": "minimal"},
            {"thinkingLevel": "minimal", "includeThoughts": True},
        ),
        (OLD, {"reasoning_effort": "low"}, {"thinkingBudget": 1024, "includeThoughts": True}),
        (OLD, {"reasoning_effort": "high"}, {"thinkingBudget": 24576, "includeThoughts": True}),
        (OLD, {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        (
            OLD,
            {"thinking": {"type": "enabled", "budget_tokens": 99}},
            {"thinkingBudget": 99, "includeThoughts": True},
        ),
        (OLD, {"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}),
        (NEW, {"thinking": {"type": "adaptive"}}, {"includeThoughts": True}),
        (NEW, {"thinking": {"thinkingLevel": "LOW"}}, {"thinkingLevel": "LOW"}),
    ],
)
def test_build_sends_how_much_to_think(
    model: str, given: dict[str, Any], config: dict[str, Any]
) -> None:
    assert body(model, **given)["generationConfig"] == {"thinkingConfig": config}


def test_build_sends_schemas_for_structured_output() -> None:
    config = body(response_format=Person)["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseJsonSchema"]["required"] == ["name", "friends"]
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    written = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    assert body(response_format=written)["generationConfig"]["responseJsonSchema"] == schema
    free = body(response_format={"type": "json_object"})["generationConfig"]
    assert free == {"responseMimeType": "application/json"}
    assert "generationConfig" not in body(response_format={"type": "text"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logit_bias", {"1": 1.0}),
        ("user", "me"),
        ("parallel_tool_calls", False),
        ("reasoning_effort", "none"),
        ("prediction", {"type": "content", "content": "x"}),
    ],
)
def test_build_refuses_by_name_what_gemini_cannot_do(name: str, value: Any) -> None:
    given: dict[str, Any] = {name: value, "tools": [LOOK_UP]}
    with pytest.raises(UnsupportedParamsError, match=name) as caught:
        body(**given)
    assert caught.value.param == name
    with warnings.catch_warnings(record=True) as caught_warnings:
        warnings.simplefilter("always")
        assert body(unsupported="drop", **given) == body(tools=[LOOK_UP])
    assert [w.category for w in caught_warnings] == [DroppedParamsWarning]


@pytest.mark.parametrize(
    "given",
    [
        {"reasoning_effort": "enormous"},
        {"thinking": {"type": "sometimes"}},
        {"response_format": {"type": "xml"}},
        {"tools": [LOOK_UP], "tool_choice": "some"},
    ],
)
def test_build_refuses_unknown_words(given: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as caught:
        body(**given)
    assert caught.value.param in given


def test_build_joins_extra_body_with_its_own_settings() -> None:
    sent = body(temperature=0.5, extra_body={"generationConfig": {"topK": 3}, "labels": {"a": "b"}})
    assert sent["generationConfig"] == {"temperature": 0.5, "topK": 3}
    assert sent["labels"] == {"a": "b"}
