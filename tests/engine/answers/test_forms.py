"""Structured output, grammars, tools and thinking, from the public calls to real tiny models."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calls_here import Runner, Scripted, call
from jsonschema import Draft202012Validator
from pydantic import BaseModel

import llmroute
from llmroute import APIResponseValidationError, BadRequestError, UnsupportedParamsError
from llmroute.engine.model import grammars
from llmroute.testing.tiny_gguf import CHAT_TEMPLATE, write_scripted
from llmroute.types.chat import ChatCompletion, Choice

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

Road = Callable[..., ChatCompletion]
ASK = [{"role": "user", "content": "Hi"}]


def _plain(model: Path, **params: Any) -> ChatCompletion:
    return llmroute.completion(f"llamacpp/{model}", ASK, **params)


def _async(model: Path, **params: Any) -> ChatCompletion:
    return asyncio.run(llmroute.acompletion(f"llamacpp/{model}", ASK, **params))


def _streamed(model: Path, **params: Any) -> ChatCompletion:
    with llmroute.completion(f"llamacpp/{model}", ASK, stream=True, **params) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()  # type: ignore[return-value]


def _async_streamed(model: Path, **params: Any) -> ChatCompletion:
    async def run() -> Any:
        async with await llmroute.acompletion(
            f"llamacpp/{model}", ASK, stream=True, **params
        ) as stream:
            async for _ in stream:
                pass
            return await stream.get_final_completion()

    return asyncio.run(run())  # type: ignore[no-any-return]


@pytest.fixture(
    params=[_plain, _async, _streamed, _async_streamed], ids=["sync", "async", "stream", "astream"]
)
def road(request: pytest.FixtureRequest) -> Road:
    chosen: Road = request.param
    return chosen


def first(completion: ChatCompletion) -> Choice:
    (choice,) = completion.choices
    return choice


def schema_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}


_WORD = {"type": "string", "pattern": "^[a-z]{1,8}$"}


def tool(name: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [tool("get_weather", city=_WORD), tool("now")]
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "paris"}}\n</tool_call>'


# Structured output. Bounded, so that a random model comes to an end.

SCHEMAS: list[dict[str, Any]] = [
    {"type": "boolean"},
    {"type": "integer", "minimum": -5, "maximum": 1234},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"enum": ["red", "green", 3, None, {"a": [1]}]},
    {"const": 'a "quoted"\n\\ text é🙂'},
    _WORD,
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "uuid"},
    {"type": ["integer", "null"]},
    {"type": "array", "items": _WORD, "minItems": 2, "maxItems": 4},
    {"type": "array", "prefixItems": [{"type": "integer"}, _WORD], "minItems": 2},
    {
        "type": "object",
        "properties": {"name": _WORD, "age": {"type": "integer"}, 'q"\\': {"type": "null"}},
        "required": ["name"],
        "additionalProperties": False,
    },
    {"anyOf": [{"type": "boolean"}, {"type": "object", "properties": {"a": _WORD}}]},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:40])
@pytest.mark.parametrize("temperature", [0, 1.5])
def test_a_random_model_writes_what_the_schema_says(
    tiny_random: Path, schema: Any, temperature: float
) -> None:
    answer = _plain(
        tiny_random,
        response_format=schema_format(schema),
        temperature=temperature,
        seed=3,
        max_tokens=400,
    )
    assert first(answer).finish_reason == "stop"
    Draft202012Validator(schema).validate(json.loads(answer.text))


class Person(BaseModel):
    """A pydantic model as a schema."""

    age: int
    married: bool


def test_pydantic_models_on_every_road(road: Road, tiny_random: Path) -> None:
    answer = road(tiny_random, response_format=Person, temperature=0, max_tokens=300)
    assert Person.model_validate_json(answer.text)


def test_json_objects(road: Road, tiny_random: Path) -> None:
    answer = road(
        tiny_random, response_format={"type": "json_object"}, temperature=1, seed=1, max_tokens=60
    )
    assert answer.text.startswith("{")
    if first(answer).finish_reason == "stop":
        assert isinstance(json.loads(answer.text), dict)


def test_grammars(road: Road, tiny_random: Path) -> None:
    answer = road(tiny_random, grammar='root ::= ("ab" | "cd"){3} "!"', temperature=1)
    assert len(answer.text) == 7
    assert answer.text.endswith("!")
    assert first(answer).finish_reason == "stop"


def test_grammars_in_text_completions(tiny_random: Path) -> None:
    answer = llmroute.text_completion(
        f"llamacpp/{tiny_random}", ["a", "b"], grammar="root ::= [0-9]{4}", n=2, temperature=1
    )
    assert all(choice.text.isdecimal() and len(choice.text) == 4 for choice in answer.choices)
    assert len(answer.choices) == 4


def test_a_model_is_held_to_the_schema_against_its_will(scripted: Scripted) -> None:
    answer = _plain(
        scripted("I would rather write prose."),
        response_format=schema_format({"enum": ["yes", "no"]}),
        temperature=0,
    )
    assert answer.text in ('"yes"', '"no"')


def test_an_answer_that_was_cut_is_left_as_it_is(road: Road, tiny_random: Path) -> None:
    schema = {"type": "array", "items": _WORD, "minItems": 50, "maxItems": 60}
    answer = road(tiny_random, response_format=schema_format(schema), max_tokens=5)
    assert first(answer).finish_reason == "length"
    assert answer.text.startswith("[")


def test_what_the_grammar_cannot_tell_is_checked_at_the_end(road: Road, tiny_random: Path) -> None:
    schema = {"oneOf": [{"const": 1}, {"type": "integer", "minimum": 1, "maximum": 1}]}
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for response in (asked, {"type": "json_object", "schema": schema}):
        with pytest.raises(APIResponseValidationError) as caught:
            road(tiny_random, response_format=response, num_retries=0)
        assert caught.value.body == "1"
        assert caught.value.model == f"llamacpp/{tiny_random}"


def test_json_objects_by_a_schema(road: Road, scripted: Scripted) -> None:
    schema = {"type": "object", "properties": {"b": {"const": 2}}, "required": ["b"]}
    asked = {"type": "json_object", "schema": schema}
    answer = road(scripted('{"a":1}'), response_format=asked, temperature=0)
    assert json.loads(answer.text) == {"b": 2}


@pytest.mark.parametrize(
    "asked",
    [
        {"response_format": {"type": "regex", "pattern": "^(ab|cd){3}!$"}},
        {"response_format": {"type": "grammar", "grammar": 'root ::= ("ab" | "cd"){3} "!"'}},
        {"grammar": '%llguidance {}\nstart: ("ab" | "cd"){3} "!"'},
    ],
)
def test_forms_of_other_kinds(tiny_random: Path, asked: dict[str, Any]) -> None:
    answer = _plain(tiny_random, temperature=1, **asked)
    assert len(answer.text) == 7
    assert answer.text.endswith("!")
    assert first(answer).finish_reason == "stop"


def test_schemas_within_a_grammar_in_lark(tiny_random: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "format": "int64"}}}
    grammar = f'%llguidance {{}}\nstart: "say " value\nvalue: %json {json.dumps(schema)}'
    answer = _plain(tiny_random, grammar=grammar, seed=2, max_tokens=300)
    assert json.loads(answer.text.removeprefix("say ")).keys() <= {"n"}


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"response_format": schema_format({"not": {}})}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "yaml"}}, "response_format"),
        ({"grammar": "root ::= ("}, "grammar"),
        ({"grammar": ""}, "grammar"),
        ({"grammar": "root ::= root"}, "grammar"),
        ({"grammar": 'root ::= "a"', "response_format": {"type": "json_object"}}, None),
        ({"response_format": {"type": "json_object"}, "ignore_eos": True}, "ignore_eos"),
        ({"tools": TOOLS, "tool_choice": "required", "ignore_eos": True}, "ignore_eos"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
    ],
)
def test_wrong_forms_are_refused_before_anything_runs(
    road: Road, tiny_random: Path, params: dict[str, Any], param: str | None
) -> None:
    with pytest.raises(BadRequestError) as caught:
        road(tiny_random, **params)
    assert param is None or caught.value.param == param
    assert road(tiny_random, max_tokens=1).choices


def test_a_dead_end_ends_that_call_only(runner: Runner, tiny_random: Path) -> None:
    grammar = 'root ::= "ab"'
    for letter in "ab":
        banned = {4 + ord(letter): -math.inf}
        with pytest.raises(BadRequestError, match="no token"):
            runner(call(tiny_random, grammar=grammar, logit_bias=banned))
    assert runner(call(tiny_random, grammar=grammar)).text == "ab"


def test_with_samplers_of_every_kind(tiny_random: Path) -> None:
    for params in (
        {"mirostat": 1, "temperature": 1},
        {"mirostat": 2, "temperature": 1},
        {"top_k": 1},
        {"repeat_penalty": 1.5, "frequency_penalty": 1.0},
        {"logprobs": True, "top_logprobs": 2},
        {"logit_bias": {4 + ord("c"): -5}},
        {"n": 3, "seed": 5, "temperature": 2.0},
    ):
        answer = _plain(tiny_random, grammar="root ::= [a-c]{5}", **params)  # type: ignore[arg-type]
        for choice in answer.choices:
            assert choice.message.content
            assert len(choice.message.content) == 5
            assert set(choice.message.content) <= set("abc")


# Tools


def calls_of(answer: ChatCompletion) -> list[tuple[str, str]]:
    calls = first(answer).message.tool_calls or []
    assert len({made.id for made in calls}) == len(calls)
    assert all(made.id.startswith("call_") for made in calls)
    return [(made.function.name, made.function.arguments) for made in calls if made.function]


def test_a_call_is_read_out_of_the_answer(road: Road, scripted: Scripted) -> None:
    answer = road(scripted(f"Let me look.\n{CALL}"), tools=TOOLS)
    assert first(answer).finish_reason == "tool_calls"
    assert first(answer).message.content == "Let me look.\n"
    assert calls_of(answer) == [("get_weather", '{"city": "paris"}')]


def test_calls_alone_leave_no_content(road: Road, scripted: Scripted) -> None:
    text = f'{CALL}\n<tool_call>\n{{"name": "now", "arguments": {{}}}}\n</tool_call>'
    answer = road(scripted(text), tools=TOOLS)
    assert first(answer).message.content is None
    assert [name for name, _ in calls_of(answer)] == ["get_weather", "now"]
    one = road(scripted(text), tools=TOOLS, parallel_tool_calls=False)
    assert [name for name, _ in calls_of(one)] == ["get_weather"]
    assert first(one).finish_reason == "tool_calls"


def test_the_name_comes_once_in_a_stream(scripted: Scripted) -> None:
    with llmroute.completion(f"llamacpp/{scripted(CALL)}", ASK, stream=True, tools=TOOLS) as stream:
        deltas = [
            call for chunk in stream for c in chunk.choices for call in c.delta.tool_calls or []
        ]
    assert [delta.function.name for delta in deltas if delta.function and delta.function.name] == [
        "get_weather"
    ]
    assert sum(delta.id is not None for delta in deltas) == 1
    assert len(deltas) > 2


@pytest.mark.parametrize(
    "params", [{}, {"tools": TOOLS, "tool_choice": "none"}, {"tools": [tool("other")]}]
)
def test_without_the_tool_it_is_text(
    road: Road, scripted: Scripted, params: dict[str, Any]
) -> None:
    answer = road(scripted(CALL), **params)
    assert first(answer).message.content == CALL
    assert first(answer).message.tool_calls is None
    assert first(answer).finish_reason == "stop"


def test_a_call_that_is_cut(road: Road, scripted: Scripted) -> None:
    cut = CALL.index("paris") + 3
    answer = road(scripted(CALL, pieces=[CALL[:cut], CALL[cut:]]), tools=TOOLS, max_tokens=1)
    assert first(answer).finish_reason == "length"
    assert calls_of(answer) == [("get_weather", '{"city": "par')]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"get_weather", "now"}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"get_weather"}),
    ],
)
def test_a_random_model_is_made_to_call(
    road: Road, tiny_random: Path, choice: Any, names: set[str]
) -> None:
    answer = road(
        tiny_random,
        tools=TOOLS,
        tool_choice=choice,
        parallel_tool_calls=False,
        seed=1,
        max_tokens=900,
    )
    assert first(answer).finish_reason == "tool_calls"
    assert first(answer).message.content is None
    ((name, arguments),) = calls_of(answer)
    assert name in names
    assert json.loads(arguments).keys() == ({"city"} if name == "get_weather" else set())


_MISTRAL = CHAT_TEMPLATE.replace("<tool_call>", "[TOOL_CALLS]").replace("</tool_call>", "")
_NO_TOOLS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
)
_LLAMA = CHAT_TEMPLATE.replace("<tool_call>", "<|python_tag|>").replace("</tool_call>", "")


@pytest.mark.parametrize(
    "template", [_MISTRAL, _NO_TOOLS, _LLAMA], ids=["mistral", "none", "llama"]
)
def test_calls_in_other_families(tiny_random: Path, template: str) -> None:
    answer = _plain(
        tiny_random,
        tools=TOOLS,
        tool_choice="required",
        parallel_tool_calls=False,
        chat_template=template,
        seed=1,
        max_tokens=900,
    )
    assert calls_of(answer)
    assert first(answer).message.content is None


def test_a_model_without_tools_in_its_template_is_told_of_them(tiny_random: Path) -> None:
    asked = {"chat_template": _NO_TOOLS, "max_tokens": 1}
    plain = _plain(tiny_random, **asked).usage
    told = _plain(tiny_random, tools=TOOLS, **asked).usage
    assert plain
    assert told
    assert told.prompt_tokens > plain.prompt_tokens + 200


def test_control_tokens_that_begin_calls_are_seen(tmp_path: Path) -> None:
    """In real vocabularies [TOOL_CALLS] and its like are control tokens, which have no text."""
    model = write_scripted(
        tmp_path / "m.gguf",
        '[TOOL_CALLS][{"name": "now", "arguments": {}}]',
        pieces=["[TOOL_CALLS]", '[{"name": "now", ', '"arguments": {}}]'],
        chat_template=_MISTRAL,
    )
    raw = bytearray(model.read_bytes())
    position = raw.index(b"tokenizer.ggml.token_type") + len(b"tokenizer.ggml.token_type") + 16
    raw[position + 4 * (4 + 256)] = 3  # the first piece becomes a control token
    model.write_bytes(raw)
    assert calls_of(_plain(model, tools=TOOLS)) == [("now", "{}")]
    assert _plain(model).text == '[{"name": "now", "arguments": {}}]'


# Thinking

_THINKS = CHAT_TEMPLATE + "{# </think> #}"
_OPENS = CHAT_TEMPLATE.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")


def test_thinking(road: Road, scripted: Scripted) -> None:
    model = scripted("<think>\nHm. Well.\n</think>\n\nThe answer.", chat_template=_THINKS)
    answer = road(model)
    assert first(answer).message.reasoning_content == "Hm. Well."
    assert answer.text == "The answer."
    cut = road(model, max_tokens=2)
    assert first(cut).message.content is None or "<" not in answer.text


def test_thinking_that_the_prompt_began(road: Road, scripted: Scripted) -> None:
    model = scripted("Hm. Well.\n</think>\n\nThe answer.", chat_template=_OPENS + "{# </think> #}")
    answer = road(model)
    assert first(answer).message.reasoning_content == "Hm. Well."
    assert answer.text == "The answer."


def test_thinking_before_structured_output(scripted: Scripted) -> None:
    model = scripted('I think so.</think>\n\n"yes"', chat_template=_OPENS + "{# </think> #}")
    answer = _plain(model, response_format=schema_format({"enum": ["yes", "no"]}), temperature=0)
    assert first(answer).message.reasoning_content == "I think so."
    assert answer.text == '"yes"'


@pytest.mark.parametrize("thought", ["<think>\nhm\n</think>\n\n", "<think></think>", ""])
def test_thinking_that_the_prompt_did_not_begin(scripted: Scripted, thought: str) -> None:
    model = scripted(f'{thought}"yes"', chat_template=_THINKS)
    answer = _plain(model, response_format=schema_format({"enum": ["yes", "no"]}), temperature=0)
    assert answer.text == '"yes"'
    assert (first(answer).message.reasoning_content or "") == ("hm" if "hm" in thought else "")


def test_thinking_before_a_forced_call(scripted: Scripted) -> None:
    model = scripted(f"<think>\nhm\n</think>\n{CALL}", chat_template=_THINKS)
    forced: dict[str, Any] = {"tool_choice": "required", "parallel_tool_calls": False}
    answer = _plain(model, tools=TOOLS, temperature=0, max_tokens=300, **forced)
    assert first(answer).message.reasoning_content == "hm"
    assert calls_of(answer) == [("get_weather", '{"city": "paris"}')]


_FORMAT = {"type": "object", "properties": {"done": {"type": "boolean"}}, "required": ["done"]}


@pytest.mark.parametrize(
    "template", [CHAT_TEMPLATE, _LLAMA, _MISTRAL], ids=["hermes", "llama", "m"]
)
def test_a_call_or_an_answer_of_that_shape(road: Road, scripted: Scripted, template: str) -> None:
    """As OpenAI takes tools and response_format together."""
    asked: dict[str, Any] = {"tools": TOOLS, "response_format": schema_format(_FORMAT)}
    answer = road(scripted('{"done": true}', chat_template=template), temperature=0, **asked)
    assert json.loads(answer.text) == {"done": True}
    assert first(answer).message.tool_calls is None
    written = {
        CHAT_TEMPLATE: CALL,
        _LLAMA: '{"name": "get_weather", "parameters": {"city": "paris"}}',
        _MISTRAL: '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "paris"}}]',
    }[template]
    called = road(scripted(written, chat_template=template), temperature=0, **asked)
    assert calls_of(called) == [("get_weather", '{"city": "paris"}')]
    assert first(called).finish_reason == "tool_calls"
    prose = _plain(
        scripted("I would rather write prose.", chat_template=template),
        max_tokens=400,
        temperature=0,
        **asked,
    )
    assert calls_of(prose) or json.loads(prose.text).keys() == {"done"}


def test_only_a_call_or_only_an_answer(scripted: Scripted) -> None:
    model, asked = scripted(CALL), {"tools": TOOLS, "response_format": schema_format(_FORMAT)}
    none = _plain(model, tool_choice="none", temperature=0, **asked)
    assert json.loads(none.text).keys() == {"done"}
    one: dict[str, Any] = {"tool_choice": "required", "parallel_tool_calls": False}
    required = _plain(scripted('{"done": true}'), temperature=0, max_tokens=400, **one, **asked)
    assert calls_of(required)


def test_a_grammar_beside_another_form_is_refused(tiny_random: Path) -> None:
    for other in ({"tools": TOOLS}, {"response_format": {"type": "json_object"}}):
        with pytest.raises(UnsupportedParamsError):
            _plain(tiny_random, grammar='root ::= "a"', **other)


def test_others_are_answered_while_a_grammar_is_compiled(
    tiny_random: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiling has a thread of its own: it holds up neither the engine nor the event loop."""
    begun, go_on = threading.Event(), threading.Event()
    compile_ = grammars.compiled

    def slow(grammar: str, tokens: Any) -> Any:
        begun.set()
        assert go_on.wait(20)
        return compile_(grammar, tokens)

    monkeypatch.setattr(grammars, "compiled", slow)

    async def run() -> tuple[ChatCompletion, ChatCompletion]:
        model = f"llamacpp/{tiny_random}"
        held = asyncio.create_task(
            llmroute.acompletion(model, ASK, response_format=schema_format({"enum": ["new"]}))
        )
        while not begun.is_set():
            await asyncio.sleep(0.01)
            assert not held.done(), held
        free = await llmroute.acompletion(model, ASK, max_tokens=5)
        assert not held.done()
        go_on.set()
        return free, await held

    free, held = asyncio.run(run())
    assert free.usage
    assert free.usage.completion_tokens == 5
    assert held.text == '"new"'


