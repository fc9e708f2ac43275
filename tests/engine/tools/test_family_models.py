"""Models that write control tokens: what a caller gets of their answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmroute import completion, unload
from llmroute.errors import UnsupportedParamsError
from llmroute.testing.tiny_gguf import write_scripted

pytestmark = pytest.mark.native

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
BODY = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
HARMONY = "{# <|channel|>analysis<|message|> {{ reasoning_effort }} #}" + BODY
KIMI = "{# <|tool_calls_section_begin|> #}" + BODY
GEMMA = "{# <|tool_call>call: <|channel>thought <channel|> #}" + BODY


def scripted(path: Path, template: str, *pieces: str) -> str:
    """A model that writes these pieces; those in angle brackets are control tokens."""
    longer = [piece for piece in pieces if len(piece) > 1]
    types = [3 if re.fullmatch(r"<.*>", piece) else 1 for piece in longer]
    write_scripted(
        path,
        "".join(pieces),
        pieces=pieces,
        chat_template=template,
        metadata={"tokenizer.ggml.token_type": [3] * 4 + [1] * 256 + types},
    )
    return f"llamacpp/{path}"


@pytest.fixture(autouse=True)
def unloaded() -> Iterator[None]:
    yield
    unload()


def asked(model: str, **params: Any) -> tuple[str | None, str | None, list[tuple[str, str]]]:
    """Text, thinking and calls of an answer, the same in a stream."""
    message = completion(model, "Oslo?", temperature=0, **params).choices[0].message
    calls = [(c.function.name, c.function.arguments) for c in message.tool_calls or ()]
    stream = completion(model, "Oslo?", temperature=0, stream=True, **params)
    deltas = [choice.delta for chunk in stream for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == (message.content or "")
    assert "".join(delta.reasoning_content or "" for delta in deltas) == (
        message.reasoning_content or ""
    )
    written = [call for delta in deltas for call in delta.tool_calls or ()]
    assert "".join(call.function.arguments or "" for call in written) == "".join(
        arguments for _, arguments in calls
    )
    return message.content, message.reasoning_content, calls


def test_a_call_of_gpt_oss_in_control_tokens(tmp_path: Path) -> None:
    pieces = ("<|channel|>", "commentary", " to=functions.", "get_weather", "<|message|>")
    model = scripted(tmp_path / "m.gguf", HARMONY, *pieces, '{"city"', ': "Oslo"}')
    assert asked(model, tools=[WEATHER]) == (None, None, [("get_weather", '{"city": "Oslo"}')])


def test_channels_of_gpt_oss_without_tools(tmp_path: Path) -> None:
    model = scripted(
        tmp_path / "m.gguf", HARMONY, "<|channel|>", "final", "<|message|>", "Yes, ", "so"
    )
    assert asked(model) == ("Yes, so", None, [])


def test_a_call_of_kimi_in_control_tokens(tmp_path: Path) -> None:
    pieces = (
        "Look. ",
        "<|tool_calls_section_begin|>",
        "<|tool_call_begin|>",
        "functions.get_weather:0",
    )
    model = scripted(
        tmp_path / "m.gguf",
        KIMI,
        *pieces,
        *("<|tool_call_argument_begin|>", "{}", "<|tool_call_end|>", "<|tool_calls_section_end|>"),
    )
    assert asked(model, tools=[WEATHER]) == ("Look. ", None, [("get_weather", "{}")])


def test_a_call_and_thinking_of_gemma(tmp_path: Path) -> None:
    pieces = ("<|channel>", "thought\n", "Hm", "<channel|>", "<|tool_call>", "call:get_weather")
    model = scripted(tmp_path / "m.gguf", GEMMA, *pieces, "{city:", '<|"|>', "Os}lo")
    text, thinking, calls = asked(model, tools=[WEATHER])
    assert (text, thinking) == (None, "Hm")
    assert calls == [("get_weather", '{"city":"Os}lo')]  # the text ends within the string


def test_an_answer_that_goes_on_holds_what_is_new(tmp_path: Path) -> None:
    model = scripted(tmp_path / "m.gguf", BODY, " a time", ", there", " was")
    begun = [{"role": "user", "content": "A story"}, {"role": "assistant", "content": "Once upon"}]
    answer = completion(model, begun, temperature=0)
    assert answer.text == " a time, there was"


def test_reasoning_effort_reaches_a_template_that_knows_it(tmp_path: Path) -> None:
    knows = "{{ reasoning_effort or 'none' }} " + BODY
    model = scripted(tmp_path / "m.gguf", knows, "Yes")
    low, longer = (
        completion(model, "Hi", reasoning_effort=effort).usage.prompt_tokens
        for effort in ("low", "a longer word")
    )
    assert longer - low == len("a longer word") - len("low")
    plain = scripted(tmp_path / "plain.gguf", BODY, "Yes")
    with pytest.raises(UnsupportedParamsError, match="reasoning effort"):
        completion(plain, "Hi", reasoning_effort="low")
