"""LlamaCppChatGenerator and LlamaCppGenerator on real, tiny models."""

from __future__ import annotations

import asyncio
import base64
import gc
from pathlib import Path

import pytest
from haystack.dataclasses import ChatMessage, ImageContent, ToolCall
from pngs import BLUE, RED, png
from pydantic import BaseModel

from llmroute import loaded_models
from llmroute.engine.options.vision_formats import handler_names
from llmroute.errors import BadRequestError, NotFoundError, UnsupportedParamsError
from llmroute.integrations.haystack import (
    LlamaCppChatGenerator,
    LlamaCppGenerator,
    LLMRouteChatGenerator,
)
from llmroute.testing.tiny_mmproj import IMAGE_TOKENS, write_mmproj

pytestmark = pytest.mark.native

PIXEL = "iVBORw0KGgo="  # how any PNG begins


def loaded(path):
    """How the model is loaded, for each time it is."""
    real = str(Path(path).resolve())
    return [model.options for model in loaded_models() if model.path == real]


@pytest.fixture
def fresh(scripted, tmp_path):
    """A model file of this test's own."""
    copy = tmp_path / "fresh.gguf"
    copy.write_bytes(scripted("Hello from this process.").read_bytes())
    return str(copy)


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize(
    "make",
    [
        LlamaCppChatGenerator,
        LlamaCppGenerator,
        lambda path: LLMRouteChatGenerator(f"llamacpp/{path}"),
    ],
    ids=["chat", "text", "llmroute"],
)
def test_warm_up_and_close(fresh, how, make):
    def do(name):
        if how == "sync":
            return getattr(component, name)()
        return asyncio.run(getattr(component, f"{name}_async")())

    component, other = make(fresh), make(fresh)
    do("close")  # nothing is loaded yet
    do("warm_up")
    assert len(loaded(fresh)) == 1
    other.run("Hi")
    assert len(loaded(fresh)) == 1
    do("close")
    assert len(loaded(fresh)) == 1, "another component still uses it"
    other.close()
    assert loaded(fresh) == []
    assert component.run("Hi")["replies"], "a run loads it again"
    do("close")
    do("close")
    assert loaded(fresh) == []


def test_close_ignores_components_that_were_deleted(fresh):
    LlamaCppChatGenerator(fresh).run("Hi")
    gc.collect()  # Haystack's sockets and the component hold each other
    component = LlamaCppChatGenerator(fresh)
    component.run("Hi")
    component.close()
    assert loaded(fresh) == []


def test_text_only_parameters(scripted):
    marks = {"fim_pre": 2, "fim_suf": 1, "fim_mid": 0}
    metadata = {f"tokenizer.ggml.{name}_token_id": token for name, token in marks.items()}
    generator = LlamaCppGenerator(str(scripted("Hello from here.", metadata=metadata)))
    best = generator.run("Hi", {"best_of": 3, "n": 2})
    assert best["replies"] == ["Hello from here."] * 2
    one = generator.run("Hi", {"suffix": "!"})
    assert one["replies"] == ["Hello from here."]
    generated = one["meta"][0]["usage"]["completion_tokens"]
    assert best["meta"][0]["usage"]["completion_tokens"] == 3 * generated
    scored = generator.run("Hi", {"echo": True, "logprobs": 1, "max_tokens": 0})
    assert scored["replies"] == ["Hi"]
    assert scored["meta"][0]["choices"][0]["logprobs"]["token_logprobs"][0] is None
    with pytest.raises(BadRequestError, match="cannot stream"):
        generator.run("Hi", {"best_of": 2}, streaming_callback=print)


@pytest.mark.parametrize("make", [LlamaCppChatGenerator, LlamaCppGenerator])
def test_model_kwargs_win_and_are_not_changed(fresh, make):
    load = {"model_path": fresh, "n_ctx": 512, "n_batch": 32, "verbose": True, "logits_all": True}
    load |= {"numa": False, "rope_freq_base": 0.0, "last_n_tokens_size": 64, "split_mode": 1}
    before = dict(load)
    component = make("nowhere.gguf", n_ctx=1024, n_batch=64, model_kwargs=load)
    assert component.run("Hi")["replies"]
    (options,) = loaded(fresh)
    assert (options.n_ctx, options.n_batch) == (512, 32)
    assert load == before == component.model_kwargs
    component.close()
    component = make(fresh, n_ctx=1024, n_batch=64)
    component.warm_up()
    (options,) = loaded(fresh)
    assert (options.n_ctx, options.n_batch) == (1024, 64)
    component.close()


def test_model_may_be_a_path_object(spoken):
    component = LlamaCppChatGenerator(Path(spoken))
    assert component.run("Hi")["replies"][0].text == "Hello from this process."
    assert component.to_dict()["init_parameters"]["model"] == spoken


def test_a_missing_file_is_not_found(local_component):
    component = type(local_component)("/nowhere/at-all.gguf")
    for call in (component.warm_up, lambda: component.run("Hi")):
        with pytest.raises(NotFoundError, match="at-all"):
            call()