def test_nothing_of_it_kills_the_process_or_writes_to_it(tiny_random: Path) -> None:
    code = f"""if True:
        import llmroute
        def ask(**params):
            try:
                llmroute.completion("llamacpp/{tiny_random}", "Hi", max_tokens=20, **params)
                print("answered")
            except llmroute.LLMRouteError as error:
                print(type(error).__name__)
        def schema(schema):
            return {{"type": "json_schema", "json_schema": {{"name": "x", "schema": schema}}}}
        ask(grammar="root ::= (")
        ask(grammar="root ::= root")
        ask(grammar="root ::= " + "(" * 100000 + ")" * 100000)
        ask(response_format=schema({{"type": "string", "pattern": "^\\\\w+$"}}))
        ask(response_format=schema({{"properties": {{'a"b': {{"type": "integer"}}}}}}))
        ask(response_format=schema({{"enum": []}}))
        ask(response_format=schema({{"type": "string", "minLength": 10**12}}))
        chain = {{f"a{{n}}": {{"items": {{"$ref": f"#/$defs/a{{n + 1}}"}}}} for n in range(1900)}}
        ask(response_format=schema({{"$ref": "#/$defs/a0", "$defs": {{**chain, "a1900": {{}}}}}}))
        ask(grammar="%llguidance {{}}\\nstart: a0\\n" + "".join(
            f'a{{n}}: "x" a{{n + 1}}\\n' for n in range(9000)) + 'a9000: "x"')
        ask()
        llmroute.unload()
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    refused = ["BadRequestError"]
    expected = [*refused * 3, "answered", "answered", *refused * 4, "answered"]
    assert done.stdout.split() == expected
    assert done.stderr == ""
