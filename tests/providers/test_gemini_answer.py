"""Answers of Gemini, whole and streamed, and what goes back in the next turn."""

from __future__ import annotations

import copy
import json
import pickle
import random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from llmroute.chunks import assembled
from llmroute.errors import (
    APIError,
    APIResponseValidationError,
    AuthenticationError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    StreamInterruptedError,
)
from llmroute.providers.gemini import provider
from llmroute.sse import SSEDecoder
from llmroute.types.chat import ChatCompletion
from llmroute.types.embedding import EmbeddingRequest, EmbeddingResponse
from tests.providers.gemini_wire import CALLED, HI, NEW, answer, call, events, request, sse

THOUGHT = {"text": "Hm.", "thought": True}
SIGNED_TEXT = {"text": "", "thoughtSignature": "c2lnMg=="}
CODE = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
RAN = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "cGlj"}
UNKNOWN = {"somethingNew": {"x": [1, None]}}
SECOND = {"functionCall": {"name": "look_up", "args": {}, "id": "own-2"}}
ALL_PARTS = [THOUGHT, {"text": "Föö"}, CODE, RAN, PICTURE, CALLED, SECOND, UNKNOWN, SIGNED_TEXT]


def whole(payload: dict[str, Any]) -> ChatCompletion:
    got = provider.parse(json.dumps(payload).encode(), request())
    assert isinstance(got, ChatCompletion)
    return got


def streamed(data: bytes) -> ChatCompletion:
    asked = request(stream=True)
    got = assembled(provider.decoder(asked), events(data), asked)
    assert isinstance(got, ChatCompletion)
    return got


def in_events(*parts: dict[str, Any], **more: Any) -> bytes:
    """A stream with each part in an event of its own."""
    *most, last = parts
    return sse(*(answer(part, reason=None) for part in most), answer(last, **more))


def both(*parts: dict[str, Any], **more: Any) -> list[ChatCompletion]:
    return [whole(answer(*parts, **more)), streamed(in_events(*parts, **more))]


def test_parse_gives_all_parts_by_openais_names() -> None:
    for got in both(*ALL_PARTS):
        (choice,) = got.choices
        message = choice.message
        assert (got.id, got.model, got.text) == ("r1", NEW, "Föö")
        assert message.reasoning_content == "Hm."
        assert (choice.finish_reason, choice["native_finish_reason"]) == ("tool_calls", "STOP")
        assert message.tool_calls is not None
        first, second = message.tool_calls
        assert (first.id, second.id) == ("call_c0ffee_0_0", "own-2")
        assert first["extra_content"] == {"google": {"thought_signature": "c2ln"}}
        assert first["provider_specific_fields"] == {"thought_signature": "c2ln"}
        assert first.function is not None
        assert first.function.arguments == '{"q":"sky"}'
        url = {"url": "data:image/png;base64,AAAA"}
        assert message["images"] == [{"type": "image_url", "image_url": url, "index": 0}]


def test_parse_keeps_every_part_for_the_next_turn() -> None:
    for got in both(*ALL_PARTS):
        message = got.choices[0].message
        back = [
            message,
            message.to_dict(),
            json.loads(message.to_json()),
            pickle.loads(pickle.dumps(got)).choices[0].message,
            copy.deepcopy(message),
        ]
        for turn in back:
            results = [
                {"role": "tool", "tool_call_id": made.id, "content": f"r{number}"}
                for number, made in enumerate(message.tool_calls or ())
            ]
            asked = request(messages=[*HI, turn, *reversed(results)])
            sent = json.loads(call(asked).body)["contents"]
            assert json.dumps(sent[1]["parts"]) == json.dumps(ALL_PARTS)
            assert [part["functionResponse"] for part in sent[2]["parts"]] == [
                {"name": "look_up", "response": {"output": "r0"}},
                {"name": "look_up", "response": {"output": "r1"}, "id": "own-2"},
            ]


def test_stream_joins_plain_text_only() -> None:
    got = streamed(in_events(THOUGHT, THOUGHT, {"text": "a"}, {"text": "b"}, SIGNED_TEXT))
    assert got.text == "ab"
    assert got.choices[0].message["provider_content"]["blocks"] == [
        {"text": "Hm.Hm.", "thought": True},
        {"text": "ab"},
        SIGNED_TEXT,
    ]


