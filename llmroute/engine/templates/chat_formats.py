"""llama-cpp-python's `chat_format` names, as templates.

Those of llama-cpp-python 0.3.36 that need no tokenizer beside the model's own
(https://github.com/abetlen/llama-cpp-python/blob/main/llama_cpp/llama_chat_format.py). The texts
are ours: they have its labels and separators, or those of the page that an entry names, where its
own differ from what the model was trained with. The system message is always the caller's: none is
added, and none is left out.
"""

from __future__ import annotations

from typing import NamedTuple

from .builtin import BUILT_IN


class ChatFormat(NamedTuple):
    """How a conversation is written, and what ends an answer."""

    template: str
    """As Jinja text."""
    stop: tuple[str, ...] = ()
    """Texts that begin the next turn, where no token of the model's ends an answer."""


def _turns(system: str, user: str, assistant: str, answer: str, *stop: str) -> ChatFormat:
    """Turns one after the other. `system`, `user` and `assistant` have `{}` for the message's text;
    `answer` begins the turn that the model is to write."""
    turns = [
        ("if message.role == 'system'", system),
        ("elif message.role == 'user'", user),
        ("else", assistant),
    ]
    written = "".join(f"{{%- {test} %}}{{{{ {_expression(turn)} }}}}" for test, turn in turns)
    return ChatFormat(
        f"{{%- for message in messages %}}{written}{{%- endif %}}{{%- endfor %}}"
        f"{{%- if add_generation_prompt %}}{{{{ {_expression(answer)} }}}}{{% endif %}}",
        stop,
    )


def _expression(turn: str) -> str:
    """A turn as a Jinja expression, in which BOS and EOS are the model's own."""
    for name, token in {"{}": "message.content", "<s>": "bos_token", "</s>": "eos_token"}.items():
        turn = turn.replace(name, f"' + {token} + '")
    return "'" + turn.replace("\n", "\\n") + "'"


CHAT_FORMATS: dict[str, ChatFormat] = {
    # https://github.com/tatsu-lab/stanford_alpaca#data-release
    "alpaca": _turns(
        "{}\n\n", "### Instruction:\n{}\n\n", "### Response:\n{}</s>", "### Response:\n"
    ),
    "baichuan": _turns("{}", "<reserved_102>{}", "<reserved_103>{}", "<reserved_103>"),
    "baichuan-2": _turns("{}", "<reserved_106>{}", "<reserved_107>{}", "<reserved_107>"),
    "chatglm3": _turns("<|system|>\n {}", "<|user|>\n {}", "<|assistant|>\n {}", "<|assistant|>"),
    "chatml": ChatFormat(BUILT_IN["chatml"]),
    # Tools reach any template, and calls are read out of any answer.
    "chatml-function-calling": ChatFormat(BUILT_IN["chatml"]),
    "gemma": ChatFormat(BUILT_IN["gemma"]),
    # https://huggingface.co/Intel/neural-chat-7b-v3-1
    "intel": _turns(
        "### System:\n{}\n", "### User:\n{}\n", "### Assistant:\n{}\n", "### Assistant:\n"
    ),
    "llama-2": ChatFormat(BUILT_IN["llama2"]),
    "llama-3": ChatFormat(BUILT_IN["llama3"]),
    "mistral-instruct": ChatFormat(BUILT_IN["mistral"]),
    # https://huggingface.co/amazon/MistralLite
    "mistrallite": _turns(
        "<|system|>{}</s>", "<|prompter|>{}</s>", "<|assistant|>{}</s>", "<|assistant|>"
    ),
    "oasst_llama": _turns(
        "[INST] <<SYS>>\n{}\n<</SYS>>\n\n",
        "<|prompter|>{}</s>",
        "<|assistant|>{}</s>",
        "<|assistant|>",
    ),
    "open-orca": _turns(
        "{}<|end_of_turn|>\n",
        "User: {}<|end_of_turn|>\n",
        "Assistant: {}<|end_of_turn|>\n",
        "Assistant: ",
        "<|end_of_turn|>",
    ),
    "openbuddy": _turns("{}\n", "User: {}\n", "Assistant: {}\n", "Assistant:"),
    # https://huggingface.co/openchat/openchat_3.5
    "openchat": _turns(
        "{}<|end_of_turn|>",
        "GPT4 Correct User: {}<|end_of_turn|>",
        "GPT4 Correct Assistant: {}<|end_of_turn|>",
        "GPT4 Correct Assistant:",
        "<|end_of_turn|>",
    ),
    # https://huggingface.co/Phind/Phind-CodeLlama-34B-v2
    "phind": _turns(
        "### System Prompt\n{}\n\n",
        "### User Message\n{}\n\n",
        "### Assistant\n{}\n\n",
        "### Assistant\n",
    ),
    # https://huggingface.co/PygmalionAI/pygmalion-2-7b
    "pygmalion": _turns("<|system|>{}", "<|user|>{}", "<|model|>{}", "<|model|>", "<|user|>"),
    "qwen": ChatFormat(BUILT_IN["chatml"]),
    "redpajama-incite": _turns("{}\n", "<human>: {}\n", "<bot>: {}\n", "<bot>:", "<human>"),
    "saiga": _turns("<s>system\n{}</s>", "<s>user\n{}</s>", "<s>bot\n{}</s>", "<s>bot"),
    "snoozy": _turns(
        "### Instruction:\n{}\n", "### Prompt: {}\n", "### Response: {}\n", "### Response:", "###"
    ),
    "vicuna": _turns("{} ", "USER: {} ", "ASSISTANT: {}</s>", "ASSISTANT:"),
    "zephyr": ChatFormat(BUILT_IN["zephyr"]),
}
"""By the name that llama-cpp-python has for it."""
