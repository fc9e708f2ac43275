"""What the tests of the Haystack components share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # read when haystack is imported

pytest.importorskip("haystack")

from haystack.dataclasses import ChatMessage, StreamingChunk
from haystack.tools import Tool
from haystack.utils import Secret

from llmroute import unload
from llmroute.integrations.haystack import (
    LlamaCppChatGenerator,
    LlamaCppGenerator,
    LLMRouteChatGenerator,
    MetaLlamaChatGenerator,
)
from llmroute.testing.llama_api import LlamaAPIEmulator

# Set before the tests' own environment is cleaned.
REAL_MODEL = os.environ.get("LLMROUTE_TEST_MODEL")


@pytest.fixture
def real_model() -> Path:
    """The path of the 270M model."""
    if not REAL_MODEL:
        pytest.skip("LLMROUTE_TEST_MODEL is not set")
    return Path(REAL_MODEL).absolute()


@pytest.fixture(scope="package", autouse=True)
def unloaded() -> Iterator[None]:
    """Nothing stays loaded after these tests."""
    yield
    unload()


@pytest.fixture
def server() -> Iterator[LlamaAPIEmulator]:
    with LlamaAPIEmulator() as emulator:
        yield emulator


@pytest.fixture
def meta(server: LlamaAPIEmulator) -> Callable[..., Any]:
    """Makes a `MetaLlamaChatGenerator` that calls the emulator."""

    def make(**options: Any) -> Any:
        return MetaLlamaChatGenerator(
            **{
                "api_key": Secret.from_token(server.api_key or ""),
                "api_base_url": server.compat_url,
                "max_retries": 0,
                **options,
            }
        )

    return make


@pytest.fixture
def spoken(scripted: Callable[..., Path]) -> str:
    """The path of a model that says "Hello from this process."."""
    return str(scripted("Hello from this process."))


@pytest.fixture(params=["meta", "llmroute-http", "llmroute-local", "llama-cpp"])
def chat_component(
    request: pytest.FixtureRequest, server: LlamaAPIEmulator, meta: Callable[..., Any], spoken: str
) -> Any:
    """Each chat component in turn; all answer "Hello from this process."."""
    server.script("Hello from this process.", repeat=True)
    if request.param == "meta":
        return meta()
    if request.param == "llama-cpp":
        return LlamaCppChatGenerator(spoken)
    if request.param == "llmroute-local":
        return LLMRouteChatGenerator(f"llamacpp/{spoken}")
    return LLMRouteChatGenerator(
        "meta_llama/Llama-3.3-8B-Instruct",
        api_key=Secret.from_token(server.api_key or ""),
        api_base_url=server.compat_url,
    )


@pytest.fixture(params=["chat", "text"])
def local_component(request: pytest.FixtureRequest, spoken: str) -> Any:
    """Both components of llama.cpp; they say "Hello from this process."."""
    return (LlamaCppChatGenerator if request.param == "chat" else LlamaCppGenerator)(spoken)


def report_weather(city: str) -> str:
    """The function of the tool `weather`."""
    return f"Sunny in {city}"


@pytest.fixture
def weather() -> Tool:
    """A tool with an inner object, so that strictness can be seen at every depth."""
    return Tool(
        name="weather",
        description="The weather in a city",
        parameters={
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "options": {"type": "object", "properties": {"units": {"type": "string"}}},
                "places": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["city"],
        },
        function=report_weather,
    )


class Recorder:
    """A callback that collects its chunks."""

    def __init__(self) -> None:
        self.chunks: list[StreamingChunk] = []

    def __call__(self, chunk: StreamingChunk) -> None:
        self.chunks.append(chunk)

    @property
    def text(self) -> str:
        return "".join(chunk.content for chunk in self.chunks)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def conversation() -> list[ChatMessage]:
    return [ChatMessage.from_system("Be brief."), ChatMessage.from_user("Hello?")]
