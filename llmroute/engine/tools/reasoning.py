"""A model's thinking, apart from its answer."""

from __future__ import annotations

from typing import NamedTuple

from .scan import beginning_of


class Tags(NamedTuple):
    """What a model writes around its thinking."""

    begin: str
    end: str


_KNOWN = (
    Tags("<think>", "</think>"),  # DeepSeek, Qwen, QwQ, GLM, SmolLM3
    Tags("[THINK]", "[/THINK]"),  # Magistral
    Tags("<seed:think>", "</seed:think>"),  # Seed-OSS
    Tags("◁think▷", "◁/think▷"),  # Kimi
    Tags("<|START_THINKING|>", "<|END_THINKING|>"),  # Command
    Tags("<thinking>", "</thinking>"),
    Tags("<reasoning>", "</reasoning>"),
)


def tags_of(template: str) -> Tags | None:
    """The tags of a model's thinking, as its chat template knows them; `None` if it knows none."""
    return next((tags for tags in _KNOWN if tags.end in template), None)


class ReasoningSplitter:
    """Takes the thinking at the beginning of an answer apart, piece by piece.

    `open` says that the prompt ended with the beginning tag, so the answer begins within. Tags
    elsewhere are text. White space around the thinking is dropped.
    """

    def __init__(self, tags: Tags, *, open: bool = False) -> None:
        self._tags = tags
        self._held = ""
        self._state = "thinking" if open else "start"
        self._fresh = open
        """Whether white space is dropped, as nothing else has come yet."""

    def feed(self, text: str) -> tuple[str, str]:
        """What is new of the thinking, and of the answer."""
        if self._state == "answer":
            return "", self._answer(text)
        self._held += text
        if self._state == "start" and not self._begun():
            return "", self._release()
        return self._think() if self._state == "thinking" else ("", "")

    def finish(self) -> tuple[str, str]:
        """What was held back."""
        held, self._held = self._held, ""
        return (held.rstrip(), "") if self._state == "thinking" else ("", held)

    def _begun(self) -> bool:
        """Whether the answer begins with the tag, or may yet."""
        text = self._held.lstrip()
        if text.startswith(self._tags.begin):
            self._held = text.removeprefix(self._tags.begin)
            self._state, self._fresh = "thinking", True
            return True
        return self._tags.begin.startswith(text)

    def _answer(self, text: str) -> str:
        if self._fresh:
            text = text.lstrip()
            self._fresh = not text
        return text

    def _release(self) -> str:
        held, self._held = self._held, ""
        self._state = "answer"
        return held

    def _think(self) -> tuple[str, str]:
        if self._fresh:
            self._held = self._held.lstrip()
            self._fresh = not self._held
        thought, tag, rest = self._held.partition(self._tags.end)
        if tag:
            self._held = ""
            self._state, self._fresh = "answer", True
            return thought.rstrip(), self._answer(rest)
        kept = beginning_of(thought, (self._tags.end,))
        shown = thought[: len(thought) - kept].rstrip()  # space before the tag is dropped with it
        self._held = thought[len(shown) :]
        return shown, ""
