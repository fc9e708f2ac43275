"""A real chat model (SmolLM2 135M Instruct): its own template, and what it says held to a form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from llmroute import completion, token_counter, unload

pytest.importorskip("llama_cpp")
CHAT_MODEL = os.environ.get("LLMROUTE_TEST_CHAT_MODEL", "")
pytestmark = [
    pytest.mark.native,
    pytest.mark.slow,
    pytest.mark.usefixtures("unloaded"),
    pytest.mark.skipif(not CHAT_MODEL, reason="LLMROUTE_TEST_CHAT_MODEL is not set"),
]

_MODEL = f"llamacpp/{os.path.abspath(CHAT_MODEL)}"
_QUESTIONS = [
    [{"role": "user", "content": "What is 2+2?"}],
    [
        {"role": "system", "content": "You are a pirate. Answer in one short sentence."},
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "Arr, I be the captain."},
        {"role": "user", "content": "And where is your ship? Über das Meer 🌊?"},
    ],
]
_OTHER = """
import json, sys
from llama_cpp import Llama
llama = Llama(sys.argv[1], n_ctx=1024, n_threads=1, n_threads_batch=1, verbose=False)
answers = []
for messages in json.loads(sys.argv[2]):
    answer = llama.create_chat_completion(messages, temperature=0, max_tokens=24)
    answers.append([answer["choices"][0]["message"]["content"], answer["usage"]["prompt_tokens"]])
print(json.dumps(answers))
"""


def ask(messages: Any, **options: Any) -> Any:
    load = {"n_ctx": 1024, "n_threads": 1} | options.pop("model_kwargs", {})
    return completion(_MODEL, messages, **{"temperature": 0, "model_kwargs": load} | options)


def test_answers_are_those_of_llama_cpp_python() -> None:
    """Both read the same template and prompt; flash attention would round otherwise."""
    command = [sys.executable, "-c", _OTHER, CHAT_MODEL, json.dumps(_QUESTIONS)]
    expected = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    load = {"flash_attn": False, "prefix_cache": False}
    answers = [ask(messages, max_tokens=24, model_kwargs=load) for messages in _QUESTIONS]
    assert [[a.text, a.usage.prompt_tokens] for a in answers] == expected


def test_prompts_are_counted_as_the_model_reads_them() -> None:
    for messages in _QUESTIONS:
        counted = token_counter(_MODEL, messages=messages)
        assert counted.exact
        assert counted.tokens == ask(messages, max_tokens=1).usage.prompt_tokens


def test_a_conversation_goes_on_where_it_was() -> None:
    unload()
    messages = [{"role": "user", "content": "Name three colours, and say why you like them."}]
    first = ask(messages, max_tokens=40)
    messages += [first.choices[0].message, {"role": "user", "content": "Name one more."}]
    second = ask(messages, max_tokens=20)
    # The answer was cut, so its last token and the end of the turn were not computed.
    least = first.usage.prompt_tokens + first.usage.completion_tokens - 1
    assert second.usage.prompt_tokens_details.cached_tokens >= least
    whole = ask(messages, max_tokens=20, stream=True).get_final_completion()
    assert whole.text == second.text


def test_an_answer_held_to_a_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 20},
            "age": {"type": "integer", "minimum": 0, "maximum": 30},
            "colour": {"enum": ["black", "white", "ginger"]},
        },
        "required": ["name", "age", "colour"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "cat", "schema": schema}}
    for seed in range(3):
        answer = ask("Invent a cat.", response_format=form, temperature=1.0, seed=seed)
        cat = json.loads(answer.text)
        assert list(cat) == ["name", "age", "colour"]
        assert 0 <= cat["age"] <= 30


def test_a_tool_loop_with_a_template_that_knows_no_tools() -> None:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": city}}
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    options = {"tools": [tool], "max_tokens": 60, "parallel_tool_calls": False}
    first = ask(messages, tool_choice="required", **options)
    message = first.choices[0].message
    (made,) = message.tool_calls
    assert made.function.name == "get_weather"
    assert json.loads(made.function.arguments).keys() == {"city"}
    messages += [message, {"role": "tool", "tool_call_id": made.id, "content": "Hail, 3 degrees."}]
    answer = ask(messages, **options)
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls")
    assert answer.usage.prompt_tokens > first.usage.total_tokens
