"""From messages to the prompt a model was trained on, by the model's own template.

The texts that callers send cannot steer the model: the name of a control token in them (such as
`<|im_end|>`) stays text, while the same name in the template is the token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...errors import BadRequestError
from ..gguf.header import GGUFHeader
from ..vocabulary.control_tokens import ControlTokens, Segment
from .builtin import BUILT_IN
from .chat_formats import CHAT_FORMATS
from .continuation import Marked, continuing, is_empty, prefill_of, thinks_on
from .jinja import compile_template
from .messages import normalise
from .quoting import quoted
from .renderer import bounded
from .tool_definitions import ways_to_show
from .variables import template_variables

JSON: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A rendered conversation, ready for the tokenizer."""

    segments: tuple[Segment, ...]
    """One for nearly every conversation, more where a message names a control token."""
    add_special: bool
    """Whether the tokenizer shall add the model's own first token; not if the template wrote it."""

    @property
    def text(self) -> str:
        """The whole prompt, for people to read."""
        return "".join(segment.text for segment in self.segments)


def render_chat(
    messages: Sequence[Mapping[str, JSON]],
    template: str,
    control: ControlTokens,
    *,
    tools: Sequence[Mapping[str, JSON]] | None = None,
    variables: Mapping[str, JSON] | None = None,
) -> ChatPrompt:
    """The prompt for `messages`, up to where the assistant's answer begins.

    If the last one is the assistant's, the answer goes on with it (see `continuation`).

    `template` is Jinja text, as `choose_template` gives it; `variables` (`chat_template_kwargs`)
    are further variables for it and win over ours. Raises `BadRequestError` when the template
    fails or refuses.
    """
    _check_roles(messages)
    prefill = prefill_of(messages, variables)
    if prefill is not None and is_empty(prefill):
        messages, prefill = messages[:-1], None
    with bounded():
        given = {
            "messages": normalise(messages, template),
            "tools": list(tools) if tools else None,
            "variables": dict(variables or {}),
        }
        segments = quoted(_Rendering(template, control, prefill).text, given, control)
    first = segments[0] if segments else Segment("", parse_special=True)
    wrote_bos = bool(control.bos) and first.parse_special and first.text.startswith(control.bos)
    return ChatPrompt(segments, add_special=not wrote_bos)


@dataclass(frozen=True, slots=True)
class _Rendering:
    """A template, and what does not come from the caller."""

    template: str
    control: ControlTokens
    prefill: Mapping[str, JSON] | None
    """The last message, where the answer goes on with it."""

    def text(self, *, messages: list[JSON], tools: JSON, variables: Mapping[str, JSON]) -> str:
        """The prompt for prepared messages."""
        if self.prefill is None:
            return self._rendered(messages, tools, variables)
        thinking = thinks_on(self.prefill)
        marked = Marked(messages, thinking=thinking)
        whole = {"add_generation_prompt": False, **variables}
        with suppress(BadRequestError):  # of a message without text, say
            prompt = marked.cut(self._rendered(marked.messages, tools, whole))
            if prompt is not None:
                return prompt
        before = self._rendered(messages[:-1], tools, variables)
        return before + continuing(before, messages[-1], self.template, thinking=thinking)

    def _rendered(self, messages: list[JSON], tools: JSON, variables: Mapping[str, JSON]) -> str:
        """What the template writes; the first refusal, if it takes the tools in no way."""
        render, refusal = compile_template(self.template), None
        for shown in ways_to_show(tools) if tools else (None,):
            ours = template_variables(messages, shown, bos=self.control.bos, eos=self.control.eos)
            try:
                return render(**{**ours, **variables})
            except BadRequestError as error:
                refusal = refusal or error
        assert refusal is not None
        raise refusal


def _check_roles(messages: Sequence[Mapping[str, JSON]]) -> None:
    """Many templates write a role within the name of a control token."""
    for number, message in enumerate(messages):
        role = message.get("role")
        if not isinstance(role, str) or not re.fullmatch("[A-Za-z_]+", role):
            raise BadRequestError(
                f"messages[{number}] has the role {role!r:.100}; a role is a word such as "
                "'system', 'user', 'assistant' or 'tool'.",
                param="messages",
            )


def choose_template(header: GGUFHeader, chosen: str | None, *, with_tools: bool = False) -> str:
    """The template to use, as Jinja text.

    `chosen` (`chat_template=`) is a template, the name of a built-in one, a `chat_format` of
    llama-cpp-python, or the name of one of the file's further templates; `None` takes the file's
    own. Raises `BadRequestError` if there is none
    or no such name.
    """
    named = header.chat_templates
    if chosen is not None:
        if "{{" in chosen or "{%" in chosen:
            return chosen
        if chosen in named or chosen in BUILT_IN:
            return named.get(chosen) or BUILT_IN[chosen]
        if chosen in CHAT_FORMATS:
            return CHAT_FORMATS[chosen].template
        raise _unknown_template(chosen, {*BUILT_IN, *CHAT_FORMATS, *named})
    if with_tools and "tool_use" in named:
        return named["tool_use"]
    if header.chat_template is None:
        raise BadRequestError(
            f"{header.path} has no chat template, as base models have none. Use text_completion(), "
            'or pass chat_template="plain" (the texts only), the name of another built-in '
            f"({', '.join(sorted(set(BUILT_IN) - {'plain'}))}), or a Jinja template.",
            param="chat_template",
            url=str(header.path),
        )
    return header.chat_template


def _unknown_template(chosen: str, names: Iterable[str]) -> BadRequestError:
    return BadRequestError(
        f"chat_template={chosen!r:.100} is neither a Jinja template nor the name of one. Names: "
        f"{', '.join(sorted(names))}.",
        param="chat_template",
    )
