"""The pieces of one function call, joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..types.chat_chunk import FunctionCallDelta, ToolCallDelta
from .fields import GrowingFields, merge


@dataclass(slots=True)
class CallPieces:
    """What has come of one tool call, or of a call in OpenAI's older form."""

    id: str | None = None
    type: str = "function"
    name: str | None = None
    arguments: list[str] | None = None
    """`None` while no piece has said anything of them, not even that they are empty."""
    extra: dict[str, Any] = field(default_factory=dict)
    function_extra: dict[str, Any] = field(default_factory=dict)
    custom: GrowingFields | None = None
    """A custom tool's name and input."""

    def add(self, piece: ToolCallDelta) -> None:
        """Takes the next piece of a tool call."""
        self.id = self.id or piece.id
        self.type = piece.type or self.type
        if piece.__pydantic_extra__:
            self._add_extra(piece.__pydantic_extra__)
        if piece.function is not None:
            self.add_function(piece.function)

    def add_function(self, piece: FunctionCallDelta) -> None:
        """Takes the next piece of the function's name and arguments."""
        if piece.name and piece.name != self.name:  # some repeat the name, some send it in parts
            self.name = (self.name or "") + piece.name
        if piece.arguments is not None:
            self.arguments = self.arguments or []
            if piece.arguments:
                self.arguments.append(piece.arguments)
        if piece.__pydantic_extra__:
            merge(self.function_extra, piece.__pydantic_extra__)

    @property
    def says_something(self) -> bool:
        """Whether it is more than an announcement that nothing followed."""
        return bool(self.id or self.name or self.arguments or self.custom)

    def tool_call(self, is_whole: bool) -> dict[str, Any]:
        """The tool call so far; `is_whole`: nothing is missing from its end."""
        call = {**self.extra, "id": self.id or "", "type": "function"}
        if self.custom is not None and (self.type == "custom" or not self.name):
            custom = {"name": "", "input": "", **self.custom.joined()}
            return {**call, "type": "custom", "custom": custom}
        return {**call, "function": self.function_call(is_whole)}

    def function_call(self, is_whole: bool) -> dict[str, Any]:
        """The name and the arguments so far. Arguments that were left out stand for none."""
        arguments = "{}" if is_whole and self.arguments is None else "".join(self.arguments or ())
        return {**self.function_extra, "name": self.name or "", "arguments": arguments}

    def _add_extra(self, extra: Mapping[str, Any]) -> None:
        custom = extra.get("custom")
        if isinstance(custom, dict):
            self.custom = self.custom or GrowingFields(("input",))
            self.custom.add(custom)
            extra = {name: value for name, value in extra.items() if name != "custom"}
        merge(self.extra, extra)
