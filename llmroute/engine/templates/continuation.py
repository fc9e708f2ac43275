"""A last message of the assistant, which the model goes on with (prefill)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..tools.families import detect_family
from ..tools.reasoning import tags_of

JSON: TypeAlias = Any
_REASONING_KEYS = ("reasoning_content", "thinking", "reasoning", "thought")


def prefill_of(messages: JSON, variables: Mapping[str, JSON] | None) -> Mapping[str, JSON] | None:
    """The last message, if it is the assistant's and the answer goes on with it.

    A call of tools is complete, and `add_generation_prompt=True` in `variables` begins a new turn.
    """
    if not isinstance(messages, Sequence) or not messages:
        return None
    last = messages[-1]
    if not isinstance(last, Mapping) or (variables or {}).get("add_generation_prompt"):
        return None
    return last if last.get("role") == "assistant" and not last.get("tool_calls") else None


def is_empty(prefill: Mapping[str, JSON]) -> bool:
    """Whether there is nothing to go on with."""
    return not prefill.get("content") and not prefill.get("reasoning_content")


def thinks_on(prefill: Mapping[str, JSON]) -> bool:
    """Whether it is the thinking that goes on, as there is no text yet."""
    return not prefill.get("content") and bool(prefill.get("reasoning_content"))


class Marked:
    """Messages with a mark at the end of the last one, to cut the prompt there."""

    def __init__(self, messages: Sequence[Mapping[str, JSON]], *, thinking: bool) -> None:
        """`thinking` says that the last one's thinking goes on, and not its text."""
        self._mark = f"\ue002{secrets.randbelow(10**18)}\ue003"
        *before, last = messages
        keys = [key for key in _REASONING_KEYS if last.get(key)] if thinking else ["content"]
        if thinking and last.get("content"):
            keys.append("content")  # where the thinking is a part of it
        self.messages = [*before, {**last, **{key: self._with_mark(last[key]) for key in keys}}]

    def _with_mark(self, content: JSON) -> JSON:
        if isinstance(content, str):
            return content + self._mark
        *before, last = content
        kind = last["type"]
        return [*before, {**last, kind: last[kind] + self._mark}]

    def cut(self, rendered: str) -> str | None:
        """The prompt up to the mark; `None` if the template does not show it."""
        before, mark, _ = rendered.rpartition(self._mark)
        return before if mark else None


def continuing(prompt: str, last: Mapping[str, JSON], template: str, *, thinking: bool) -> str:
    """What stands behind `prompt` for the answer to go on with the message `last`."""
    tags, syntax = tags_of(template), detect_family(template).syntax
    content, thought = _text(last.get("content")), last.get("reasoning_content") or ""
    begun = tags is not None and prompt.rstrip().endswith(tags.begin)
    if tags is None or not (thought or begun):
        return syntax.around_text[0] + content
    thought = thought if begun else tags.begin + thought
    if thinking:
        return thought
    return thought + tags.end + syntax.after_thinking + syntax.around_text[0] + content


def _text(content: JSON) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")
