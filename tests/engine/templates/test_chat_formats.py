"""The chat formats that llama-cpp-python has by name."""

from __future__ import annotations

import pytest

from llmroute.engine.templates.chat import render_chat
from llmroute.engine.templates.chat_formats import CHAT_FORMATS
from llmroute.engine.vocabulary.control_tokens import ControlTokens

CONTROL = ControlTokens.of(("<s>", "</s>"), bos="<s>", eos="</s>")
MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "It's {}?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Hi"},
]
FUNCTIONARY = {"functionary", "functionary-v1", "functionary-v2"}

# llama-cpp-python's own prompt is compared where it has the whole conversation.
SAME_AS_THERE = ("baichuan", "baichuan-2", "chatml", "llama-3", "oasst_llama", "qwen")
EXAMPLES = {
    "alpaca": "Be kind.\n\n### Instruction:\nIt's {}?\n\n### Response:\nYes.</s>"
    "### Instruction:\nHi\n\n### Response:\n",
    "chatglm3": "<|system|>\n Be kind.<|user|>\n It's {}?<|assistant|>\n Yes.<|user|>\n Hi"
    "<|assistant|>",
    "intel": "### System:\nBe kind.\n### User:\nIt's {}?\n### Assistant:\nYes.\n### User:\nHi\n"
    "### Assistant:\n",
    "mistrallite": "<|system|>Be kind.</s><|prompter|>It's {}?</s><|assistant|>Yes.</s>"
    "<|prompter|>Hi</s><|assistant|>",
    "open-orca": "Be kind.<|end_of_turn|>\nUser: It's {}?<|end_of_turn|>\n"
    "Assistant: Yes.<|end_of_turn|>\nUser: Hi<|end_of_turn|>\nAssistant: ",
    "openbuddy": "Be kind.\nUser: It's {}?\nAssistant: Yes.\nUser: Hi\nAssistant:",
    "openchat": "Be kind.<|end_of_turn|>GPT4 Correct User: It's {}?<|end_of_turn|>"
    "GPT4 Correct Assistant: Yes.<|end_of_turn|>GPT4 Correct User: Hi<|end_of_turn|>"
    "GPT4 Correct Assistant:",
    "phind": "### System Prompt\nBe kind.\n\n### User Message\nIt's {}?\n\n"
    "### Assistant\nYes.\n\n### User Message\nHi\n\n### Assistant\n",
    "pygmalion": "<|system|>Be kind.<|user|>It's {}?<|model|>Yes.<|user|>Hi<|model|>",
    "redpajama-incite": "Be kind.\n<human>: It's {}?\n<bot>: Yes.\n<human>: Hi\n<bot>:",
    "saiga": "<s>system\nBe kind.</s><s>user\nIt's {}?</s><s>bot\nYes.</s><s>user\nHi</s><s>bot",
    "snoozy": "### Instruction:\nBe kind.\n### Prompt: It's {}?\n### Response: Yes.\n"
    "### Prompt: Hi\n### Response:",
    "vicuna": "Be kind. USER: It's {}? ASSISTANT: Yes.</s>USER: Hi ASSISTANT:",
}


def prompt(name: str) -> str:
    return render_chat(MESSAGES, CHAT_FORMATS[name].template, CONTROL).text


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_chat_format_writes_every_message(name: str) -> None:
    assert prompt(name) == EXAMPLES[name]


@pytest.mark.native
@pytest.mark.parametrize("name", SAME_AS_THERE)
def test_chat_format_prompt_is_that_of_llama_cpp_python(name: str) -> None:
    formats = pytest.importorskip("llama_cpp.llama_chat_format")
    functions = {
        "baichuan": formats.format_baichuan,
        "baichuan-2": formats.format_baichuan2,
        "chatml": formats.format_chatml,
        "llama-3": formats.format_llama3,
        "oasst_llama": formats.format_oasst_llama,
        "qwen": formats.format_qwen,
    }
    assert prompt(name) == functions[name](messages=MESSAGES).prompt


@pytest.mark.native
def test_chat_formats_are_all_of_llama_cpp_python() -> None:
    formats = pytest.importorskip("llama_cpp.llama_chat_format")
    theirs = set(formats.LlamaChatCompletionHandlerRegistry()._chat_handlers)
    assert theirs - FUNCTIONARY == set(CHAT_FORMATS)
