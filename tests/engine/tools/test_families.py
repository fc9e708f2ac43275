"""Each family, told by its template, and answers in the way it writes them."""

# ruff: noqa: E501

from __future__ import annotations

import json
from typing import Any

import pytest
from taken_apart import Read, read_every_way

from llmroute.engine.tools.families import FAMILIES, GENERIC, detect_family
from llmroute.engine.tools.reasoning import Tags, tags_of
from llmroute.engine.tools.syntax import Family

BY_NAME = {family.name: family for family in (GENERIC, *FAMILIES)}

# What is told of calls and thinking in a template of each family; the texts are ours.
TEMPLATES = {
    "generic": "{{ messages }}",
    "hermes": "<tools></tools> <tool_call>\n",
    "qwen-coder": "<tool_call>\n<function=name>\n<parameter=key>\n</think>",
    "glm": "<tool_call>{name}\n<arg_key>{key}</arg_key></think>",
    "hunyuan": "{{ '<tool_sep{}>'.format(':opensource') }} <arg_key{}> <think:",
    "mistral": "[AVAILABLE_TOOLS] [TOOL_CALLS]",
    "mistral-args": "[TOOL_CALLS]{{ name }}[ARGS] [THINK][/THINK]",
    "llama": 'tools "parameters": <|start_header_id|>ipython',
    "function-tag": "<function=example_function_name>",
    "functionary-v3.2": ">>>${recipient}\n{{ '>>>all\n' }}",
    "deepseek": "<｜tool▁calls▁begin｜> <｜tool▁sep｜></think>",
    "deepseek-fenced": "<｜tool▁calls▁begin｜> <｜tool▁sep｜> ```json </think>",
    "dsml": "<｜DSML｜function_calls> <｜DSML｜invoke></think>",
    "dsml-v4": "<｜DSML｜tool_calls> <｜DSML｜invoke></think>",
    "kimi": "<|tool_calls_section_begin|>",
    "kimi-k3": "{{ '<|open|>' + tag + '<|sep|>' }}<|close|>{{ open('think') }}",
    "lfm": "List of tools: [{{ tools }}] <think></think>",
    "command": "<|START_ACTION|> <|START_RESPONSE|> <|END_THINKING|>",
    "command-moe": "<|START_ACTION|> <|START_TEXT|> <|END_THINKING|>",
    "command-r-plus": "Write 'Action:' followed by ```json [{\"tool_name\": title}]",
    "granite": "<|tool_call|>",
    "phi": "<|tool|>{{ tools }}<|/tool|>",
    "nemotron": "<TOOLCALL></TOOLCALL></think>",
    "apriel": "<tool_calls>[] [BEGIN FINAL RESPONSE]",
    "tool-calls-tag": "<tool_calls>\n{}\n</tool_calls>",
    "gigachat": "'function call' <|role_sep|>",
    "gigachat-mark": "<|function_call|> 'function call' <|role_sep|>",
    "apertus": "<|tools_prefix|>[ <|inner_prefix|>",
    "firefunction": " functools[{{ calls }}]",
    "gemma": "<|tool_call>call: <|channel>thought <channel|>",
    "seed-oss": "<seed:tool_call><function=f></seed:think>",
    "minimax": "<minimax:tool_call><invoke></think>",
    "minimax-m3": "]<]minimax[>[<tool_call></mm:think>",
    "minicpm": '<function name="{{ f }}"><param name="{{ p }}"></think>',
    "muse": "<atem:function_calls> to=self <|message|> <|eom|>",
    "solar": "<|tool_call:begin|> <|think|>",
    "gpt-oss": "<|channel|>analysis<|message|>",
}


def test_every_family_has_a_template_here() -> None:
    assert TEMPLATES.keys() == BY_NAME.keys()


@pytest.mark.parametrize("name", TEMPLATES)
def test_families_by_template(name: str) -> None:
    assert detect_family(TEMPLATES[name]).name == name


CALL = ("get_weather", '{"city": "Rome", "n": 2}')
NOW = ("now", "{}")
PARIS = '{"city": "Pa\\"}ris"}'

