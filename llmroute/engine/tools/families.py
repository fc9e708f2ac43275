"""Which family's way of writing calls a model follows, told from its chat template."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .calls import Syntax
from .syntaxes import DEEPSEEK, FUNCTION_TAG, HERMES, LLAMA, MISTRAL


@dataclass(frozen=True, slots=True)
class Family:
    """One way of writing calls: how it is read, and how it is written where it is forced."""

    name: str
    syntax: Syntax
    before: str
    """What stands before a call's arguments; `{name}` is the function's."""
    after: str
    """What stands behind them."""
    begin: str = ""
    """What stands before the first call."""
    between: str = ""
    end: str = ""
    """What stands behind the last."""

    @property
    def marks(self) -> frozenset[str]:
        """All it writes that a model may have control tokens for."""
        texts = (self.before, self.after, self.begin, self.end)
        written = (mark for text in texts for mark in _MARK.findall(text))
        return frozenset((*written, *self.syntax.markers, *self.syntax.marks))

    def around(self, name: str) -> tuple[str, str]:
        """What stands before and behind the arguments of a call of a function."""
        return self.before.replace("{name}", name), self.after


_MARK = re.compile(r"<[^<>\s]+>|\[[A-Z_]+\]")
_TAGGED = ('<tool_call>\n{"name": "{name}", "arguments": ', "}\n</tool_call>")
GENERIC = Family("generic", HERMES, *_TAGGED, between="\n")
"""For models whose template knows nothing of tools: they are told in a system message."""
_HERMES = Family("hermes", HERMES, *_TAGGED, between="\n")
_MISTRAL = Family(
    "mistral",
    MISTRAL,
    '{"name": "{name}", "arguments": ',
    "}",
    begin="[TOOL_CALLS][",
    between=", ",
    end="]",
)
_MISTRAL_ARGS = Family("mistral-args", MISTRAL, "[TOOL_CALLS]{name}[ARGS]", "")
_LLAMA = Family("llama", LLAMA, '{"name": "{name}", "parameters": ', "}", between="; ")
_FUNCTION_TAG = Family("function-tag", FUNCTION_TAG, "<function={name}>", "</function>")
_DEEPSEEK = Family(
    "deepseek",
    DEEPSEEK,
    "<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    begin="<｜tool▁calls▁begin｜>",
    end="<｜tool▁calls▁end｜>",
)
_DEEPSEEK_FENCED = Family(
    "deepseek-fenced",
    DEEPSEEK,
    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n",
    "\n```<｜tool▁call▁end｜>",
    begin="<｜tool▁calls▁begin｜>",
    between="\n",
    end="<｜tool▁calls▁end｜>",
)

# Looked for in this order: all that stand in a line, and the family they tell.
_SIGNS: tuple[tuple[tuple[str, ...], Family], ...] = (
    (("<｜tool▁sep｜>", "```json"), _DEEPSEEK_FENCED),
    (("<｜tool▁sep｜>",), _DEEPSEEK),
    (("[TOOL_CALLS]", "[ARGS]"), _MISTRAL_ARGS),
    (("[TOOL_CALLS]",), _MISTRAL),
    (("<tool_call>",), _HERMES),
    (("<function=",), _FUNCTION_TAG),
    (("<|python_tag|>",), _LLAMA),
    (("<|python_start|>",), _LLAMA),
    (("ipython", "tools"), _LLAMA),
)


def detect_family(template: str) -> Family:
    """The family a chat template (as Jinja text) belongs to."""
    for signs, family in _SIGNS:
        if all(sign in template for sign in signs):
            return family
    return GENERIC
