"""The names under which llama-cpp-python has prompt formats for models with images."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ...errors import BadRequestError

# Each in the format that its model's page shows; the texts are ours. An image stays where the
# message has it.
_VICUNA = """\
{%- for message in messages %}
    {%- if message.role == 'user' %}{{ '\\nUSER: ' + message.content }}
    {%- elif message.role == 'assistant' %}{{ '\\nASSISTANT: ' + message.content }}
    {%- else %}{{ message.content }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '\\nASSISTANT:' }}{% endif %}"""
_QUESTION = """\
{%- for message in messages %}
    {%- if message.role == 'user' %}{{ 'Question: ' + message.content + '\\n\\n' }}
    {%- elif message.role == 'assistant' %}{{ 'Answer: ' + message.content + '\\n\\n' }}
    {%- else %}{{ message.content + '\\n\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'Answer:' }}{% endif %}"""
_HASHES = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '\\n###\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

_HANDLERS: dict[str, str | None] = {
    "Gemma4ChatHandler": None,
    "Llama3VisionAlpha": "llama3",
    "Llama3VisionAlphaChatHandler": "llama3",
    "Llava15ChatHandler": _VICUNA,
    "Llava16ChatHandler": _VICUNA,
    "MTMDChatHandler": None,
    "MiniCPMv26ChatHandler": "chatml",
    "MoondreamChatHandler": _QUESTION,
    "NanoLlavaChatHandler": "chatml",
    "ObsidianChatHandler": _HASHES,
    "Qwen25VLChatHandler": "chatml",
}
"""Template, or name of a built-in one; `None` for the one in the model's file."""


def handler_names() -> list[str]:
    """The names that `chat_handler_name` may have."""
    return sorted(_HANDLERS)


def template_of(load: Mapping[str, Any]) -> str | None:
    """The template that `chat_handler_name` stands for; `None` for the model's own.

    Raises `BadRequestError` for an unknown name.
    """
    name = load.get("chat_handler_name")
    if name is None:
        return None
    if name not in _HANDLERS:
        near = difflib.get_close_matches(str(name), _HANDLERS, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise BadRequestError(
            f"Unknown chat_handler_name {name!r:.100}. {hint}Names: {', '.join(_HANDLERS)}. "
            "Without one the model's own template is used.",
            param="chat_handler_name",
        )
    return _HANDLERS[name]