# Family, text, content, thinking, calls.
WRITTEN: list[tuple[str, str, str, str, list[tuple[str, str]]]] = [
    ("hermes", f'<tool_call>\n{{"name": "get_weather", "arguments": {PARIS}}}\n</tool_call>', "", "",
     [("get_weather", PARIS)]),
    ("hermes", f'Let me see.\n<tool_call>{{"name":"get_weather","arguments":{PARIS}}}</tool_call>'
     '\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call> Done.',
     "Let me see.\n Done.", "", [("get_weather", PARIS), NOW]),
    ("hermes", '<tool_call>{"arguments": {"a": [1]}, "name": "now"}</tool_call>', "", "",
     [("now", '{"a": [1]}')]),
    ("hermes", '<tool_call>{"name": "now"}</tool_call>', "", "", [NOW]),
    ("hermes", '<tool_call>{"name": "now", "arguments": "{}"}</tool_call>', "", "", [NOW]),
    ("hermes", '<tool_call>{"name": "now", "arguments": {}}', "", "", [NOW]),
    ("hermes", '<tool_call>{"name": "now", "arguments": {}}}\n</tool_c', "", "", [NOW]),
    ("hermes", "<tool_call>\n<function=get_weather>\n<parameter=city>\n12 <b>\n\n</parameter>\n"
     "<parameter=n>\n3\n</parameter>\n</function>\n</tool_call>", "", "",
     [("get_weather", '{"city": "12 <b>\\n", "n": 3}')]),
    ("hermes", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>1</arg_value>\n"
     "<arg_key>n</arg_key><arg_value>[1]</arg_value>\n</tool_call>", "", "",
     [("get_weather", '{"city": "1", "n": [1]}')]),
    ("generic", ' <tool_call>{"name": "a.b-c", "arguments": {}}</tool_call> ', "", "",
     [("a.b-c", "{}")]),
    ("qwen-coder", "I see.\n</think>\n\nLet me call.\n<function=get_weather>\n<parameter=city>\nRome\n"
     "</parameter>\n<parameter=n>\n2\n</parameter>\n</function>\n</tool_call>", "Let me call.\n",
     "I see.", [CALL]),
    ("qwen-coder", "<tool_call>\n<function=now>\n</function>\n</tool_call>\n<tool_call>\n"
     "<function=now>\n<parameter=a>\n</parameter>\n</tool_call>", "", "",
     [NOW, ("now", '{"a": ""}')]),
    ("glm", "Hm</think><tool_call>now</tool_call><tool_call>get_weather<arg_key>city</arg_key>"
     "<arg_value>a </arg_value> b</arg_value></tool_call>", "", "Hm",
     [NOW, ("get_weather", '{"city": "a </arg_value> b"}')]),
    ("hunyuan", "<tool_calls:opensource>\n<tool_call:opensource>get_weather<tool_sep:opensource>\n"
     "<arg_key:opensource>city</arg_key:opensource>\n<arg_value:opensource>Rome"
     "</arg_value:opensource>\n</tool_call:opensource>\n</tool_calls:opensource>", "", "",
     [("get_weather", '{"city": "Rome"}')]),
    ("mistral", f'[TOOL_CALLS] [{{"name": "get_weather", "arguments": {PARIS}, "id": "a}}b"}}, '
     '{"name": "now", "arguments": {}, "id": "abc123456"}]\n', "", "",
     [("get_weather", PARIS), NOW]),
    ("mistral", "Hm. [TOOL_CALLS]now[ARGS] {}", "Hm. ", "", [NOW]),
    ("mistral-args", f"[THINK]So[/THINK][TOOL_CALLS]get_weather[ARGS]{PARIS}"
     "[TOOL_CALLS]now[CALL_ID]x1[ARGS]{}", "", "So", [("get_weather", PARIS), NOW]),
    ("llama", f'<|python_tag|>{{"type": "function", "name": "get_weather", "parameters": {PARIS}}}'
     '; {"name": "now", "parameters": {}}', "", "", [("get_weather", PARIS), NOW]),
    ("llama", '[get_weather(city="Paris", days=[1, 2.5], x={"a": None, "b": true}), now()]', "", "",
     [("get_weather", '{"city": "Paris", "days": [1, 2.5], "x": {"a": null, "b": true}}'), NOW]),
    ("llama", "<|python_start|>[a.b-c(x='it\\'s ]')]<|python_end|>", "", "",
     [("a.b-c", '{"x": "it\'s ]"}')]),
    ("llama", '<|python_tag|>get_weather.call(city="Rome", n=2)', "", "", [CALL]),
    ("llama", '\n {"function": {"name": "now", "arguments": {}}}', "", "", [NOW]),
    ("function-tag", f"<function=get_weather>{PARIS}</function> <function=now>\n{{}}</function>",
     "", "", [("get_weather", PARIS), NOW]),
    ("functionary-v3.2", "all\nLooking.\n>>> not this\n>>>get_weather\n" + PARIS + ">>>now\n{}",
     "Looking.\n>>> not this\n", "", [("get_weather", PARIS), NOW]),
    ("deepseek", f"Hm</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{PARIS}"
     "<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "", "Hm", [("get_weather", PARIS), NOW]),
    ("deepseek-fenced", "</think>Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>"
     f"get_weather\n```json\n{PARIS}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function"
     "<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "Hm.", "",
     [("get_weather", PARIS), NOW]),
    ("dsml", 'So</think>Look.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n'
     '<｜DSML｜parameter name="city" string="true">Rome</｜DSML｜parameter>\n'
     '<｜DSML｜parameter name="n" string="false">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n'
     '<｜DSML｜invoke name="now">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>', "Look.\n\n", "So",
     [CALL, NOW]),
    ("dsml-v4", '</think><｜DSML｜tool_calls>\n<｜DSML｜invoke name="now">\n<｜DSML｜parameter name="x" '
     'string="true">1</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>', "", "",
     [("now", '{"x": "1"}')]),
    ("kimi", f"<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
     f"<|tool_call_argument_begin|>{PARIS}<|tool_call_end|><|tool_call_begin|>now:1"
     "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>", "", "",
     [("get_weather", PARIS), NOW]),
    ("kimi-k3", 'Hm<|close|>think<|sep|><|open|>response<|sep|>Look.<|close|>response<|sep|>'
     '<|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|>'
     '<|open|>argument key="city" type="string"<|sep|>Rome<|close|>argument<|sep|>'
     '<|open|>argument key="n" type="number"<|sep|>2<|close|>argument<|sep|><|close|>call<|sep|>'
     '<|close|>tools<|sep|><|close|>message<|sep|><|end_of_msg|>', "Look.", "Hm", [CALL]),
    ("lfm", "<think>Hm</think>See.<|tool_call_start|>[get_weather(city='Rome', n=2), now()]"
     "<|tool_call_end|>", "See.", "Hm", [CALL, NOW]),
    ("lfm", '<|tool_call_start|>[{"name": "now", "arguments": {}}]<|tool_call_end|>', "", "", [NOW]),
    ("command", '<|START_THINKING|>Hm<|END_THINKING|><|START_ACTION|>[\n    {"tool_call_id": "0", '
     f'"tool_name": "get_weather", "parameters": {PARIS}}},\n    {{"tool_call_id": "1", "tool_name":'
     ' "now", "parameters": {}}\n]<|END_ACTION|>', "", "Hm", [("get_weather", PARIS), NOW]),
    ("command", "<|START_RESPONSE|>Hello<|END_RESPONSE|>", "Hello", "", []),
    ("command-moe", "Hm<|END_THINKING|><|START_TEXT|>Hello<|END_TEXT|>", "Hello", "Hm", []),
    ("command-r-plus", "I will look.\nAction:\n```json\n[\n    {\n        \"tool_name\": "
     f'"get_weather",\n        "parameters": {PARIS}\n    }}\n]```', "I will look.\n", "",
     [("get_weather", PARIS)]),
    ("granite", f'<|tool_call|>[{{"name": "get_weather", "arguments": {PARIS}}}]', "", "",
     [("get_weather", PARIS)]),
    ("phi", '<|tool_call|>[{"name": "now", "arguments": {}}]<|/tool_call|>', "", "", [NOW]),
    ("nemotron", 'Hm\n</think>\n\n<TOOLCALL>[{"name": "now", "arguments": {}}]</TOOLCALL>\n', "", "Hm",
     [NOW]),
    ("apriel", 'Hm\n[BEGIN FINAL RESPONSE]\nYes.\n[END FINAL RESPONSE]', "Yes.\n", "Hm", []),
    ("apriel", 'Hm\n<tool_calls>[{"name": "now", "arguments": {}, "id": "1"}]</tool_calls>', "", "Hm",
     [NOW]),
    ("apriel", '<thinking>Hmm</thinking>\n<tool_calls>[{"name": "now", "arguments": {}}]</tool_calls>',
     "", "Hmm", [NOW]),
    ("minicpm", '<function name="get_weather"><param name="city"><![CDATA[<b>\n]]> </param>]]></param>'
     '<param name="n">2</param></function>', "", "",
     [("get_weather", '{"city": "<b>\\n]]> </param>", "n": 2}')]),
    ("dsml", 'Look\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="now">\n</｜DSML｜invoke>\n'
     '</｜DSML｜function_calls></think>', "", "Look", [NOW]),
    ("minimax-m3", ']<]minimax[>[<invoke name="get_weather">]<]minimax[>[<city>]<]minimax[>[</city>'
     ']<]minimax[>[</invoke>', "", "", [("get_weather", '{"city": ""}')]),
    ("tool-calls-tag", '<tool_calls>\n{"name": "now", "arguments": {}}\n{"name": "now", "arguments":'
     ' {"a": 1}}\n</tool_calls>', "", "", [NOW, ("now", '{"a": 1}')]),
    ("gigachat", f'See.<|message_sep|>\n\nfunction call<|role_sep|>\n{{"name": "get_weather", '
     f'"arguments": {PARIS}}}', "See.", "", [("get_weather", PARIS)]),
    ("gigachat-mark", '<|function_call|>{"name": "now", "arguments": {}}', "", "", [NOW]),
    ("apertus", f'<|tools_prefix|>[{{"get_weather": {PARIS}}}, {{"now": {{}}}}]<|tools_suffix|>', "",
     "", [("get_weather", PARIS), NOW]),
    ("firefunction", f' functools[{{"name": "get_weather", "arguments": {PARIS}}}]', "", "",
     [("get_weather", PARIS)]),
    ("gemma", '<|channel>thought\nHm<channel|>See.<|tool_call>call:get_weather{city:<|"|>"Rome"<|"|>,'
     'n:2,more:{a:[true,null]}}<tool_call|><|tool_call>call:now{}<tool_call|>', "See.", "Hm",
     [("get_weather", '{"city":"\\"Rome\\"","n":2,"more":{"a":[true,null]}}'), NOW]),
    ("gemma", "<|channel><|channel>thought\n<channel|>Yes.<|channel>thought\nHm<channel|><channel|>",
     "Yes.", "Hm", []),
    ("seed-oss", "<seed:think>Hm</seed:think>\n<seed:tool_call>\n<function=get_weather>\n"
     "<parameter=city>Rome</parameter>\n<parameter=n>2</parameter>\n</function>\n</seed:tool_call>",
     "", "Hm", [CALL]),
    ("minimax", 'Hm\n</think>\n\n<minimax:tool_call>\n<invoke name="get_weather">\n<parameter '
     'name="city">Rome</parameter>\n<parameter name="n">2</parameter>\n</invoke>\n'
     '<invoke name="now">\n</invoke>\n</minimax:tool_call>', "", "Hm", [CALL, NOW]),
    ("minimax-m3", 'See.]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="get_weather">'
     "]<]minimax[>[<city>Rome]<]minimax[>[</city>]<]minimax[>[<n>2]<]minimax[>[</n>]<]minimax[>["
     "</invoke>\n]<]minimax[>[</tool_call>", "See.", "", [CALL]),
    ("minimax-m3", ']<]minimax[>[<invoke name="now">]<]minimax[>[<a>]<]minimax[>[<item>1]<]minimax[>['
     "</item>]<]minimax[>[<item>]<]minimax[>[<b>x]<]minimax[>[</b>]<]minimax[>[</item>]<]minimax[>["
     "</a>]<]minimax[>[</invoke>", "", "", [("now", '{"a": [1, {"b": "x"}]}')]),
    ("minicpm", 'Hm</think><function name="get_weather"><param name="city">Rome</param>'
     '<param name="n">2</param></function>', "", "Hm", [CALL]),
    ("muse", " to=self<|message|>Hm<|eom|><|start|>assistant to=user<|message|>See.<|eom|>"
     "<|start|>assistant to=get_weather<|message|><atem:function_calls>\n<atem:invoke "
     'name="get_weather">\n<atem:parameter name="city">Rome</atem:parameter>\n<atem:parameter '
     'name="n">2</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eot|>', "See.", "Hm",
     [CALL]),
    ("solar", "<|think|>Hm<|end|><|begin|>assistant<|tool_calls|><|tool_call:begin|>a1"
     f"<|tool_call:name|>get_weather<|tool_call:args|>{PARIS}<|tool_call:end|><|calls|>", "", "Hm",
     [("get_weather", PARIS)]),
    ("solar", "<|think|>Hm<|end|><|begin|>assistant<|content|>Yes<|end|>", "Yes", "Hm", []),
    ("gpt-oss", "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>commentary "
     f"to=functions.get_weather <|constrain|>json<|message|>{PARIS}<|call|>", "", "Hm",
     [("get_weather", PARIS)]),
    ("gpt-oss", " to=functions.now<|channel|>commentary<|message|>{}", "", "", [NOW]),
    ("gpt-oss", "<|channel|>commentary to=assistant<|channel|>final<|message|>Yes<|return|>", "Yes",
     "", []),
    ("gpt-oss", "<|channel|>commentary to=functions.other<|message|>{}", "{}", "", []),
]  # fmt: skip


@pytest.mark.parametrize(("family", "text", "content", "thinking", "calls"), WRITTEN)
def test_answers_as_families_write_them(
    family: str, text: str, content: str, thinking: str, calls: list[tuple[str, str]]
) -> None:
    tags = tags_of(TEMPLATES[family])
    is_open = (
        tags is not None and tags.end in text and not text.startswith((tags.begin, "<|channel"))
    )
    is_open = is_open or (family == "apriel" and text.startswith("Hm"))
    options: dict[str, Any] = {"tags": tags, "open": is_open and family not in ("gpt-oss", "muse")}
    result = read_every_way(BY_NAME[family], text, **options)
    assert result == Read(content, calls, thinking=thinking)


def test_every_family_has_an_answer_here() -> None:
    assert {row[0] for row in WRITTEN} == BY_NAME.keys()


@pytest.mark.parametrize("family", BY_NAME.values(), ids=lambda family: family.name)
def test_written_is_what_is_read(family: Family) -> None:
    calls = [("get_weather", {"city": "Rome", "n": 2}), ("now", {})]
    calls = calls[:1] if family.syntax.between is None else calls
    result = read_every_way(family, family.syntax.written(calls))
    assert [(name, json.loads(arguments)) for name, arguments in result.calls] == calls
    assert (result.content, result.complete) == ("", True)


@pytest.mark.parametrize("family", BY_NAME.values(), ids=lambda family: family.name)
def test_marks_are_all_that_a_family_writes(family: Family) -> None:
    assert set(family.syntax.openers) <= family.marks
    assert set(family.syntax.closers) <= family.marks


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("dsml", {"｜DSML｜"}),
        ("minimax-m3", {"]<]minimax[>["}),
        ("gemma", {"<|tool_call>", "<tool_call|>", '<|"|>', "<channel|>"}),
        ("gpt-oss", {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>", "<|end|>"}),
        ("kimi-k3", {"<|open|>", "<|close|>", "<|sep|>"}),
        ("mistral-args", {"[TOOL_CALLS]", "[ARGS]"}),
    ],
)
def test_marks_have_the_names_of_control_tokens(name: str, marks: set[str]) -> None:
    assert marks <= BY_NAME[name].marks


def test_an_unsolicited_call_of_a_built_in_tool_is_no_text() -> None:
    text = "<|channel|>commentary to=python <|constrain|>code<|message|>print(1)<|call|>"
    assert read_every_way(BY_NAME["gpt-oss"], text, schemas={}) == Read()


def test_thinking_goes_on_where_the_prompt_ends_within() -> None:
    text = " and so<|end|><|start|>assistant<|channel|>final<|message|>Yes"
    tags = Tags("<|channel|>analysis<|message|>", "<|end|>")
    result = read_every_way(BY_NAME["gpt-oss"], text, tags=tags, open=True)
    assert (result.thinking, result.content) == ("and so", "Yes")