def test_generation_kwargs(spoken):
    component = LlamaCppChatGenerator(spoken, generation_kwargs={"max_tokens": 1, "top_k": 5})
    (short,) = component.run("Hi")["replies"]
    assert (short.text, short.meta["finish_reason"]) == ("Hello", "length")
    (longer,) = component.run("Hi", {"max_tokens": 2, "mirostat_mode": 0})["replies"]
    assert longer.text == "Hello from"
    assert len(component.run("Hi", {"n": 3})["replies"]) == 3
    with pytest.raises(UnsupportedParamsError, match="max_tokens"):
        component.run("Hi", {"max_token": 2})


def test_meta_of_a_text_is_the_whole_response(spoken):
    result = LlamaCppGenerator(spoken).run("Once", {"max_tokens": 2, "n": 2})
    assert result["replies"] == ["Hello from"] * 2
    (first, second) = result["meta"]
    assert first == second
    assert first is not second
    assert first["object"] == "text_completion"
    assert [choice["finish_reason"] for choice in first["choices"]] == ["length"] * 2
    assert first["usage"]["completion_tokens"] == 4


def test_chat_format_and_seed_of_llama_cpp_python(scripted):
    base = str(scripted("Fine.", chat_template=None))
    with pytest.raises(Exception, match="chat template"):
        LlamaCppChatGenerator(base).run("Hi")
    component = LlamaCppChatGenerator(base, model_kwargs={"chat_format": "chatml", "seed": 3})
    assert component.run("Hi")["replies"][0].text == "Fine."


def test_chat_format_is_taken_by_every_name_or_refused_at_once(scripted):
    formats = pytest.importorskip("llama_cpp.llama_chat_format")
    base = str(scripted("Fine.", chat_template=None))
    for name in formats.LlamaChatCompletionHandlerRegistry()._chat_handlers:
        if name.startswith("functionary"):
            with pytest.raises(ValueError, match="Leave it out"):
                LlamaCppChatGenerator(base, model_kwargs={"chat_format": name})
        else:
            component = LlamaCppChatGenerator(base, model_kwargs={"chat_format": name})
            assert component.run("Hi")["replies"][0].text == "Fine."
    for unknown in ("chatlm", 7, ["chatml"]):
        with pytest.raises(ValueError, match="chatml"):
            LlamaCppChatGenerator(base, model_kwargs={"chat_format": unknown})


def test_chat_format_ends_an_answer_where_the_next_turn_begins(scripted):
    base = str(scripted("Fine. So it is.\n<human>: And you?", chat_template=None))
    component = LlamaCppChatGenerator(base, model_kwargs={"chat_format": "redpajama-incite"})
    assert component.run("Hi")["replies"][0].text == "Fine. So it is.\n"
    for stop in ("So", ["So"]):
        assert component.run("Hi", {"stop": stop})["replies"][0].text == "Fine. "
    # A template of the run's own has nothing to do with the format.
    whole = component.run("Hi", {"chat_template": "chatml"})["replies"][0].text
    assert whole.endswith("And you?")


@pytest.mark.parametrize("how", ["sync", "async"])
def test_max_tokens_below_0_is_no_limit(spoken, how):
    for component in (
        LlamaCppChatGenerator(spoken, generation_kwargs={"max_tokens": 2}),
        LlamaCppGenerator(spoken, generation_kwargs={"max_tokens": 2}),
        LLMRouteChatGenerator(f"llamacpp/{spoken}", generation_kwargs={"max_tokens": 2}),
    ):
        given = {"generation_kwargs": {"max_tokens": -1}}
        result = (
            component.run("Hi", **given)
            if how == "sync"
            else asyncio.run(component.run_async("Hi", **given))
        )
        (reply,) = result["replies"]
        assert getattr(reply, "text", reply) == "Hello from this process."


@pytest.mark.parametrize("make", [LlamaCppChatGenerator, LlamaCppGenerator])
def test_model_kwargs_show_the_other_parameters_in_a_copy(make):
    load = {"n_batch": 64, "verbose": False}
    component = make("here.gguf", n_ctx=256, model_kwargs=load)
    filled = {"model_path": "here.gguf", "n_ctx": 256, "n_batch": 64, "verbose": False}
    assert component.model_kwargs == filled
    assert component.to_dict()["init_parameters"]["model_kwargs"] == filled
    assert load == {"n_batch": 64, "verbose": False}
    assert make.from_dict(component.to_dict()).model_kwargs == filled
    assert make("here.gguf").model_kwargs == {
        **{"model_path": "here.gguf", "n_ctx": 0, "n_batch": 512}
    }


@pytest.mark.parametrize("make", [LlamaCppChatGenerator, LlamaCppGenerator])
@pytest.mark.parametrize(
    ("load", "error", "says"),
    [
        ({"n_gpu_layer": 1}, UnsupportedParamsError, "n_gpu_layers"),
        ({"chat_handler": object()}, UnsupportedParamsError, "chat_handler_name"),
        ({"hf_tokenizer_path": "x"}, UnsupportedParamsError, "hf_tokenizer_path"),
        ("n_ctx=64", TypeError, "model_kwargs must be a dict, not str"),
        ([("n_ctx", 64)], TypeError, "model_kwargs must be a dict, not list"),
        ({1: 2}, TypeError, "names as keys, not 1"),
    ],
)
def test_model_kwargs_misused_are_refused_at_construction(make, load, error, says):
    with pytest.raises(error, match=says):
        make("nowhere.gguf", model_kwargs=load)


