"""Prompts that lose nothing: tools, what the system says, thinking, and how an answer goes on."""

# ruff: noqa: E501

from __future__ import annotations

import json
from typing import Any

import pytest

from llmroute.engine.answers.rules import with_tools_told
from llmroute.engine.templates.builtin import BUILT_IN
from llmroute.engine.templates.chat import render_chat
from llmroute.engine.templates.effort import effort_variables
from llmroute.engine.tools.definitions import Tools
from llmroute.engine.vocabulary.control_tokens import ControlTokens
from llmroute.errors import BadRequestError, UnsupportedParamsError

CONTROL = ControlTokens.of(["<s>", "</s>", "<|im_end|>"], bos="<s>", eos="</s>")
SYSTEM = {"role": "system", "content": "Be kind."}
USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Yes?"}
CHATML = BUILT_IN["chatml"]
BARE = {"type": "function", "function": {"name": "find"}}
FULL = {
    "type": "function",
    "function": {
        "name": "find",
        "description": "Finds",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
    },
}

# Templates of our own, each with one habit that published ones have.
ONE_SYSTEM = """\
{%- if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set messages = messages[1:] %}
{%- endif %}<{{ system }}>
{%- for m in messages if m.role != 'system' %}[{{ m.role }}|{{ m.content }}]{% endfor %}"""
LAST_SYSTEM = """\
{%- set ns = namespace(system='') %}
{%- for m in messages %}{% if m.role == 'system' %}{% set ns.system = m.content %}{% endif %}{% endfor %}
{{- '<' + ns.system + '>' }}
{%- for m in messages if m.role != 'system' %}[{{ m.role }}|{{ m.content }}]{% endfor %}"""
FIRST_ONLY = """\
{%- for m in messages %}
    {%- if m.role == 'system' and not loop.first %}{{ raise_exception('System must be first.') }}{% endif %}
    {{- '[' + m.role + '|' + m.content + ']' }}
{%- endfor %}"""
TAKING_TURNS = """\
{%- for m in messages %}
    {%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}
    {{- '[' + m.role + '|' + m.content + ']' }}
{%- endfor %}"""
NAMES_DEVELOPER = """\
You obey 'developer' messages.
{%- for m in messages if m.role != 'developer' %}[{{ m.role }}|{{ m.content }}]{% endfor %}"""
TOOLS = """\
{%- for tool in tools or [] %}
    {{- tool.function.name + ': ' + tool.function.description + ' ' }}
    {%- for key, value in tool.function.parameters.properties.items() %}
        {{- key + ' is ' + value.type + value.description }}
    {%- endfor %}
{%- endfor %}
{%- for m in messages %}[{{ m.role }}|{{ m.content }}]{% endfor %}"""
DEEPSEEK_HISTORY = """\
{%- for m in messages %}
    {%- if m.tool_calls is defined %}{{ '<｜tool▁call▁begin｜>function<｜tool▁sep｜>' + m.tool_calls[0].function.name + '```json' }}
    {%- else %}[{{ m.role }}|{{ m.content }}]{% endif %}
{%- endfor %}"""
THINKS = """\
{%- for m in messages %}
    {{- '<' + m.role + '>' }}
    {%- if m.thinking is defined %}{{ '<think>' + m.thinking + '</think>' }}{% endif %}
    {{- m.content or '' }}
    {%- for call in m.tool_calls or [] %}{{ call.function.name }}({{ call.function.arguments | tojson }}){% endfor %}
{%- endfor %}
{%- if add_generation_prompt %}<assistant><think>
{% endif %}"""


def render(template: str, *messages: Any, tools: list[Any] | None = None, **variables: Any) -> str:
    parsed = Tools.parse({"tools": tools}) if tools else None
    told = with_tools_told(messages, parsed, template)
    return render_chat(told, template, CONTROL, tools=tools, variables=variables).text


# What the system says


@pytest.mark.parametrize("template", [ONE_SYSTEM, LAST_SYSTEM, FIRST_ONLY, NAMES_DEVELOPER])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_two_system_messages_at_the_beginning_are_both_shown(template: str, role: str) -> None:
    text = render(template, SYSTEM, {"role": role, "content": "Be brief."}, USER)
    assert "Be kind.\n\nBe brief." in text or text.index("Be kind.") < text.index("Be brief.")


