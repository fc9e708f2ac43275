"""The components in real pipelines, in an Agent, behind a fallback, and traced."""

from __future__ import annotations

import asyncio

import pytest
from haystack import Pipeline, tracing
from haystack.components.agents import Agent
from haystack.components.builders import AnswerBuilder, ChatPromptBuilder, PromptBuilder
from haystack.components.generators.chat import FallbackChatGenerator
from haystack.core.errors import PipelineRuntimeError
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret

from llmroute.integrations.haystack import (
    LlamaCppChatGenerator,
    LlamaCppGenerator,
    LLMRouteChatGenerator,
    MetaLlamaChatGenerator,
)
from llmroute.testing.llama_api import LlamaAPIEmulator, Reply, ToolUse

try:  # Haystack 2 has a class of its own for pipelines in an event loop
    from haystack import AsyncPipeline
except ImportError:
    AsyncPipeline = Pipeline

QUESTION = {"prompt": {"topic": "rain"}, "out": {"query": "rain"}}


def chat_pipeline(generator):
    pipeline = AsyncPipeline()
    template = [ChatMessage.from_user("Tell me about {{ topic }}")]
    pipeline.add_component("prompt", ChatPromptBuilder(template, required_variables=["topic"]))
    pipeline.add_component("llm", generator)
    pipeline.add_component("out", AnswerBuilder())
    pipeline.connect("prompt.prompt", "llm.messages")
    pipeline.connect("llm.replies", "out.replies")
    return pipeline


async def streamed(pipeline, data):
    """The chunks of `Pipeline.stream()` and the result."""
    if not hasattr(pipeline, "stream"):
        pytest.skip("Haystack 2 has no Pipeline.stream()")
    handle = pipeline.stream(data=data)
    chunks = [chunk async for chunk in handle]
    return chunks, handle.result


@pytest.fixture
def environment(server, monkeypatch):
    """Where `meta_llama/` leads, and the key for it."""
    monkeypatch.setenv("LLAMA_API_BASE", server.compat_url)
    monkeypatch.setenv("LLAMA_API_KEY", server.api_key)
    server.script("Rain is wet.", repeat=True)


@pytest.mark.parametrize("provider", ["meta_llama", "llamacpp"])
@pytest.mark.parametrize("how", ["sync", "async", "streamed"])
def test_only_the_model_string_changes(environment, scripted, provider, how):
    models = {
        "meta_llama": "meta_llama/Llama-3.3-8B-Instruct",
        "llamacpp": f"llamacpp/{scripted('Rain is wet.')}",
    }
    pipeline = chat_pipeline(LLMRouteChatGenerator(models[provider]))
    if how == "sync":
        result = pipeline.run(QUESTION)
    elif how == "async":
        result = asyncio.run(pipeline.run_async(QUESTION))
    else:
        chunks, result = asyncio.run(streamed(pipeline, QUESTION))
        assert "".join(chunk.content for chunk in chunks) == "Rain is wet."
        assert {chunk.component_info.name for chunk in chunks} == {"llm"}
    (answer,) = result["out"]["answers"]
    assert answer.data == "Rain is wet."
    assert answer.meta["usage"]["completion_tokens"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["meta_llama", "llamacpp"])
@pytest.mark.parametrize("how", ["sync", "async", "streamed"])
def test_the_same_pipeline_on_the_real_model(environment, real_model, provider, how):
    models = {
        "meta_llama": "meta_llama/Llama-3.3-8B-Instruct",
        "llamacpp": f"llamacpp/{real_model}",
    }
    expected = {"meta_llama": "Rain is wet.", "llamacpp": "Paris"}[provider]
    generator = LLMRouteChatGenerator(
        models[provider],
        # A base model has no template: it continues what the messages say.
        generation_kwargs={
            "extra_body": {"chat_template": "plain"},
            "temperature": 0,
            "max_tokens": 5,
        },
    )
    pipeline = chat_pipeline(generator)
    template = [ChatMessage.from_user("The capital of {{ topic }} is the city of")]
    data = {"prompt": {"topic": "France", "template": template}, "out": {"query": "?"}}
    if how == "sync":
        result = pipeline.run(data)
    elif how == "async":
        result = asyncio.run(pipeline.run_async(data))
    else:
        chunks, result = asyncio.run(streamed(pipeline, data))
        assert "".join(c.content for c in chunks) == result["out"]["answers"][0].data
    assert expected in result["out"]["answers"][0].data