def test_stream_gives_chunks_in_order() -> None:
    asked = request(stream=True)
    decoder = provider.decoder(asked)
    data = in_events(THOUGHT, {"text": "a"}, {"text": "b"})
    chunks = [chunk for event in events(data) for chunk in decoder.feed(event)]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert [delta.role for delta in deltas] == ["assistant", None, None]
    assert [delta.reasoning_content for delta in deltas] == ["Hm.", None, None]
    assert [delta.content for delta in deltas] == [None, "a", "b"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert [chunk.usage for chunk in chunks[:-1]] == [None, None, None]
    assert decoder.done


def test_stream_takes_parts_after_the_finish_reason() -> None:
    data = sse(answer({"text": "a"}), answer(SIGNED_TEXT, reason="STOP"), answer({"text": "b"}))
    got = streamed(data)
    assert got.text == "ab"
    blocks = got.choices[0].message["provider_content"]["blocks"]
    assert blocks == [{"text": "a"}, SIGNED_TEXT, {"text": "b"}]


def test_stream_joins_streamed_arguments() -> None:
    def piece(path: str, **value: Any) -> dict[str, Any]:
        partial = {"jsonPath": path, **value}
        return {"functionCall": {"partialArgs": [partial], "willContinue": True}}

    begin = {"functionCall": {"name": "f", "id": "1", "willContinue": True}}
    data = in_events(
        {**begin, "thoughtSignature": "c2ln"},
        piece("$.items[0].name", stringValue="ap", willContinue=True),
        piece("$.items[0].name", stringValue="ple"),
        piece("$.items[1]['a b']", numberValue=0.5),
        piece("$.ok", boolValue=False),
        piece("$.none", nullValue="NULL_VALUE"),
        {"functionCall": {}},
        {"functionCall": {"name": "g"}},
        {"functionCall": {"name": "h", "willContinue": True}},
        {"functionCall": {"partialArgs": [{"jsonPath": "$.x", "numberValue": 1}]}},
        {"text": ""},
    )
    got = streamed(data).choices[0].message
    calls = [made.function for made in got.tool_calls or ()]
    args = {"items": [{"name": "apple"}, {"a b": 0.5}], "ok": False, "none": None}
    assert [(c.name, json.loads(c.arguments)) for c in calls if c is not None] == [
        ("f", args),
        ("g", {}),
        ("h", {"x": 1}),
    ]
    assert got["provider_content"]["blocks"][0] == {
        "functionCall": {"id": "1", "name": "f", "args": args},
        "thoughtSignature": "c2ln",
    }


@pytest.mark.parametrize(
    ("native", "ours"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", None),
        ("SOMETHING_NEW", None),
    ],
)
def test_parse_gives_finish_reasons_in_openais_words(native: str, ours: str | None) -> None:
    for got in both({"text": "a"}, reason=native):
        assert got.choices[0].finish_reason == ours
        assert got.choices[0]["native_finish_reason"] == native


def test_parse_takes_a_filtered_answer_without_content() -> None:
    payload = {"candidates": [{"content": {}, "finishReason": "SAFETY", "safetyRatings": []}]}
    for got in (whole(payload), streamed(sse(payload))):
        assert not got.text
        assert got.choices[0].finish_reason == "content_filter"
        assert got.choices[0]["safetyRatings"] == []
        assert got.usage is None


def test_parse_answers_a_blocked_prompt_as_filtered() -> None:
    payload = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7},
    }
    for got in (whole(payload), streamed(sse(payload))):
        (choice,) = got.choices
        assert choice.finish_reason == "content_filter"
        assert choice["native_finish_reason"] == "PROHIBITED_CONTENT"
        assert got["promptFeedback"] == payload["promptFeedback"]
        assert got.usage is not None
        assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (7, 0)


def test_parse_refuses_an_answer_without_candidates() -> None:
    with pytest.raises(APIResponseValidationError, match="no candidates"):
        whole({"usageMetadata": {"promptTokenCount": 7}})
    with pytest.raises(APIResponseValidationError, match="not a JSON object"):
        provider.parse(b"[]", request())
    with pytest.raises(APIResponseValidationError, match="not JSON"):
        provider.parse(b"<html>", request())