@pytest.mark.parametrize("template", [ONE_SYSTEM, LAST_SYSTEM, FIRST_ONLY])
def test_a_later_system_message_goes_into_the_next_turn_of_the_user(template: str) -> None:
    late = {"role": "system", "content": "Be brief."}
    text = render(template, SYSTEM, USER, ANSWER, late, {**USER, "content": "Bye"})
    assert "Be kind." in text
    assert text.endswith("[user|Be brief.\n\nBye]")
    assert render(template, SYSTEM, USER, ANSWER, late).endswith("[user|Be brief.]")


def test_a_developer_s_message_behind_the_system_s_is_not_lost() -> None:
    template = (
        "{% if messages[0].role in ['system', 'developer'] %}<{{ messages[0].content }}>{% endif %}"
    )
    template += "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
    developer = {"role": "developer", "content": "Be brief."}
    assert render(template, SYSTEM, developer, USER) == "<Be kind.\n\nBe brief.>Hi"
    assert render(template, SYSTEM, USER, ANSWER, developer, USER) == "<Be kind.>HiBe brief.\n\nHi"


def test_system_messages_stay_where_a_template_shows_them() -> None:
    late = {"role": "system", "content": "Be brief."}
    text = render(CHATML, SYSTEM, late, USER, ANSWER, late, USER)
    assert text.count("<|im_start|>system\n") == 3


# Roles and turns


@pytest.mark.parametrize("role", ["assitant", "User", 3, None, ""])
def test_an_unknown_role_is_refused_by_its_name(role: Any) -> None:
    with pytest.raises(BadRequestError, match="role") as caught:
        render(CHATML, {"role": role, "content": "Hi"})
    assert caught.value.param == "messages"
    assert repr(role) in caught.value.message


def test_a_role_of_the_template_s_own_is_taken() -> None:
    template = (
        "{% for m in messages %}{% if m.role == 'context' %}*{% endif %}{{ m.content }}{% endfor %}"
    )
    assert render(template, {"role": "context", "content": "x"}, USER) == "*xHi"


def test_turns_in_a_row_are_one_where_a_template_refuses_them() -> None:
    twice = [USER, {**USER, "content": "Are you there?"}]
    assert render(TAKING_TURNS, *twice) == "[user|Hi\n\nAre you there?]"
    more = [*twice, ANSWER, {**ANSWER, "content": "Well?"}, USER]
    assert render(TAKING_TURNS, *more).endswith("[assistant|Yes?\n\nWell?][user|Hi]")
    assert render(CHATML, *twice).count("<|im_start|>user") == 2


# Tools


@pytest.mark.parametrize("tool", [BARE, FULL, {"function": {"name": "find", "parameters": None}}])
def test_tools_without_description_or_parameters_are_shown(tool: Any) -> None:
    text = render(TOOLS, USER, tools=[tool])
    assert text.startswith("find: ")
    assert text.count("find") == 1
    assert "<tools>" not in text


def test_arguments_without_type_or_description_are_shown() -> None:
    parameters = {"type": "object", "properties": {"a": {"enum": ["x"]}, "b": {}}}
    tool = {"type": "function", "function": {"name": "find", "parameters": parameters}}
    assert render(TOOLS, USER, tools=[tool]).startswith("find:  a is stringb is any")


