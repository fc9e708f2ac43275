"""Our types against OpenAI's: there and back without loss, and reading as its users do."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import openai.types as o
import openai.types.chat as oc
import pytest
from hypothesis import given, strategies as st
from openai.types import (
    completion_create_params as text_params,
    embedding_create_params as embedding_params,
)
from openai.types.chat import (
    chat_completion as occ,
    chat_completion_chunk as och,
    completion_create_params as chat_params,
)
from openai.types.completion_usage import (
    CompletionTokensDetails as OpenAICompletionDetails,
    CompletionUsage,
    PromptTokensDetails as OpenAIPromptDetails,
)
from openai.types.create_embedding_response import Usage as OpenAIEmbeddingUsage

from llmroute.providers import get_provider
from llmroute.types import chat, chat_chunk, embedding, text, usage
from llmroute.types.base import Model
from llmroute.types.chat_request import ChatParams, ChatRequest
from llmroute.types.embedding import EmbeddingParams
from llmroute.types.text import TextParams

LOGPROBS = {
    "content": [
        {
            "token": "é",
            "bytes": [195, 169],
            "logprob": -0.25,
            "top_logprobs": [{"token": "é", "bytes": [195, 169], "logprob": -0.25}],
        }
    ],
    "refusal": None,
}
USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 4,
    "total_tokens": 7,
    "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 1},
    "completion_tokens_details": {
        "accepted_prediction_tokens": 0,
        "audio_tokens": 0,
        "reasoning_tokens": 2,
        "rejected_prediction_tokens": 0,
    },
}
HEAD = {"id": "a", "created": 1, "model": "m"}


def completion(message: dict[str, Any], reason: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", **message}}
    return {**HEAD, "object": "chat.completion", "choices": [{**choice, **more}]}


def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, **more}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}


FUNCTION = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}}
CUSTOM = {"id": "2", "type": "custom", "custom": {"name": "c", "input": "x"}}
CITATION = {
    "type": "url_citation",
    "url_citation": {"start_index": 0, "end_index": 1, "title": "t", "url": "http://t"},
}
AUDIO = {"id": "u", "data": "AAAA", "expires_at": 2, "transcript": "hm"}

COMPLETIONS = {
    "text": completion({"content": "Hello", "refusal": None}, logprobs=None),
    "bare": completion({"content": "Hello"}),
    "all": {
        **completion({"content": "é"}, "length", logprobs=LOGPROBS),
        "usage": USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp",
    },
    "tools": completion({"content": None, "tool_calls": [FUNCTION, CUSTOM]}, "tool_calls"),
    "old function": completion(
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "function_call"
    ),
    "refusal": completion({"content": None, "refusal": "no"}, "content_filter"),
    "citations": completion({"content": "see t", "annotations": [CITATION]}),
    "audio": completion({"content": None, "audio": AUDIO}),
    "unknown": {
        **completion({"content": "a", "reasoning_content": "b", "mood": {"x": [1]}}),
        "provider_details": {"region": "north"},
    },
}
CHUNKS = {
    "first": chunk({"role": "assistant", "content": ""}),
    "text": chunk({"content": "é"}, logprobs=LOGPROBS),
    "call": chunk({"tool_calls": [{"index": 0, **FUNCTION}]}),
    "arguments": chunk({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
    "last": chunk({}, "stop"),
    "usage": {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE},
    "unknown": {**chunk({"content": "a", "mood": "blue"}), "seconds": 1.5},
}
TEXTS = {
    "text": {
        **HEAD,
        "object": "text_completion",
        "choices": [{"index": 0, "text": "é", "finish_reason": "length", "logprobs": None}],
        "usage": USAGE,
    },
    "logprobs": {
        **HEAD,
        "object": "text_completion",
        "choices": [
            {
                "index": 0,
                "text": "é",
                "finish_reason": "stop",
                "logprobs": {
                    "text_offset": [0],
                    "token_logprobs": [-0.5],
                    "tokens": ["é"],
                    "top_logprobs": [{"é": -0.5}],
                },
            }
        ],
        "system_fingerprint": "fp",
    },
}
EMBEDDINGS = {
    "numbers": {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
}

CASES = [
    pytest.param(ours, theirs, payload, id=f"{theirs.__name__} {name}")
    for ours, theirs, payloads in (
        (chat.ChatCompletion, oc.ChatCompletion, COMPLETIONS),
        (chat_chunk.ChatCompletionChunk, oc.ChatCompletionChunk, CHUNKS),
        (text.TextCompletion, o.Completion, TEXTS),
        (embedding.EmbeddingResponse, o.CreateEmbeddingResponse, EMBEDDINGS),
    )
    for name, payload in payloads.items()
]


@pytest.mark.parametrize(("ours", "theirs", "payload"), CASES)
def test_there_and_back(ours: Any, theirs: Any, payload: Any) -> None:
    mine = ours.model_validate(payload)
    assert ours.model_validate_json(json.dumps(payload)) == mine
    assert mine.to_dict() == payload
    assert json.loads(mine.to_json()) == payload
    assert mine.model_dump(exclude_unset=True) == payload
    their = theirs.model_validate(mine.to_dict())
    assert their.to_dict() == payload
    back = ours.model_validate(their.to_dict())
    assert back == mine
    assert ours.model_validate(their.model_dump()).model_dump() == mine.model_dump()


@pytest.mark.parametrize(("ours", "theirs", "payload"), CASES)
def test_copies(ours: Any, theirs: Any, payload: Any) -> None:
    mine = ours.model_validate(payload)
    for twin in (pickle.loads(pickle.dumps(mine)), copy.deepcopy(mine), copy.copy(mine)):
        assert twin == mine
        assert twin.to_dict() == payload
        assert repr(twin) == repr(mine)


@pytest.mark.parametrize(("ours", "theirs", "payload"), CASES)
def test_reading_as_a_mapping(ours: Any, theirs: Any, payload: Any) -> None:
    assert_reads_like(ours.model_validate(payload), payload)


def assert_reads_like(mine: Any, payload: Any) -> None:
    """`mine` gives everything `payload` holds, by key and by attribute, and nothing else."""
    if isinstance(payload, list):
        for one, plain in zip(mine, payload, strict=True):
            assert_reads_like(one, plain)
    elif not isinstance(payload, dict) or not isinstance(mine, Model):
        assert mine == payload
    else:
        assert set(mine.keys()) == set(payload)
        assert len(mine.values()) == len(payload)
        for key, value in payload.items():
            assert key in mine
            assert mine[key] is getattr(mine, key)
            assert mine.get(key) is mine[key]
            assert_reads_like(dict(mine.items())[key], value)
        assert "no such key" not in mine
        assert mine.get("no such key", 1) == 1
        with pytest.raises(KeyError):
            mine["no such key"]


def test_the_usual_way_to_the_text() -> None:
    answer: Any = chat.ChatCompletion.model_validate(COMPLETIONS["text"])
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert answer.choices[0].message.content == answer.text == "Hello"
    assert answer["usage"] is None
    assert "usage" not in answer
    assert dict(answer)["id"] == "a"


PAIRS: list[tuple[type[Model], Any]] = [
    (chat.ChatCompletion, oc.ChatCompletion),
    (chat.Choice, occ.Choice),
    (chat.ChoiceLogprobs, occ.ChoiceLogprobs),
    (chat.Message, oc.ChatCompletionMessage),
    (chat.TokenLogprob, oc.ChatCompletionTokenLogprob),
    (chat_chunk.ChatCompletionChunk, oc.ChatCompletionChunk),
    (chat_chunk.ChunkChoice, och.Choice),
    (chat_chunk.Delta, och.ChoiceDelta),
    (chat_chunk.ToolCallDelta, och.ChoiceDeltaToolCall),
    (text.TextCompletion, o.Completion),
    (text.TextChoice, o.CompletionChoice),
    (embedding.EmbeddingResponse, o.CreateEmbeddingResponse),
    (embedding.Embedding, o.Embedding),
    (embedding.EmbeddingUsage, OpenAIEmbeddingUsage),
    (usage.Usage, CompletionUsage),
    (usage.PromptTokensDetails, OpenAIPromptDetails),
    (usage.CompletionTokensDetails, OpenAICompletionDetails),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda cls: cls.__name__)
def test_every_field_of_openais_can_be_read(ours: type[Model], theirs: Any) -> None:
    assert set(theirs.model_fields) <= set(ours.model_fields)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
# Names that no field has; a leading underscore is private to Python objects.
NAMES = st.from_regex(r"x_[a-z]{1,8}", fullmatch=True)


@given(st.text(), st.dictionaries(NAMES, JSON_VALUES, max_size=3))
def test_any_text_and_any_unknown_field(content: str, extra: dict[str, Any]) -> None:
    payload = {**completion({"content": content, **extra}, **extra), **extra}
    mine = chat.ChatCompletion.model_validate(payload)
    assert mine.to_dict() == payload
    assert oc.ChatCompletion.model_validate(mine.to_dict()).to_dict() == payload
    assert pickle.loads(pickle.dumps(mine)) == mine == copy.deepcopy(mine)
    assert_reads_like(mine, payload)


WIRE = Path(__file__).parent.parent / "wire" / "llama_api"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ChatParams, chat_params.CompletionCreateParamsBase),
        (TextParams, text_params.CompletionCreateParamsBase),
        (EmbeddingParams, embedding_params.EmbeddingCreateParams),
    ],
)
def test_every_parameter_of_openais_has_its_name(ours: Any, theirs: Any) -> None:
    content = {"model", "messages", "prompt", "input"}
    assert set(theirs.__annotations__) - content <= set(ours.__annotations__)


@pytest.mark.parametrize("name", ["native/01_text_curl", "native/06_tool_turn1", "compat/01_text"])
def test_what_the_llama_api_answered_is_openais_in_the_end(name: str) -> None:
    body = json.loads((WIRE / f"{name}.json").read_text())["response"]["body"]
    request = ChatRequest(model="meta_llama/m", messages=[{"role": "user", "content": "Hi"}])
    answer = get_provider("meta_llama").parse(json.dumps(body).encode(), request)
    their = oc.ChatCompletion.model_validate(answer.to_dict())
    assert their.to_dict() == answer.to_dict()
