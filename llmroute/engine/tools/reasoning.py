"""A model's thinking, apart from its answer."""

from __future__ import annotations

from typing import NamedTuple

from .pieces import Thought


class Tags(NamedTuple):
    """What a model writes around its thinking."""

    begin: str
    end: str


# Tags, and what stands in the chat templates that know them; looked for in this order.
_KNOWN: tuple[tuple[Tags, tuple[str, ...]], ...] = (
    (Tags("<|channel|>analysis<|message|>", "<|end|>"), ("<|channel|>analysis",)),  # gpt-oss
    (Tags(" to=self<|message|>", "<|eom|>"), ("to=self", "<|eom|>")),  # Muse
    (Tags("<|channel>thought", "<channel|>"), ("<channel|>",)),  # Gemma 4
    (Tags("<|open|>think<|sep|>", "<|close|>think<|sep|>"), ("<|open|>", "'think'")),  # Kimi K3
    (Tags("<think:opensource>", "</think:opensource>"), ("opensource", "think:")),  # Hunyuan 3
    (Tags("<mm:think>", "</mm:think>"), ("</mm:think>",)),  # MiniMax M3
    (Tags("<think>", "</think>"), ("</think>",)),  # DeepSeek, Qwen, QwQ, GLM, SmolLM3
    (Tags("[THINK]", "[/THINK]"), ("[/THINK]",)),  # Magistral, Ministral
    (Tags("<seed:think>", "</seed:think>"), ("</seed:think>",)),  # Seed-OSS
    (Tags("◁think▷", "◁/think▷"), ("◁/think▷",)),  # Kimi VL
    (Tags("<|START_THINKING|>", "<|END_THINKING|>"), ("<|END_THINKING|>",)),  # Command
    (Tags("<|think|>", "<|end|>"), ("<|think|>", "<|tool_call:begin|>")),  # Solar
    (Tags("<|inner_prefix|>", "<|inner_suffix|>"), ("<|inner_prefix|>",)),  # Apertus
    (Tags("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"), ("[BEGIN FINAL RESPONSE]",)),
    (Tags("<thinking>", "</thinking>"), ("</thinking>",)),
    (Tags("<reasoning>", "</reasoning>"), ("</reasoning>",)),
)


def tags_of(template: str) -> Tags | None:
    """The tags of a model's thinking, as its chat template knows them; `None` if it knows none."""
    known = (tags for tags, signs in _KNOWN if all(sign in template for sign in signs))
    return next(known, None)


class Thinking:
    """Takes the text of one stretch of thinking, and gives it without the space around it."""

    def __init__(self) -> None:
        self._begun = False
        self._space: list[str] = []

    def take(self, text: str) -> Thought | None:
        """What is certain after `text`."""
        if not self._begun:
            text = text.lstrip()
        shown = text.rstrip()
        if not shown:
            self._space.append(text)
            return None
        self._begun = True
        before, self._space = "".join(self._space), [text[len(shown) :]]
        return Thought(before + shown)