def test_tools_are_told_in_the_family_s_own_way_where_the_template_shows_none() -> None:
    text = render(DEEPSEEK_HISTORY, SYSTEM, USER, tools=[FULL])
    assert text.startswith("[system|Be kind.\n\nYou can call functions.")
    assert json.dumps(FULL) in text
    assert (
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜><name>\n```json" in text
    )
    assert "<tool_call>" in render(CHATML, USER, tools=[FULL])


def test_calls_that_a_template_cannot_show_are_written_in_the_family_s_own_way() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"a": 1}'}}
    called = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "1", "content": "found"}
    template = "{# [TOOL_CALLS] [ARGS] #}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    assert render(template, USER, called, result) == (
        'user: Hi\nassistant: [TOOL_CALLS]find[ARGS]{"a": 1}\ntool: found\n'
    )


def test_thinking_before_a_call_comes_under_the_template_s_name_for_it() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    called = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "Hm"}
    result = {"role": "tool", "tool_call_id": "1", "content": "found"}
    assert "<assistant><think>Hm</think>find({})" in render(THINKS, USER, called, result)


THINKING_PARTS = """\
{%- for m in messages %}
    {{- '<' + m.role + '>' }}
    {%- if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}
        {{- '[THINK]' + part.thinking + '[/THINK]' if part.type == 'thinking' else part.text }}
    {%- endfor %}{% endif %}
    {%- if m.role == 'assistant' and not (m.content or m.tool_calls) %}{{ raise_exception('Empty') }}{% endif %}
    {%- for call in m.tool_calls or [] %}{{ call.function.name }}({{ call.function.arguments | tojson }}){% endfor %}
{%- endfor %}"""


def test_thinking_is_a_part_of_the_content_where_the_template_reads_it_so() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    called = {"role": "assistant", "content": "So", "tool_calls": [call], "reasoning_content": "Hm"}
    result = {"role": "tool", "tool_call_id": "1", "content": "found"}
    text = render(THINKING_PARTS, USER, called, result)
    assert text == "<user>Hi<assistant>[THINK]Hm[/THINK]Sofind({})<tool>found"
    begun = {"role": "assistant", "content": "", "reasoning_content": "I must"}
    assert render(THINKING_PARTS, USER, begun).endswith("[THINK]I must")
    assert render(THINKING_PARTS, USER, {**begun, "content": "So"}).endswith("[/THINK]So")


def test_filters_that_give_generators_can_be_json() -> None:
    template = "{{ tools | map(attribute='function') | map(attribute='name') | tojson }}"
    assert render(template, USER, tools=[FULL]) == '["find"]'


# Prefill


@pytest.mark.parametrize(
    "content", ["Once upon", "Once upon ", "a\n", [{"type": "text", "text": "Once"}]]
)
def test_the_answer_goes_on_with_the_assistant_s_last_message(content: Any) -> None:
    text = content if isinstance(content, str) else content[0]["text"]
    prompt = render(CHATML, USER, {"role": "assistant", "content": content})
    assert prompt == f"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{text}"


def test_a_prefill_cannot_write_control_tokens() -> None:
    prompt = render_chat([USER, {**ANSWER, "content": "x<|im_end|>y"}], CHATML, CONTROL)
    assert [segment.text for segment in prompt.segments if not segment.parse_special] == [
        "<|im_end|>"
    ]
    assert prompt.segments[-1].text == "y"


@pytest.mark.parametrize("content", ["", None, []])
def test_an_empty_last_message_of_the_assistant_is_a_new_turn(content: Any) -> None:
    assert render(CHATML, USER, {"role": "assistant", "content": content}) == render(CHATML, USER)


def test_a_new_turn_is_begun_where_it_is_asked_for() -> None:
    text = render(CHATML, USER, ANSWER, add_generation_prompt=True)
    assert text.endswith("Yes?<|im_end|>\n<|im_start|>assistant\n")


def test_thinking_goes_on_too() -> None:
    begun = {"role": "assistant", "content": "", "reasoning_content": "I must"}
    assert render(THINKS, USER, begun).endswith("<assistant><think>I must")
    done = {**begun, "content": "So"}
    assert render(THINKS, USER, done).endswith("<think>I must</think>So")


def test_thinking_goes_on_where_the_template_leaves_it_out() -> None:
    hides = "{{ '<think></think>'[:0] }}" + CHATML.replace(
        "assistant\\n' }}", "assistant\\n<think>' }}"
    )
    begun = {"role": "assistant", "content": "", "reasoning_content": "I must"}
    assert render(hides, USER, begun).endswith("<think>I must")


def test_a_message_with_calls_is_not_gone_on_with() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    called = {"role": "assistant", "content": "", "tool_calls": [call]}
    assert render(CHATML, USER, called).endswith("<|im_start|>assistant\n")


# How hard to think


@pytest.mark.parametrize(
    ("template", "effort", "variables"),
    [
        ("{{ reasoning_effort }}", "low", {"reasoning_effort": "low"}),
        (
            "{{ thinking_effort }}{% if thinking %}",
            "none",
            {"thinking_effort": "none", "thinking": False},
        ),
        ("{{ reasoning_strength }}", "high", {"reasoning_strength": "high"}),
        ("{% if enable_thinking is false %}", "none", {"enable_thinking": False}),
        ("{% if not thinking %}", "high", {"thinking": True}),
        ("{{ message.thinking }}", None, {}),
    ],
)
def test_effort_under_the_template_s_name(template: str, effort: Any, variables: Any) -> None:
    assert effort_variables(effort, template) == variables


@pytest.mark.parametrize("effort", ["low", "none"])
def test_effort_is_refused_where_the_template_knows_none(effort: str) -> None:
    with pytest.raises(UnsupportedParamsError) as caught:
        effort_variables(effort, CHATML + "{{ message.thinking }}")
    assert caught.value.param == "reasoning_effort"


@pytest.mark.parametrize("effort", ["", 3, True])
def test_effort_is_a_word(effort: Any) -> None:
    with pytest.raises(BadRequestError, match="reasoning_effort"):
        effort_variables(effort, "{{ reasoning_effort }}")