def test_parse_counts_thinking_and_tools_in_openais_sums() -> None:
    counts = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "toolUsePromptTokenCount": 30,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 155,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 90},
            {"modality": "IMAGE", "tokenCount": 10},
        ],
        "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 30}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
        "serviceTier": "standard",
    }
    payload = {**answer({"text": "a"}), "usageMetadata": counts}
    for got in (whole(payload), streamed(sse(payload))):
        used = got.usage
        assert used is not None
        assert (used.prompt_tokens, used.completion_tokens, used.total_tokens) == (130, 25, 155)
        assert used.prompt_tokens_details is not None
        assert used.prompt_tokens_details.to_dict() == {
            "text_tokens": 120,
            "image_tokens": 10,
            "cached_tokens": 40,
        }
        assert used.completion_tokens_details is not None
        assert used.completion_tokens_details.to_dict() == {
            "audio_tokens": 20,
            "reasoning_tokens": 5,
        }
        assert used["toolUsePromptTokenCount"] == 30
        assert got.service_tier == "default"


def test_parse_gives_several_candidates() -> None:
    two = answer({"text": "a"})
    two["candidates"].append({"content": {"parts": [{"text": "b"}]}, "index": 1})
    two["candidates"][1]["finishReason"] = "MAX_TOKENS"
    for got in (whole(two), streamed(sse(two))):
        assert [c.message.content for c in got.choices] == ["a", "b"]
        assert [c.finish_reason for c in got.choices] == ["stop", "length"]


def test_parse_gives_logprobs() -> None:
    found = {
        "chosenCandidates": [{"token": "ä", "tokenId": 1, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "tokenId": 2, "logProbability": -1.5}]}],
    }
    for got in both({"text": "ä"}, logprobsResult=found):
        assert got.choices[0].logprobs is not None
        (token,) = got.choices[0].logprobs.content or ()
        assert (token.token, token.bytes, token.logprob) == ("ä", [0xC3, 0xA4], -0.5)
        assert [top.token for top in token.top_logprobs or ()] == ["b"]


def test_parse_gives_sources_by_characters() -> None:
    """Google counts in bytes."""
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://x.example", "title": "x"}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": 6, "endIndex": 10, "text": "blau"},
                "groundingChunkIndices": [0],
            }
        ],
    }
    for got in both({"text": "Öäü"}, {"text": "blau"}, groundingMetadata=grounding):
        (note,) = got.choices[0].message.annotations or ()
        assert note.url_citation is not None
        cited = note.url_citation
        assert (cited.url, cited.title) == ("https://x.example", "x")
        assert got.text[cited.start_index : cited.end_index] == "blau"
        assert got.choices[0]["groundingMetadata"] == grounding


def test_parse_joins_pieces_of_speech() -> None:
    pieces = [
        {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": data}}
        for data in ("AQ==", "AgM=")
    ]
    for got in both(*pieces):
        assert got.choices[0].message.audio is not None
        assert got.choices[0].message.audio["data"] == "AQID"


def test_decoder_takes_bodies_that_are_no_stream() -> None:
    bodies = [answer({"text": "a"}, reason=None), answer({"text": "b"})]
    assert streamed(json.dumps(bodies).encode()).text == "ab"
    assert streamed(json.dumps(bodies[1]).encode()).text == "b"


STREAMS = {
    "parts": in_events(*ALL_PARTS),
    "text": in_events(*({"text": word} for word in ["one", "two", "three"]), SIGNED_TEXT),
    "filtered": sse(answer({"text": "a"}, reason=None), answer(reason="SAFETY")),
}


@pytest.mark.parametrize("name", STREAMS)
def test_decoder_gives_the_same_for_bytes_cut_anywhere(name: str) -> None:
    data, want = STREAMS[name], streamed(STREAMS[name])
    for border in range(1, len(data), 7):
        splitter, asked = provider.splitter({}), request(stream=True)
        pieces = [*splitter.feed(data[:border]), *splitter.feed(data[border:]), *splitter.flush()]
        assert assembled(provider.decoder(asked), pieces, asked) == want


@pytest.mark.parametrize("name", STREAMS)
def test_decoder_calls_a_stream_that_ends_early_interrupted(name: str) -> None:
    data = STREAMS[name]
    end = data.rindex(b"data: ")
    borders = [i for i in range(1, end + 1) if data[:i].endswith(b"\r\n\r\n")]
    for border in [0, *borders, *random.Random(1).sample(range(len(data) - 4), 50)]:
        with pytest.raises(StreamInterruptedError):
            streamed(data[:border])


def test_decoder_tells_errors_in_a_stream() -> None:
    error = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}
    with pytest.raises(APIError, match="Overloaded") as caught:
        streamed(sse(answer({"text": "a"}, reason=None), error))
    assert (caught.value.status_code, caught.value.code) == (503, "UNAVAILABLE")
    asked = request(stream=True)
    with pytest.raises(APIResponseValidationError):
        list(provider.decoder(asked).feed(next(iter(SSEDecoder().feed(b"data: [1]\n\n")))))


