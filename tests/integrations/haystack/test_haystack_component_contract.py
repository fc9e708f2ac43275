"""What Haystack asks of every component."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from haystack import Pipeline
from haystack.components.agents import Agent
from haystack.components.generators.utils import print_streaming_chunk
from haystack.core.component import Component
from haystack.dataclasses import ChatMessage
from haystack.tools import Tool, Toolset
from haystack.utils import Secret
from pydantic import BaseModel

from llmroute import loaded_models
from llmroute.integrations.haystack import (
    LlamaCppChatGenerator,
    LlamaCppGenerator,
    LLMRouteChatGenerator,
    MetaLlamaChatGenerator,
)
from llmroute.schemas import response_format

ROOT = Path(__file__).parents[3]
CHATS = [
    lambda **options: MetaLlamaChatGenerator(**options),
    lambda **options: LLMRouteChatGenerator("llamacpp/nowhere.gguf", **options),
    lambda **options: LLMRouteChatGenerator("meta_llama/any", **options),
    lambda **options: LlamaCppChatGenerator("nowhere.gguf", **options),
]
ALL = [*CHATS, lambda **options: LlamaCppGenerator("nowhere.gguf", **options)]
CHAT_IDS = ["meta", "llmroute-local", "llmroute-http", "llama-cpp"]
IDS = [*CHAT_IDS, "llama-cpp-text"]
every_chat = pytest.mark.parametrize("make", CHATS, ids=CHAT_IDS)
every_one = pytest.mark.parametrize("make", ALL, ids=IDS)


def twin(run):
    """The async method, called like the sync one."""

    def call(*args, **options):
        return asyncio.run(run(*args, **options))

    return call


def runs(component):
    return [component.run, twin(component.run_async)]


@every_one
def test_init_needs_no_key_no_model_and_no_network(make):
    component = make()
    assert isinstance(component, Component)
    component.to_dict()


@every_one
def test_run_and_run_async_take_the_same(make):
    component = make()
    assert inspect.signature(component.run) == inspect.signature(component.run_async)
    for name in ("warm_up", "close"):
        assert inspect.iscoroutinefunction(getattr(component, f"{name}_async"))


def test_signatures_are_those_people_know():
    def names(function):
        parameters = inspect.signature(function).parameters.values()
        return [f"*{p.name}" if p.kind is p.KEYWORD_ONLY else p.name for p in parameters]

    assert names(MetaLlamaChatGenerator.__init__) == [
        "self",
        *("*api_key", "*model", "*streaming_callback", "*api_base_url", "*generation_kwargs"),
        *("*timeout", "*max_retries", "*tools", "*surface"),
    ]
    assert names(MetaLlamaChatGenerator.run) == [
        *("self", "messages", "streaming_callback", "generation_kwargs", "*tools", "*tools_strict")
    ]
    loading = ["self", "model", "n_ctx", "n_batch", "model_kwargs", "generation_kwargs"]
    assert names(LlamaCppChatGenerator.__init__) == [
        *loading,
        *("*tools", "*streaming_callback", "*chat_handler_name", "*model_clip_path"),
    ]
    assert names(LlamaCppChatGenerator.run) == [
        *("self", "messages", "generation_kwargs", "*tools", "*streaming_callback")
    ]
    assert names(LlamaCppGenerator.__init__) == [*loading, "*streaming_callback"]
    assert names(LlamaCppGenerator.run) == [
        *("self", "prompt", "generation_kwargs", "*streaming_callback")
    ]


@every_chat
@pytest.mark.parametrize("nothing", [[], ""], ids=["list", "text"])
def test_run_without_messages_gives_no_replies_and_loads_nothing(make, nothing):
    before = len(loaded_models())
    for run in runs(make()):
        assert run(messages=nothing) == {"replies": []}
    assert len(loaded_models()) == before


def test_run_without_a_prompt_gives_no_replies_and_loads_nothing():
    for run in runs(LlamaCppGenerator("nowhere.gguf")):
        assert run(prompt="") == {"replies": [], "meta": []}


@every_chat
@pytest.mark.parametrize("wrong", [None, 7, ["text"], ({"role": "user"},)])
def test_run_refuses_other_types_than_messages(make, wrong):
    for run in runs(make()):
        with pytest.raises(TypeError, match="ChatMessage"):
            run(messages=wrong)


def test_run_takes_a_text_as_a_message_of_the_user(chat_component):
    for run in runs(chat_component):
        (reply,) = run(messages="Hi")["replies"]
        assert reply.text == "Hello from this process."


async def coroutine_callback(chunk):
    """Takes a chunk."""


class AsyncCallable:
    async def __call__(self, chunk):
        """Takes a chunk."""


@every_one
@pytest.mark.parametrize("callback", [coroutine_callback, AsyncCallable()])
def test_run_refuses_a_coroutine_callback(make, callback):
    component = make()
    with pytest.raises(ValueError, match="run_async"):
        component.run("Hi", streaming_callback=callback)
    component.streaming_callback = callback
    with pytest.raises(ValueError, match="run_async"):
        component.run("Hi")


@pytest.mark.filterwarnings("error")
def test_run_refuses_a_callback_that_returns_a_coroutine(chat_component):
    with pytest.raises(ValueError, match="run_async"):
        chat_component.run("Hi", streaming_callback=lambda chunk: coroutine_callback(chunk))
    running = chat_component.run_async(
        "Hi", streaming_callback=lambda chunk: coroutine_callback(chunk)
    )
    assert asyncio.run(running)["replies"]


@every_chat
def test_tools_of_the_same_name_are_refused(make, weather):
    with pytest.raises(ValueError, match="weather"):
        make(tools=[weather, Toolset([weather])])
    for run in runs(make()):
        with pytest.raises(ValueError, match="weather"):
            run("Hi", tools=[weather, weather])


class City(BaseModel):
    name: str


FUNCTION = Tool(
    name="absolute",
    description="A number without its sign",
    parameters={"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    function=abs,
)


@every_chat
@pytest.mark.parametrize(
    "tools",
    [None, [FUNCTION], Toolset([FUNCTION]), [Toolset([FUNCTION])], []],
    ids=["none", "list", "toolset", "mixed", "empty"],
)
def test_to_dict_and_back(make, tools):
    component = make(
        generation_kwargs={"max_tokens": 3, "response_format": City},
        streaming_callback=print_streaming_chunk,
        tools=tools,
    )
    data = component.to_dict()
    written = data["init_parameters"]
    assert written["generation_kwargs"]["response_format"] == response_format(City)
    assert component.generation_kwargs["response_format"] is City
    before = str(data)
    restored = type(component).from_dict(data)
    assert str(data) == before
    assert restored.to_dict() == data
    assert restored.streaming_callback is print_streaming_chunk
    assert type(restored.tools) is type(tools)


@pytest.mark.parametrize("make", [LlamaCppChatGenerator, LlamaCppGenerator, LLMRouteChatGenerator])
def test_to_dict_gives_a_copy(make):
    component = make("llamacpp/a", model_kwargs={"n_ctx": 8}, generation_kwargs={"stop": ["a"]})
    before = str(data := component.to_dict())
    data["init_parameters"]["model_kwargs"]["n_ctx"] = 9
    data["init_parameters"]["generation_kwargs"]["stop"].append("b")
    assert str(component.to_dict()) == before


@pytest.mark.parametrize("component", [MetaLlamaChatGenerator, LLMRouteChatGenerator])
def test_to_dict_writes_the_names_of_secrets_only(component, monkeypatch):
    options = {"model": "meta_llama/any", "api_key": Secret.from_env_var("SOME_VARIABLE")}
    monkeypatch.setenv("SOME_VARIABLE", "sk-very-secret")
    made = component(**options)
    data = made.to_dict()
    assert data["init_parameters"]["api_key"]["env_vars"] == ["SOME_VARIABLE"]
    assert "sk-very-secret" not in str(data)
    assert component.from_dict(data).api_key == options["api_key"]
    with pytest.raises(ValueError, match="token"):
        component(**{**options, "api_key": Secret.from_token("sk-very-secret")}).to_dict()


@every_one
@pytest.mark.parametrize(
    ("misused", "error", "says"),
    [
        ({"api_key": "sk-secret"}, ValueError, "api_key=Secret"),
        ({"api_key": "sk-secret", 1: 2}, TypeError, "names as keys, not 1"),
        ("max_tokens=5", TypeError, "generation_kwargs must be a dict, not str"),
        ([("max_tokens", 5)], TypeError, "generation_kwargs must be a dict, not list"),
        ({"model": "other"}, ValueError, "'model' does not belong .* give it to the component"),
        ({"messages": []}, ValueError, r"'messages' does not belong .* give them to run\(\)"),
        ({"prompt": "Hi"}, ValueError, "'prompt' does not belong"),
        ({"model_kwargs": {"n_ctx": 64}}, ValueError, "'model_kwargs' does not belong"),
        ({"api_base": "http://127.0.0.1"}, ValueError, "api_base_url"),
        ({"streaming_callback": print}, ValueError, "'streaming_callback' does not belong"),
        ({"generation_kwargs": {"max_tokens": 5}}, ValueError, "give its keys directly"),
        ({"tools": [FUNCTION]}, ValueError, "Tools and Toolsets"),
        ({"tools": Toolset([FUNCTION])}, ValueError, "Tools and Toolsets"),
    ],
)
def test_generation_kwargs_misused_are_refused_before_anything_is_sent(make, misused, error, says):
    with pytest.raises(error, match=says) as caught:
        make(generation_kwargs=misused)
    assert "sk-secret" not in str(caught.value)
    for run in runs(make()):
        with pytest.raises(error, match=says):
            run("Hi", generation_kwargs=misused)


@every_one
def test_stream_among_generation_kwargs_is_a_bool(make):
    for run in runs(make()):
        with pytest.raises(TypeError, match="stream in generation_kwargs must be True or False"):
            run("Hi", generation_kwargs={"stream": "yes"})


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_run_warns_of_a_cut_answer(chat_component, caplog, streamed):
    for run in runs(chat_component):
        caplog.clear()
        options = {"generation_kwargs": {"max_tokens": 2, "stream": streamed}}
        (reply,) = run("Hi", **options)["replies"]
        assert reply.meta["finish_reason"] == "length"
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert "index 0 was cut" in record.getMessage()
        assert "max_tokens" in record.getMessage()


def test_run_warns_of_a_cut_text_only(spoken, caplog):
    for run in runs(LlamaCppGenerator(spoken)):
        caplog.clear()
        run("Hi", generation_kwargs={"max_tokens": 2, "n": 2})
        assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
        caplog.clear()
        run("Hi")
        assert not caplog.records


@pytest.mark.parametrize("component", [MetaLlamaChatGenerator, LLMRouteChatGenerator])
def test_a_missing_key_names_its_variable(component):
    made = component(model="meta_llama/any", api_key=Secret.from_env_var("SOME_VARIABLE"))
    for call in (made.warm_up, twin(made.warm_up_async), lambda: made.run("Hi")):
        with pytest.raises(ValueError, match="SOME_VARIABLE"):
            call()


def test_yaml_is_the_same_before_and_after_a_run(chat_component, spoken, monkeypatch):
    if hasattr(chat_component, "api_key") and chat_component.api_key is not None:
        monkeypatch.setenv("TEST_API_KEY", chat_component.api_key.resolve_value())
        chat_component.api_key = Secret.from_env_var("TEST_API_KEY")
    pipeline = Pipeline()
    pipeline.add_component("llm", chat_component)
    before = pipeline.dumps()
    pipeline.run({"llm": {"messages": [ChatMessage.from_user("Hi")]}})
    assert pipeline.dumps() == before
    answer = Pipeline.loads(before).run({"llm": {"messages": [ChatMessage.from_user("Hi")]}})
    assert answer["llm"]["replies"][0].text == "Hello from this process."


LOADER = """
import sys
from haystack import Pipeline
pipeline = Pipeline.loads(sys.stdin.read())
print(pipeline.dumps(), end="")
"""


def test_yaml_is_loaded_by_a_process_that_knows_only_haystack():
    pipeline = Pipeline()
    for name, make in zip(IDS, ALL, strict=True):
        component = make(streaming_callback=print_streaming_chunk)
        if name in CHAT_IDS:
            component.tools = [FUNCTION, Toolset([])]
        pipeline.add_component(name, component)
    agent = Agent(chat_generator=LLMRouteChatGenerator("llamacpp/nowhere.gguf"), tools=[FUNCTION])
    pipeline.add_component("agent", agent)
    written = pipeline.dumps()
    done = subprocess.run(
        [sys.executable, "-c", LOADER],
        input=written,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "HAYSTACK_TELEMETRY_ENABLED": "False", "PATH": ""},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == written


@pytest.mark.parametrize(
    ("path", "kind", "written"),
    [
        ("chat.LLMRouteChatGenerator", LLMRouteChatGenerator, {"model": "openai/gpt-4o"}),
        ("meta_llama.MetaLlamaChatGenerator", MetaLlamaChatGenerator, {"model": "any"}),
        ("llama_cpp_chat.LlamaCppChatGenerator", LlamaCppChatGenerator, {"model": "a.gguf"}),
        ("llama_cpp.LlamaCppGenerator", LlamaCppGenerator, {"model": "a.gguf"}),
    ],
)
def test_from_dict_loads_the_published_paths(path, kind, written):
    """As pipelines have them that were written down earlier, with `model_kwargs` not filled in."""
    module = "haystack_integrations.components.generators.llmroute"
    if kind is not MetaLlamaChatGenerator:
        written = {**written, "model_kwargs": {}}
    data = {"type": f"{module}.{path}", "init_parameters": {**written, "generation_kwargs": {}}}
    loaded = kind.from_dict(data)
    assert type(loaded) is kind
    assert loaded.to_dict()["type"] == data["type"]
    assert loaded.to_dict()["init_parameters"]["model"] == written["model"]


def test_run_does_not_change_the_callers_dicts(spoken):
    load, generation = {"n_batch": 64, "verbose": False}, {"max_tokens": 2}
    component = LlamaCppChatGenerator(spoken, model_kwargs=load, generation_kwargs=generation)
    component.run("Hi", generation_kwargs=(more := {"max_tokens": 1}))
    assert load == {"n_batch": 64, "verbose": False}
    assert (generation, more) == ({"max_tokens": 2}, {"max_tokens": 1})
    component.close()
