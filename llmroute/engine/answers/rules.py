"""What is read out of a model's answers and forced on them, by its chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...providers.base import LocalCall
from ..gguf.header import GGUFHeader
from ..templates.chat import choose_template
from ..tools.definitions import Tools
from ..tools.families import GENERIC, Family, detect_family
from ..tools.forced import after_thinking, calls_grammar
from ..tools.parser import ToolCallParser
from ..tools.reader import Reader
from ..tools.reasoning import ReasoningSplitter, Tags, tags_of
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
        splitter = ReasoningSplitter(self.tags, open=self.open) if self.tags else None
        if self.tools is None or self.family is None:
            return Reader(splitter, None)
        parser = ToolCallParser(
            self.family.syntax, self.tools.parameters, parallel=self.tools.parallel
        )
        return Reader(splitter, parser)

    def markers(self, vocabulary: Vocabulary) -> dict[int, bytes]:
        """The control tokens that the reader must see, and their text."""
        names = set(self.tags or ())
        if self.tools is not None and self.family is not None:
            names |= self.family.marks
        if not names:
            return {}
        found = vocabulary.control_names.items()
        return {token: name.encode() for token, name in found if name in names}


def rules_for(call: LocalCall, form: Form, header: GGUFHeader, prompt: str) -> AnswerRules:
    """The rules for the answers to `prompt`, the rendered text of the chat `call`.

    Raises `BadRequestError` for tools that are to be called and whose schemas are not taken.
    """
    template = choose_template(
        header, call.params.get("chat_template"), with_tools=form.tools is not None
    )
    family, tags = detect_family(template), tags_of(template)
    is_open = tags is not None and prompt.rstrip().endswith(tags.begin)
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
    """`messages`, with the tools in the system's words where the template knows none."""
    if tools is None or detect_family(template) is not GENERIC:
        return messages
    told, rest = tools.told(), list(messages)
    if rest and rest[0].get("role") == "system" and isinstance(rest[0].get("content"), str):
        told = f"{rest.pop(0)['content']}\n\n{told}"
    return [{"role": "system", "content": told}, *rest]