@pytest.mark.slow
def test_a_text_pipeline_on_the_real_model(real_model):
    pipeline = Pipeline()
    pipeline.add_component("prompt", PromptBuilder("The capital of {{ country }} is the city of"))
    generator = LlamaCppGenerator(
        str(real_model), generation_kwargs={"temperature": 0, "max_tokens": 5}
    )
    pipeline.add_component("llm", generator)
    pipeline.add_component("out", AnswerBuilder())
    pipeline.connect("prompt", "llm.prompt")
    pipeline.connect("llm.replies", "out.replies")
    pipeline.connect("llm.meta", "out.meta")
    result = pipeline.run({"prompt": {"country": "France"}, "out": {"query": "?"}})
    (answer,) = result["out"]["answers"]
    assert "Paris" in answer.data
    assert answer.meta["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_agent_with_a_tool(server, meta, weather, recorder, how, stream):
    def record(chunk):  # an object would be copied by some versions of the Agent
        recorder(chunk)

    async def record_async(chunk):
        recorder(chunk)

    call = ToolUse("weather", {"city": "Oslo"})
    server.script(
        Reply(tool_calls=[call], prompt_tokens=10, completion_tokens=5),
        Reply("It is sunny.", prompt_tokens=20, completion_tokens=3),
    )
    callback = record if how == "sync" else record_async
    agent = Agent(
        chat_generator=meta(), tools=[weather], streaming_callback=callback if stream else None
    )
    agent.warm_up()
    messages = [ChatMessage.from_user("Weather in Oslo?")]
    if how == "sync":
        result = agent.run(messages=messages)
    else:
        result = asyncio.run(agent.run_async(messages=messages))
    assert result["last_message"].text == "It is sunny."
    if "token_usage" in result:  # Haystack 2 does not sum it
        assert result["token_usage"] == {
            "prompt_tokens": 30,
            "completion_tokens": 8,
            "total_tokens": 38,
        }
    tool_turn = server.requests[1].json["messages"]
    assert tool_turn[-1]["content"] == "Sunny in Oslo"
    assert tool_turn[-1]["tool_call_id"] == tool_turn[-2]["tool_calls"][0]["id"]
    if stream:
        assert "It is sunny." in recorder.text


CALLING = """\
<tool_call>
{"name": "weather", "arguments": {"city": "Oslo"}}
</tool_call>"""


@pytest.mark.native
@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("component", ["llama-cpp", "llmroute"])
def test_an_agent_on_a_model_in_this_process(scripted, weather, recorder, how, stream, component):
    """The model always asks for the tool, so the Agent goes round until its steps are used up."""

    def record(chunk):
        recorder(chunk)

    async def record_async(chunk):
        recorder(chunk)

    path = scripted(CALLING)
    if component == "llama-cpp":
        generator = LlamaCppChatGenerator(str(path))
    else:
        generator = LLMRouteChatGenerator(f"llamacpp/{path}")
    callback = record if how == "sync" else record_async
    agent = Agent(
        chat_generator=generator,
        tools=[weather],
        max_agent_steps=2,
        streaming_callback=callback if stream else None,
    )
    agent.warm_up()
    messages = [ChatMessage.from_user("Weather in Oslo?")]
    if how == "sync":
        result = agent.run(messages=messages)
    else:
        result = asyncio.run(agent.run_async(messages=messages))
    calls = [message for message in result["messages"] if message.tool_calls]
    results = [message for message in result["messages"] if message.tool_call_results]
    assert [call.tool_call.arguments for call in calls] == [{"city": "Oslo"}] * 2
    assert [message.tool_call_result.result for message in results] == ["Sunny in Oslo"] * 2
    assert [message.tool_call_result.origin.id for message in results] == [
        c.tool_call.id for c in calls
    ]
    first, second = (call.meta["usage"]["prompt_tokens"] for call in calls)
    assert second > first, "the call and its result are in the second prompt"
    assert {call.meta["finish_reason"] for call in calls} == {"tool_calls"}
    if "token_usage" in result:
        assert result["token_usage"]["prompt_tokens"] == first + second
    deltas = [delta for chunk in recorder.chunks for delta in chunk.tool_calls or ()]
    assert [d.tool_name for d in deltas if d.tool_name] == (["weather"] * 2 if stream else [])


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_fallback_from_a_dead_url_to_this_process(spoken, recorder, how, stream):
    with LlamaAPIEmulator() as gone:
        dead = gone.compat_url
    meta = MetaLlamaChatGenerator(api_key=Secret.from_token("sk"), api_base_url=dead, max_retries=0)
    both = FallbackChatGenerator([meta, LLMRouteChatGenerator(f"llamacpp/{spoken}")])
    options = {"streaming_callback": recorder} if stream else {}
    if how == "sync":
        result = both.run("Hi", **options)
    else:
        result = asyncio.run(both.run_async("Hi", **options))
    assert result["replies"][0].text == "Hello from this process."
    assert result["meta"]["failed_chat_generators"] == ["MetaLlamaChatGenerator"]
    assert recorder.text == ("Hello from this process." if stream else "")


class OurError(Exception):
    """Raised by the tests only."""


def test_a_callbacks_error_leaves_the_pipeline(spoken):
    def failing(chunk):
        raise OurError("raised by the callback")

    pipeline = Pipeline()
    pipeline.add_component("llm", LlamaCppChatGenerator(spoken, streaming_callback=failing))
    # Haystack wraps what its components raise.
    with pytest.raises((OurError, PipelineRuntimeError), match="raised by the callback") as caught:
        pipeline.run({"llm": {"messages": [ChatMessage.from_user("Hi")]}})
    assert OurError in (type(caught.value), type(caught.value.__cause__))


class Spans(tracing.Tracer):
    """Keeps every tag of every span."""

    def __init__(self):
        self.tags = []

    def trace(self, operation_name, tags=None, parent_span=None):
        self.tags.append((operation_name, tags))
        return self

    def current_span(self):
        return self

    def set_tag(self, key, value):
        self.tags.append((key, value))

    set_content_tag = set_tag

    def raw_span(self):
        return self

    def get_correlation_data_for_logs(self):
        return {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def test_traces_have_no_key(server, meta):
    spans = Spans()
    tracing.enable_tracing(spans)
    try:
        pipeline = Pipeline()
        pipeline.add_component("llm", meta())
        pipeline.run({"llm": {"messages": [ChatMessage.from_user("Hi")]}})
    finally:
        tracing.disable_tracing()
    assert "You said: Hi" in str(spans.tags)
    assert server.api_key not in str(spans.tags)
