"""What is read out of a model's answers and forced on them, by its chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...json_schemas.refusal import GrammarError
from ...providers.base import LocalCall
from ..gguf.header import GGUFHeader
from ..grammar.lark import Lark
from ..options.vision_formats import template_of
from ..templates.chat import choose_template
from ..templates.continuation import is_empty, prefill_of, thinks_on
from ..templates.probe import shows_tools
from ..tools.definitions import Tools
from ..tools.families import detect_family
from ..tools.forced import calls_grammar, text_grammar, with_thinking
from ..tools.parser import ToolCallParser
from ..tools.reader import Reader
from ..tools.reasoning import Tags, tags_of
from ..tools.syntax import Family, Syntax, marks_in
from ..vocabulary.vocabulary import Vocabulary
from .form import Form, refused


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How the answers to one prompt are to be read and held to a form."""

    family: Family | None = None
    tools: Tools | None = None
    tags: Tags | None = None
    open: bool = False
    """Whether the prompt ends within the thinking."""
    form: Form = field(default_factory=Form)
    may_think: bool = False
    """Whether the answer may begin with thinking, where the prompt does not end within it."""

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

    def grammar(self, vocabulary: Vocabulary) -> str | None:
        """The grammar that holds the model to the form, as Lark; `None` if nothing does.

        Raises `BadRequestError` for tools that are to be called and whose schemas are not taken.
        """
        form = self.form
        if form.grammar is not None or not form.is_held:
            return form.grammar
        syntax = self.family.syntax if self.family else None
        lark = Lark(_control(vocabulary, self.tags, syntax))
        must_call = form.tools is not None and form.tools.forced
        answers = []
        if form.schema is not None and not must_call:
            answers.append(text_grammar(lark, lark.json(form.schema), syntax))
        if form.tools is not None and syntax is not None:
            answers.append(_calls(lark, syntax, form.tools))
        answer = " | ".join(answers)
        if self.tags is not None and (self.open or self.may_think):
            answer = with_thinking(lark, answer, self.tags, syntax, open=self.open)
        return lark.finish(answer)


def _control(vocabulary: Vocabulary, tags: Tags | None, syntax: Syntax | None) -> dict[str, int]:
    """The control tokens that an answer may have."""
    names = {*marks_in(tags or ()), *(syntax.marks if syntax else ())}
    known = vocabulary.control_ids
    return {name: known[name] for name in names if name in known}


def _calls(lark: Lark, syntax: Syntax, tools: Tools) -> str:
    try:
        return calls_grammar(lark, syntax, tools.parameters, parallel=tools.parallel)
    except GrammarError as error:
        raise refused(error, "tools") from None


def rules_for(call: LocalCall, form: Form, header: GGUFHeader, prompt: str) -> AnswerRules:
    """The rules for the answers to `prompt`, the rendered text of the chat `call`."""
    chosen = call.params.get("chat_template") or template_of(call.load)
    template = choose_template(header, chosen, with_tools=form.tools is not None)
    family, tags = detect_family(template), tags_of(template)
    written = prompt.rstrip()
    is_open = tags is not None and written.endswith(tags.begin)
    may_think = tags is not None and not written.endswith(tags.end)
    prefill = prefill_of(call.prompt, call.params.get("chat_template_kwargs"))
    if prefill is not None and not is_empty(prefill):
        is_open = tags is not None and thinks_on(prefill)
        tags = tags if is_open else None  # it is past its thinking
    return AnswerRules(family, form.tools, tags, is_open, form, may_think)


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