def failed(status: int, name: str, *details: dict[str, Any]) -> APIError:
    error = {"code": status, "message": "No.", "status": name, "details": list(details)}
    return provider.error(status, {}, json.dumps({"error": error}).encode())


def test_error_names_googles_status() -> None:
    assert failed(404, "NOT_FOUND").code == "NOT_FOUND"
    assert isinstance(failed(404, "NOT_FOUND"), NotFoundError)
    assert isinstance(failed(500, "INTERNAL"), InternalServerError)
    wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "39.5s"}
    exhausted = failed(429, "RESOURCE_EXHAUSTED", wait)
    assert isinstance(exhausted, RateLimitError)
    assert (exhausted.code, exhausted.retry_after) == ("RESOURCE_EXHAUSTED", 39.5)


def test_error_of_a_wrong_key_is_an_authentication_error() -> None:
    """Google answers it with 400; the reason tells."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    error = failed(400, "INVALID_ARGUMENT", info)
    assert isinstance(error, AuthenticationError)
    assert (error.status_code, error.code) == (400, "INVALID_ARGUMENT")
    assert not isinstance(failed(400, "INVALID_ARGUMENT"), AuthenticationError)


def test_embedding_refuses_vectors_that_are_missing() -> None:
    asked = EmbeddingRequest(model="gemini/m", input=["a", "b"])
    payload: dict[str, Any] = {"embeddings": [{"values": [1.0]}, {"values": [2.0]}]}
    got = provider.parse(json.dumps(payload).encode(), asked)
    assert isinstance(got, EmbeddingResponse)
    assert [vector.embedding for vector in got.data] == [[1.0], [2.0]]
    assert got.usage is None
    for broken in ([{"values": [1.0]}], [{"values": [1.0]}, {}], None):
        with pytest.raises(APIResponseValidationError):
            provider.parse(json.dumps({"embeddings": broken}).encode(), asked)


FULL = {
    **answer(
        *ALL_PARTS,
        logprobsResult={
            "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
            "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
        },
        groundingMetadata={
            "groundingChunks": [{"web": {"uri": "u", "title": "t"}}],
            "groundingSupports": [{"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}],
        },
    ),
    "promptFeedback": {"blockReason": "OTHER"},
}
WRONG: Any = st.sampled_from([None, 0, -1, 1.5, "x", True, [], {}, [None], {"x": 1}, [[]]])


def places(node: Any) -> list[list[Any]]:
    """The ways to every value in `node`."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    found: list[list[Any]] = []
    for key, value in items:
        deeper = places(value) if isinstance(value, dict | list) else []
        found += [[key], *([key, *rest] for rest in deeper)]
    return found


@given(st.sampled_from(places(FULL)), WRONG)
def test_parse_and_decoder_take_any_value_anywhere(place: list[Any], value: Any) -> None:
    """An answer was paid for: no field that nobody asked about refuses it."""
    payload = copy.deepcopy(FULL)
    node: Any = payload
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    assert whole(payload).choices
    try:
        assert streamed(sse(payload)).choices
    except StreamInterruptedError:
        assert place[-1] in (0, "finishReason")  # the reason itself is gone
