"""Embeddings on Bedrock: three families of models, each in its own form."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

import llmroute
from llmroute import APIError, BadRequestError, UnsupportedParamsError
from llmroute.testing.bedrock_api import BedrockEmulator, HTTPAnswer, failure
from llmroute.types.embedding import EmbeddingResponse

TITAN = "bedrock/amazon.titan-embed-text-v2:0"
NOVA = "bedrock/amazon.nova-2-multimodal-embeddings-v1:0"
COHERE = "bedrock/us.cohere.embed-v4:0"
PROFILE = "bedrock/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x"
VECTOR = [0.5, -1.0]


@pytest.fixture
def server() -> Iterator[BedrockEmulator]:
    with BedrockEmulator() as server:
        yield server


def embed(server: BedrockEmulator, model: str, answer: Any, **given: Any) -> EmbeddingResponse:
    """The answer, sync and async, which must be the same."""
    step = answer if isinstance(answer, HTTPAnswer) else HTTPAnswer(200, _json(answer), {})
    server.script(step, step)
    given = {"input": "Hi", **given, **server.place, "num_retries": 0}
    first = llmroute.embedding(model, **given)
    assert asyncio.run(llmroute.aembedding(model, **given)) == first
    return first


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("model", "given", "body", "answer"),
    [
        (TITAN, {}, {"inputText": "Hi"}, {"embedding": VECTOR, "inputTextTokenCount": 3}),
        (TITAN, {"dimensions": 2, "normalize": False, "input": ["Hi"]},
         {"inputText": "Hi", "dimensions": 2, "normalize": False},
         {"embedding": VECTOR, "embeddingsByType": {"float": VECTOR}, "inputTextTokenCount": 3}),
        (PROFILE, {}, {"inputText": "Hi"}, {"embedding": VECTOR, "inputTextTokenCount": 3}),
        (NOVA, {"dimensions": 2, "embedding_purpose": "TEXT_RETRIEVAL"},
         {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {
             "embeddingPurpose": "TEXT_RETRIEVAL", "embeddingDimension": 2,
             "text": {"value": "Hi", "truncationMode": "NONE"}}},
         {"embeddings": [{"embeddingType": "TEXT", "embedding": VECTOR}]}),
        (NOVA, {"truncate": "START"},
         {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {
             "embeddingPurpose": "GENERIC_INDEX",
             "text": {"value": "Hi", "truncationMode": "START"}}},
         {"embeddings": [{"embeddingType": "TEXT", "embedding": VECTOR}]}),
        (COHERE, {"dimensions": 2, "truncate": "END"},
         {"texts": ["Hi"], "input_type": "search_document", "output_dimension": 2,
          "truncate": "END"},
         {"embeddings": {"float": [VECTOR]}, "id": "x", "response_type": "embeddings_by_type"}),
        (COHERE, {"input_type": "search_query"},
         {"texts": ["Hi"], "input_type": "search_query"}, {"embeddings": [VECTOR]}),
    ],
)  # fmt: skip
def test_embedding(
    model: str, given: dict[str, Any], body: Any, answer: Any, server: BedrockEmulator
) -> None:
    made = embed(server, model, answer, **given)
    assert [vector.embedding for vector in made.data] == [VECTOR]
    assert made.model == model
    sent = server.requests[-1]
    assert sent.json == body
    assert sent.path.endswith("/invoke")
    if "inputTextTokenCount" in answer:
        assert made.usage is not None
        assert (made.usage.prompt_tokens, made.usage.total_tokens) == (3, 3)
    else:
        assert made.usage is None


def test_embedding_of_many_texts(server: BedrockEmulator) -> None:
    made = embed(server, COHERE, {"embeddings": [VECTOR, [1.0, 1.0]]}, input=["a", "b"])
    assert [(v.index, v.embedding) for v in made.data] == [(0, VECTOR), (1, [1.0, 1.0])]
    for model in (TITAN, NOVA):
        with pytest.raises(BadRequestError, match="one text a call"):
            llmroute.embedding(model, ["a", "b"], **server.place)


def test_embedding_as_base64(server: BedrockEmulator) -> None:
    made = embed(server, TITAN, {"embedding": VECTOR}, encoding_format="base64")
    text = made.data[0].embedding
    assert isinstance(text, str)
    assert list(struct.unpack("<2f", base64.b64decode(text))) == VECTOR
    assert "encoding_format" not in server.requests[-1].json


@pytest.mark.parametrize(
    ("model", "params"),
    [
        (TITAN, {"input_type": "x"}),
        (COHERE, {"normalize": True}),
        (NOVA, {"normalize": True}),
        (TITAN, {"user": "x"}),
    ],
)
def test_embedding_parameters_of_other_models(
    model: str, params: dict[str, Any], server: BedrockEmulator
) -> None:
    with pytest.raises(UnsupportedParamsError, match=next(iter(params))):
        llmroute.embedding(model, "Hi", **params, **server.place)
    assert server.requests == []


def test_embedding_parameters_that_are_passed(server: BedrockEmulator) -> None:
    embed(server, TITAN, {"embedding": VECTOR}, user="x", unsupported="pass")
    assert server.requests[-1].json == {"inputText": "Hi", "user": "x"}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"message": "Oh"},
        {"embedding": []},
        {"embedding": [None]},
        {"embeddings": []},
        {"embeddings": [VECTOR, VECTOR]},
        {"embeddings": [{"embedding": None}]},
        failure(400, "ValidationException"),
        HTTPAnswer(200, b"<html>", {}),
    ],
)
def test_embedding_that_is_none(answer: Any, server: BedrockEmulator) -> None:
    with pytest.raises(APIError):
        embed(server, TITAN, answer)


def test_embedding_of_tokens_is_refused(server: BedrockEmulator) -> None:
    with pytest.raises(BadRequestError, match="token ids"):
        llmroute.embedding(COHERE, [1, 2], **server.place)