def test_seed_in_model_kwargs_repeats_an_answer(tiny_random):
    def said(**load):
        component = LlamaCppChatGenerator(str(tiny_random), model_kwargs=load)
        (reply,) = component.run("Hi", {"max_tokens": 20, "temperature": 1.5})["replies"]
        return reply._content

    assert said(seed=5) == said(seed=5)
    assert said() != said()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"chat_handler_name": "Qwen25VLChatHandler"}, "model_clip_path must be"),
        ({"model_clip_path": "mmproj.gguf"}, "chat_handler_name must be"),
        ({"chat_handler_name": "NoHandler", "model_clip_path": "x"}, "Unknown chat handler"),
    ],
)
def test_chat_handler_and_clip_model_need_each_other(options, problem):
    with pytest.raises(ValueError, match=problem):
        LlamaCppChatGenerator("model.gguf", **options)


def test_chat_handler_names_are_those_of_llama_cpp_python():
    from llama_cpp import llama_chat_format

    defined = {name for name in vars(llama_chat_format) if name.endswith("ChatHandler")}
    assert defined - set(handler_names()) == set()


@pytest.mark.parametrize("handler", ["MTMDChatHandler", "Llava15ChatHandler"])
def test_a_model_sees_images(tiny_random, tmp_path, handler):
    """Weights are random: what counts is that the picture changes the answer, and nothing else."""
    encoder = write_mmproj(tmp_path / "mmproj.gguf")
    component = LlamaCppChatGenerator(
        str(tiny_random),
        generation_kwargs={"max_tokens": 12, "temperature": 0},
        chat_handler_name=handler,
        model_clip_path=str(encoder),
    )

    def said(colour):
        picture = base64.b64encode(png(colour)).decode()
        content = ImageContent(base64_image=picture, mime_type="image/png")
        message = ChatMessage.from_user(content_parts=["What is", content, "this?"])
        return component.run([message])["replies"][0]

    red, again, blue = said(RED), said(RED), said(BLUE)
    assert red.text == again.text != blue.text
    assert red.meta["usage"]["prompt_tokens"] > IMAGE_TOKENS
    assert asyncio.run(component.run_async("No picture"))["replies"][0].text is not None
    component.close()


@pytest.mark.parametrize("kind", ["image/tiff", "image/webp"])
def test_image_formats_that_llama_cpp_cannot_read_are_refused(spoken, kind):
    image = ImageContent(base64_image=PIXEL, mime_type=kind, validation=False)
    message = ChatMessage.from_user(content_parts=["Look:", image])
    with pytest.raises(ValueError, match=f"{kind}; the model takes: image/bmp"):
        LlamaCppChatGenerator(spoken).run([message])


class Prize(BaseModel):
    name: str
    year: int


SCHEMA = Prize.model_json_schema()


@pytest.mark.parametrize(
    "wanted",
    [
        Prize,
        {"type": "json_schema", "json_schema": {"name": "prize", "schema": SCHEMA}},
        {"type": "json_object", "schema": SCHEMA},  # llama-cpp-python's own form
    ],
    ids=["model", "json_schema", "json_object"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_response_format_forces_the_schema(tiny_random, wanted, streamed):
    """A model with random weights would never write this by itself."""
    component = LlamaCppChatGenerator(
        str(tiny_random), generation_kwargs={"response_format": wanted, "max_tokens": 400}
    )
    callback = (lambda chunk: None) if streamed else None
    replies = [
        component.run("Who?", {"seed": seed}, streaming_callback=callback)["replies"][0]
        for seed in range(3)
    ]
    whole = [reply for reply in replies if reply.meta["finish_reason"] == "stop"]
    assert all(Prize.model_validate_json(reply.text) for reply in whole)
    assert all(reply.text.startswith("{") for reply in replies)


TEMPLATES = sorted(Path(__file__).parents[1].glob("templates/*.jinja"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_the_second_turn_of_a_tool_loop_in_every_template(spoken, weather, template):
    """What reaches the prompt is tested beside the templates; here the engine reads it."""
    calls = [
        ToolCall(id=f"call_{city}", tool_name="weather", arguments={"city": city})
        for city in ("Oslo", "Bogotá")
    ]
    messages = [
        ChatMessage.from_user("Weather?"),
        ChatMessage.from_assistant(tool_calls=calls),
        *(ChatMessage.from_tool("Sunny", origin=call) for call in calls),
    ]
    component = LlamaCppChatGenerator(spoken, tools=[weather])
    (reply,) = component.run(messages, {"chat_template": template.read_text("utf-8")})["replies"]
    # DeepSeek's template begins the thinking, so what is said is thought.
    said = reply.text or reply.reasoning.reasoning_text
    assert said == "Hello from this process."
    assert reply.meta["usage"]["prompt_tokens"] > 100
