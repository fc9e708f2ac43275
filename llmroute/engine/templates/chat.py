"""From messages to the prompt a model was trained on, by the model's own template.

The texts that callers send cannot steer the model: the name of a control token in them (such as
`<|im_end|>`) stays text, while the same name in the template is the token.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...errors import BadRequestError
from ..gguf.header import GGUFHeader
from ..vocabulary.control_tokens import ControlTokens, Segment
from .builtin import BUILT_IN
from .jinja import compile_template
from .messages import normalise

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

    `template` is Jinja text, as `choose_template` gives it; `variables` (`chat_template_kwargs`)
    are further variables for it and win over ours. Raises `BadRequestError` when the template
    fails or refuses.
    """
    render = compile_template(template)
    quoted = _Quoted(control.names)
    given: dict[str, JSON] = {
        "messages": quoted.hide(normalise(messages, template)),
        "tools": quoted.hide(list(tools)) if tools else None,
        "add_generation_prompt": True,
        "bos_token": control.bos,
        "eos_token": control.eos,
        **quoted.hide(dict(variables or {})),
    }
    segments = quoted.reveal(render(**given))
    first = segments[0] if segments else Segment("", parse_special=True)
    wrote_bos = bool(control.bos) and first.parse_special and first.text.startswith(control.bos)
    return ChatPrompt(segments, add_special=not wrote_bos)


def choose_template(header: GGUFHeader, chosen: str | None, *, with_tools: bool = False) -> str:
    """The template to use, as Jinja text.

    `chosen` (`chat_template=`) is a template, the name of a built-in one, or the name of one of the
    file's further templates; `None` takes the file's own. Raises `BadRequestError` if there is none
    or no such name.
    """
    named = header.chat_templates
    if chosen is not None:
        if "{{" in chosen or "{%" in chosen:
            return chosen
        if chosen in named or chosen in BUILT_IN:
            return named.get(chosen) or BUILT_IN[chosen]
        raise _unknown_template(chosen, [*BUILT_IN, *named])
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


def _unknown_template(chosen: str, names: Sequence[str]) -> BadRequestError:
    return BadRequestError(
        f"chat_template={chosen!r:.100} is neither a Jinja template nor the name of one. Names: "
        f"{', '.join(sorted(names))}.",
        param="chat_template",
    )


class _Quoted:
    """Takes the names of control tokens out of the callers' texts, and puts them back as text.

    Each is replaced by a mark that no template changes and nobody can guess. A text that a template
    drops or cuts takes its marks along, so nothing can slip through.
    """

    def __init__(self, names: re.Pattern[str] | None) -> None:
        self._names = names
        self._found: list[str] = []
        self._nonce = ""

    def hide(self, value: JSON) -> JSON:
        """A copy of `value` with marks for names, in every text at any depth."""
        return value if self._names is None else _map_texts(value, self._hide_in)

    def reveal(self, rendered: str) -> tuple[Segment, ...]:
        """The rendered prompt in segments; one if nothing was hidden."""
        if not self._found:
            return (Segment(rendered, parse_special=True),)
        parts = re.split(f"\ue000{self._nonce}-([0-9]+)\ue001", rendered)
        segments = [
            Segment(self._found[int(part)], False) if number % 2 else Segment(part, True)
            for number, part in enumerate(parts)
        ]
        return tuple(segment for segment in segments if segment.text)

    def _hide_in(self, text: str) -> str:
        assert self._names is not None
        return self._names.sub(self._mark, text)

    def _mark(self, match: re.Match[str]) -> str:
        self._nonce = self._nonce or str(secrets.randbelow(10**18))
        self._found.append(match[0])
        return f"\ue000{self._nonce}-{len(self._found) - 1}\ue001"


def _map_texts(value: JSON, change: Callable[[str], str]) -> JSON:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_map_texts(key, change): _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_texts(item, change) for item in value]
    return value
