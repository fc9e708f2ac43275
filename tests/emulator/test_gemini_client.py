"""The Gemini emulator against Google's own SDK, unmodified."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from llmroute.testing.gemini_api import KEY, SIGNATURE, GeminiServer

MODEL = "gemini-3-flash-preview"
FUNCTION = types.FunctionDeclaration(name="look_up", parameters_json_schema={"type": "object"})
# The SDK leaves its clients to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture
def server() -> Iterator[GeminiServer]:
    with GeminiServer("One two three") as server:
        yield server


@pytest.fixture
def client(server: GeminiServer) -> genai.Client:
    return sdk(server.url)


def sdk(url: str, key: str = KEY) -> genai.Client:
    return genai.Client(
        api_key=key, http_options=types.HttpOptions(base_url=url, api_version="v1beta")
    )


def tools(**config: Any) -> types.GenerateContentConfig:
    off = types.AutomaticFunctionCallingConfig(disable=True)
    tool = types.Tool(function_declarations=[FUNCTION])
    return types.GenerateContentConfig(tools=[tool], automatic_function_calling=off, **config)


def test_text(client: genai.Client) -> None:
    answer = client.models.generate_content(model=MODEL, contents="Hi")
    assert answer.text == "One two three"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.thoughts_token_count == 3
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP


def test_stream(client: genai.Client) -> None:
    pieces = list(client.models.generate_content_stream(model=MODEL, contents="Hi"))
    assert "".join(piece.text or "" for piece in pieces) == "One two three"
    assert pieces[-1].candidates is not None
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP


def test_async_text(client: genai.Client) -> None:
    async def ask() -> str | None:
        answer = await client.aio.models.generate_content(model=MODEL, contents="Hi")
        await client.aio.aclose()
        return answer.text

    assert asyncio.run(ask()) == "One two three"


def test_tool_loop_needs_the_signature(client: genai.Client) -> None:
    answer = client.models.generate_content(model=MODEL, contents="Hi", config=tools())
    assert answer.function_calls is not None
    assert answer.function_calls[0].name == "look_up"
    assert answer.candidates is not None
    content = answer.candidates[0].content
    assert content is not None
    assert content.parts is not None
    result = types.Part.from_function_response(name="look_up", response={"output": "blue"})
    question = types.Content(role="user", parts=[types.Part(text="Hi")])
    history: list[Any] = [question, content, types.Content(role="user", parts=[result])]
    second = client.models.generate_content(model=MODEL, contents=history, config=tools())
    assert second.text == "One two three"
    unsigned = [part.model_copy(update={"thought_signature": None}) for part in content.parts]
    history[1] = types.Content(role="model", parts=unsigned)
    with pytest.raises(errors.ClientError, match="thought_signature"):
        client.models.generate_content(model=MODEL, contents=history, config=tools())


def test_tool_config_chooses_what_is_called(client: genai.Client) -> None:
    none = types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(
            mode=types.FunctionCallingConfigMode.NONE
        )
    )
    answer = client.models.generate_content(
        model=MODEL, contents="Hi", config=tools(tool_config=none)
    )
    assert answer.text == "One two three"


def test_embeddings(client: genai.Client) -> None:
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["a", "bcd"])
    assert answer.embeddings is not None
    assert [vector.values for vector in answer.embeddings] == [[1.0, 0.5], [3.0, 0.5]]


def test_wrong_key(server: GeminiServer) -> None:
    client = sdk(server.url, "other")
    with pytest.raises(errors.ClientError, match="API key not valid") as caught:
        client.models.generate_content(model=MODEL, contents="Hi")
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")


def test_signature_is_on_the_parts(client: genai.Client) -> None:
    pieces = list(client.models.generate_content_stream(model=MODEL, contents="Hi"))
    assert pieces[-1].parts is not None
    assert pieces[-1].parts[0].thought_signature is not None
    assert (
        pieces[-1].parts[0].thought_signature
        == types.Part(
            thought_signature=SIGNATURE  # type: ignore[arg-type]  # base64, as on the wire
        ).thought_signature
    )


def test_vertex_ai(server: GeminiServer) -> None:
    client = genai.Client(
        vertexai=True,
        project="p-1",
        location="europe-west4",
        credentials=Credentials(token=KEY),
        http_options=types.HttpOptions(base_url=server.url),
    )
    assert client.models.generate_content(model=MODEL, contents="Hi").text == "One two three"
    assert server.requests[-1].path.startswith(
        f"/v1beta1/projects/p-1/locations/europe-west4/publishers/google/models/{MODEL}:"
    )
