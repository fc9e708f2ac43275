"""The second turn of a tool loop in the chat templates that models carry.

The templates are ours; each does what the published one of its name does with calls and results.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from llmroute.engine.templates.builtin import BUILT_IN
from llmroute.engine.templates.chat import render_chat
from llmroute.engine.templates.tool_messages import _good_forms
from llmroute.engine.vocabulary.control_tokens import ControlTokens
from llmroute.errors import BadRequestError
from llmroute.testing.tiny_gguf import CHAT_TEMPLATE

FOLDER = Path(__file__).parent
TEMPLATES = {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.jinja"))}
EVERY = {**TEMPLATES, **{f"built-in {n}": t for n, t in BUILT_IN.items()}, "tiny": CHAT_TEMPLATE}
every_template = pytest.mark.parametrize("template", EVERY.values(), ids=EVERY)

CONTROL = ControlTokens.of(["<s>", "</s>"], bos="<s>", eos="</s>")
USER = {"role": "user", "content": "Is it raining?"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
]


def call(number, city):
    arguments = json.dumps({"city": city, "days": number + 1}, ensure_ascii=False)
    return {
        "id": f"call_{number}_of_a_long_kind",
        "type": "function",
        "function": {"name": "get_weather", "arguments": arguments},
    }


def result(number, text):
    return {"role": "tool", "tool_call_id": f"call_{number}_of_a_long_kind", "content": text}


def calls(*cities, content=""):
    made = [call(number, city) for number, city in enumerate(cities)]
    return {"role": "assistant", "content": content, "tool_calls": made}


def rendered(template, *messages, tools=TOOLS):
    return render_chat(messages, template, CONTROL, tools=tools).text


def in_order(text, *needles):
    """Whether the needles come one after the other."""
    places = [text.find(needle) for needle in needles]
    return -1 not in places and all(a <= b for a, b in pairwise(places))


@every_template
@pytest.mark.parametrize("tools", [TOOLS, None], ids=["tools", "no tools"])
@pytest.mark.parametrize("content", ["", None], ids=["empty", "null"])
def test_name_argument_and_result_are_in_the_prompt(template, tools, content):
    turn = [USER, calls("Bogotá", content=content), result(0, "Heavy rain, 14 degrees")]
    text = rendered(template, *turn, tools=tools)
    after = text.rpartition("Is it raining")[2]
    assert in_order(after, "get_weather", "Bogotá", "Heavy rain, 14 degrees")
    assert "city" in after
    assert "'city'" not in after
    assert '\\"city' not in after


@every_template
def test_two_calls_at_once(template):
    turn = [USER, calls("Bogotá", "Oslo"), result(0, "Heavy rain"), result(1, "Dry")]
    text = rendered(template, *turn)
    after = text.rpartition("Is it raining")[2]
    assert after.count("get_weather") >= 2
    for needle in ("Bogotá", "Oslo", "Heavy rain", "Dry"):
        assert needle in after


@every_template
def test_a_conversation_goes_on_after_the_loop(template):
    answer = {"role": "assistant", "content": "Only in Bogotá."}
    thanks = {"role": "user", "content": "And tomorrow?"}
    turns = [USER, calls("Bogotá"), result(0, "Heavy rain"), answer, thanks, calls("Oslo")]
    text = rendered(template, *turns, result(0, "Snow"))
    assert in_order(text, "Is it raining", "Heavy rain", "Only in", "And tomorrow", "Snow")


@every_template
def test_the_user_speaks_right_after_a_result(template):
    more = {"role": "user", "content": "In one word."}
    text = rendered(template, USER, calls("Bogotá"), result(0, "Heavy rain"), more)
    assert in_order(text, "get_weather", "Heavy rain", "In one word.")


@pytest.mark.parametrize(
    "name", ["qwen2.5", "qwen3", "deepseek-r1", "gemma-3", "chatml", "gpt-oss"]
)
def test_what_the_assistant_says_beside_a_call(name):
    turn = [USER, calls("Bogotá", content="Let me look."), result(0, "Heavy rain")]
    text = rendered(TEMPLATES[name], *turn)
    assert in_order(text, "Let me look.", "get_weather", "Heavy rain")


NATIVE_CALLS = {
    "command-r7b": '"tool_name": "get_weather", "parameters": {"city": "Bogotá", "days": 1}',
    "deepseek-r1": 'get_weather\n```json\n{"city": "Bogotá", "days": 1}\n```',
    "functionary-3": '>>>get_weather\n{"city": "Bogotá", "days": 1}',
    "glm-4.5": "<arg_key>city</arg_key>\n<arg_value>Bogotá</arg_value>",
    "gpt-oss": 'to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Bogotá"',
    "granite-3.3": '[{"name": "get_weather", "arguments": {"city": "Bogotá", "days": 1}}]',
    "hermes-3": '{"name": "get_weather", "arguments": {"city": "Bogotá", "days": 1}}',
    "llama-3.1": '{"name": "get_weather", "parameters": {"city": "Bogotá", "days": 1}}',
    "llama-4": '{"name": "get_weather", "parameters": {"city": "Bogotá", "days": 1}}',
    "mistral-7b-v0.3": '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Bogotá"',
    "mistral-small-3.2": '[TOOL_CALLS]get_weather[ARGS]{"city": "Bogotá", "days": 1}',
    "qwen2.5": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bogotá", "days": 1}}',
    "qwen3": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bogotá", "days": 1}}',
    "qwen3-coder": "<function=get_weather>\n<parameter=city>\nBogotá\n</parameter>",
}


@pytest.mark.parametrize(("name", "shown"), NATIVE_CALLS.items(), ids=NATIVE_CALLS)
def test_a_template_that_knows_calls_writes_them_its_own_way(name, shown):
    assert _good_forms(TEMPLATES[name])[0].calls
    assert shown in rendered(TEMPLATES[name], USER, calls("Bogotá"), result(0, "Rain"))


NATIVE_RESULTS = {
    "command-r7b": '"results": {"0": "Rain"}',
    "deepseek-r1": "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>Rain<｜tool▁output▁end｜>",
    "functionary-3": "name=get_weather\nRain",
    "gpt-oss": 'functions.get_weather to=assistant<|channel|>commentary<|message|>"Rain"',
    "hermes-3": '{"name": "get_weather", "content": "Rain"}',
    "llama-3.1": '<|start_header_id|>ipython<|end_header_id|>\n\n"Rain"',
    "qwen2.5": "<|im_start|>user\n<tool_response>\nRain\n</tool_response><|im_end|>",
    "chatml": "<|im_start|>tool\nRain<|im_end|>",
    "phi-4-mini": "<|tool|>Rain<|end|>",
}


@pytest.mark.parametrize(("name", "shown"), NATIVE_RESULTS.items(), ids=NATIVE_RESULTS)
def test_a_template_that_knows_results_writes_them_its_own_way(name, shown):
    assert shown in rendered(TEMPLATES[name], USER, calls("Bogotá"), result(0, "Rain"))


@pytest.mark.parametrize("name", ["gemma-2", "gemma-3", "phi-3", "command-r", "llama-2"])
def test_a_template_without_tools_gets_a_chat(name):
    text = rendered(TEMPLATES[name], USER, calls("Bogotá"), result(0, "Rain"))
    assert (
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bogotá", "days": 1}}\n'
        "</tool_call>" in text
    )
    assert "<tool_response>\nRain\n</tool_response>" in text


def test_mistrals_ids_have_nine_letters_and_stay_tied():
    text = rendered(TEMPLATES["mistral-7b-v0.3"], USER, calls("Bogotá"), result(0, "Rain"))
    identity = text.partition('"id": "')[2].partition('"')[0]
    assert len(identity) == 9
    assert identity.isalnum()
    assert f'"call_id": "{identity}"' in text


def test_calls_that_fit_are_left_alone():
    short = {**call(0, "Oslo"), "id": "abcdefghi"}
    turn = [
        USER,
        {"role": "assistant", "content": "", "tool_calls": [short]},
        {"role": "tool", "tool_call_id": "abcdefghi", "content": "Rain"},
    ]
    assert '"id": "abcdefghi"' in rendered(TEMPLATES["mistral-7b-v0.3"], *turn)


@pytest.mark.parametrize("broken", ["{", "[1]", "", None, 7])
@every_template
def test_arguments_that_are_no_object_do_not_stop_a_conversation(template, broken):
    """A model wrote them, and its words are history now."""
    spoilt = call(0, "Oslo")
    spoilt["function"]["arguments"] = broken
    turn = [USER, {"role": "assistant", "content": "", "tool_calls": [spoilt]}, result(0, "Rain")]
    text = rendered(template, *turn)
    assert in_order(text, "get_weather", "Rain")


@pytest.mark.parametrize("wrong", ["text", [7], [{"id": "a"}], [{"function": "f"}]])
def test_what_is_no_call_is_told(wrong):
    message = {"role": "assistant", "content": "", "tool_calls": wrong}
    with pytest.raises(BadRequestError, match="tool call"):
        rendered(TEMPLATES["qwen3"], USER, message)


def test_a_result_without_its_call_is_shown_all_the_same():
    text = rendered(TEMPLATES["qwen2.5"], USER, result(0, "Rain"))
    assert "<tool_response>\nRain" in text
