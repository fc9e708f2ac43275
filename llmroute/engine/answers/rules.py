"""What is read out of a model's answers and forced on them, by its chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...providers.base import LocalCall
from ..gguf.header import GGUFHeader
from ..options.vision_formats import template_of
from ..templates.chat import choose_template
from ..templates.continuation import is_empty, prefill_of, thinks_on
from ..templates.probe import shows_tools
from ..tools.definitions import Tools
from ..tools.families import detect_family
from ..tools.forced import after_thinking, calls_grammar
from ..tools.parser import ToolCallParser
from ..tools.reader import Reader
from ..tools.reasoning import Tags, tags_of
from ..tools.syntax import Family, marks_in
from ..vocabulary.vocabulary import Vocabulary
from .form import Form


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How the answers to one prompt are to be read and held to a form."""

    family: Family | None = None
    tools: Tools | None = None
    tags: Tags | None = None
    open: bool = False
    """Whether the prompt ends within the thinking."""
    grammar: str | None = None

    def reader(self) -> Reader:
        """A new reader, for one answer."""
        names = self.tools.parameters if self.tools else {}
        if self.family is None or not (names or self.tags or self.family.syntax.frames):
            return Reader(None)
        return Reader(
            ToolCallParser(
                self.family.syntax,
                names,
                parallel=self.tools is None or self.tools.parallel,
                tags=self.tags,
                open=self.open,
            )
        )

    def markers(self, vocabulary: Vocabulary) -> dict[int, bytes]:
        """The control tokens that the reader must see, and their text."""
        wanted = set(marks_in(self.tags or ()))
        if self.family is not None:
            wanted |= self.family.marks if self.tools else set(marks_in(self.family.syntax.frames))
        if not wanted:
            return {}
        found = vocabulary.control_names.items()
        return {token: name.encode() for token, name in found if name in wanted}


def rules_for(call: LocalCall, form: Form, header: GGUFHeader, prompt: str) -> AnswerRules:
    """The rules for the answers to `prompt`, the rendered text of the chat `call`.

    Raises `BadRequestError` for tools that are to be called and whose schemas are not taken.
    """
    chosen = call.params.get("chat_template") or template_of(call.load)
    template = choose_template(header, chosen, with_tools=form.tools is not None)
    family, tags = detect_family(template), tags_of(template)
    is_open = tags is not None and prompt.rstrip().endswith(tags.begin)
    prefill = prefill_of(call.prompt, call.params.get("chat_template_kwargs"))
    if prefill is not None and not is_empty(prefill):
        is_open = tags is not None and thinks_on(prefill)
        tags = tags if is_open else None  # it is past its thinking
    grammar, may_think = form.grammar, form.may_think
    if form.tools is not None and form.tools.forced:
        grammar = calls_grammar(family, form.tools.parameters, parallel=form.tools.parallel)
        may_think = True
    if grammar is not None and may_think and is_open and tags is not None:
        grammar = after_thinking(grammar, tags)
    return AnswerRules(family, form.tools, tags, is_open, grammar)


def with_tools_told(
    messages: Sequence[Mapping[str, Any]], tools: Tools | None, template: str
) -> Sequence[Mapping[str, Any]]:
    """`messages`, with the tools in the system's words where the template does not show them."""
    if tools is None or shows_tools(template):
        return messages
    told, rest = tools.told(detect_family(template).syntax), list(messages)
    first = rest[0] if rest and isinstance(rest[0], Mapping) else {}
    if first.get("role") in ("system", "developer") and isinstance(first.get("content"), str):
        told = f"{rest.pop(0)['content']}\n\n{told}"
    return [{"role": "system", "content": told}, *rest]
