"""The output items of a Responses stream while they are being made: each gives its own events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydantic_core import from_json

from .responses_tools import CUSTOM_INPUT, ToolName

Event: TypeAlias = dict[str, Any]
"""An event without its sequence number."""
Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class OpenItem:
    """An item that is being made."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        """Its place in the answer's output."""

    def added(self) -> Event:
        """The event that announces it."""
        item = self.item("in_progress")
        return {"type": "response.output_item.added", "output_index": self.index, "item": item}

    def ending(self, status: Status) -> Iterator[Event]:
        """The events that end it."""
        yield {
            "type": "response.output_item.done",
            "output_index": self.index,
            "item": self.item(status),
        }

    def item(self, status: Status) -> dict[str, Any]:
        """The item as far as it has come."""
        raise NotImplementedError

    def _event(self, kind: str, **fields: Any) -> Event:
        return {
            "type": f"response.{kind}",
            "item_id": self.id,
            "output_index": self.index,
            **fields,
        }


class OpenReasoning(OpenItem):
    """Thinking, shown as a summary or as it is."""

    def __init__(self, item_id: str, index: int, is_summary: bool) -> None:
        super().__init__(item_id, index)
        self.encrypted: str | None = None
        self._place = {"summary_index" if is_summary else "content_index": 0}
        self._part = "reasoning_summary_part" if is_summary else "content_part"
        self._text_event = "reasoning_summary_text" if is_summary else "reasoning_text"
        self._part_type = "summary_text" if is_summary else "reasoning_text"
        self._pieces: list[str] = []

    def add(self, text: str) -> Iterator[Event]:
        """Takes the next piece."""
        if not self._pieces:
            yield self._event(f"{self._part}.added", part=self._text_part(), **self._place)
        self._pieces.append(text)
        yield self._event(f"{self._text_event}.delta", delta=text, **self._place)

    def ending(self, status: Status) -> Iterator[Event]:
        """See `OpenItem.ending`."""
        if self._pieces:
            part = self._text_part()
            yield self._event(f"{self._text_event}.done", text=part["text"], **self._place)
            yield self._event(f"{self._part}.done", part=part, **self._place)
        yield from super().ending(status)

    def item(self, status: Status) -> dict[str, Any]:
        """See `OpenItem.item`."""
        parts = [self._text_part()] if self._pieces else []
        is_summary = self._part_type == "summary_text"
        return {
            "type": "reasoning",
            "id": self.id,
            "summary": parts if is_summary else [],
            **({"content": parts} if parts and not is_summary else {}),
            **({"encrypted_content": self.encrypted} if self.encrypted else {}),
            "status": status,
        }

    def _text_part(self) -> dict[str, str]:
        return {"type": self._part_type, "text": "".join(self._pieces)}


class OpenMessage(OpenItem):
    """What the model says: texts and refusals, one part after the other."""

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__(item_id, index)
        self.annotations: list[dict[str, Any]] = []
        self.logprobs: list[dict[str, Any]] = []
        self._parts: list[tuple[Literal["text", "refusal"], list[str]]] = []

    def add(self, kind: Literal["text", "refusal"], piece: str) -> Iterator[Event]:
        """Takes the next piece of text, or of why the model refuses."""
        if not self._parts or self._parts[-1][0] != kind:
            yield from self._end_part()
            self._parts.append((kind, []))
            yield self._part_event("content_part.added", part=self._part(-1))
        self._parts[-1][1].append(piece)
        if kind == "text":
            yield self._part_event("output_text.delta", delta=piece, logprobs=[])
        else:
            yield self._part_event("refusal.delta", delta=piece)

    def ending(self, status: Status) -> Iterator[Event]:
        """See `OpenItem.ending`."""
        yield from self._end_part()
        yield from super().ending(status)

    def item(self, status: Status) -> dict[str, Any]:
        """See `OpenItem.item`."""
        return {
            "type": "message",
            "id": self.id,
            "role": "assistant",
            "status": status,
            "content": [self._part(n) for n in range(len(self._parts))],
        }

    def _end_part(self) -> Iterator[Event]:
        if not self._parts:
            return
        part = self._part(-1)
        if part["type"] == "refusal":
            yield self._part_event("refusal.done", refusal=part["refusal"])
        else:
            for n, note in enumerate(part["annotations"]):
                yield self._part_event(
                    "output_text.annotation.added", annotation_index=n, annotation=note
                )
            yield self._part_event("output_text.done", text=part["text"], logprobs=self.logprobs)
        yield self._part_event("content_part.done", part=part)

    def _part(self, position: int) -> dict[str, Any]:
        kind, pieces = self._parts[position]
        if kind == "refusal":
            return {"type": "refusal", "refusal": "".join(pieces)}
        part: dict[str, Any] = {"type": "output_text", "text": "".join(pieces)}
        part["annotations"] = self.annotations
        if self.logprobs:
            part["logprobs"] = self.logprobs
        return part

    def _part_event(self, kind: str, **fields: Any) -> Event:
        return self._event(kind, content_index=len(self._parts) - 1, **fields)


class OpenCall(OpenItem):
    """A call of a function, or of a custom tool, whose input comes as one piece at the end."""

    def __init__(self, item_id: str, index: int, call_id: str, tool: ToolName) -> None:
        super().__init__(item_id, index)
        self._call_id = call_id
        self._tool = tool
        self._pieces: list[str] = []

    def add(self, arguments: str) -> Iterator[Event]:
        """Takes the next piece of the arguments."""
        self._pieces.append(arguments)
        if arguments and not self._tool.is_custom:
            yield self._event("function_call_arguments.delta", delta=arguments)

    def ending(self, status: Status) -> Iterator[Event]:
        """See `OpenItem.ending`."""
        if self._tool.is_custom:
            text = self._input()
            yield self._event("custom_tool_call_input.delta", delta=text)
            yield self._event("custom_tool_call_input.done", input=text)
        else:
            arguments = "".join(self._pieces)
            yield self._event(
                "function_call_arguments.done", arguments=arguments, name=self._tool.name
            )
        yield from super().ending(status)

    def item(self, status: Status) -> dict[str, Any]:
        """See `OpenItem.item`."""
        named: dict[str, Any] = {"id": self.id, "call_id": self._call_id, "name": self._tool.name}
        if self._tool.namespace:
            named["namespace"] = self._tool.namespace
        if self._tool.is_custom:
            text = "" if status == "in_progress" else self._input()
            return {"type": "custom_tool_call", **named, "input": text}
        arguments = "".join(self._pieces)
        return {"type": "function_call", **named, "arguments": arguments, "status": status}

    def _input(self) -> str:
        """The text in the arguments; of what the model wrote otherwise, all of it."""
        written = "".join(self._pieces)
        try:
            arguments = from_json(written)
        except ValueError:
            return written
        text = arguments.get(CUSTOM_INPUT) if isinstance(arguments, dict) else None
        return text if isinstance(text, str) else written


def shown_annotations(annotations: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A chat's annotations in this protocol's form, which has no nested `url_citation`."""
    shown = []
    for note in annotations:
        citation = note.get("url_citation")
        if not isinstance(citation, Mapping):
            continue
        start, end = citation.get("start_index"), citation.get("end_index")
        shown.append(
            {
                "type": "url_citation",
                "url": citation["url"],
                "title": citation.get("title") or "",
                "start_index": start if start is not None else 0,
                "end_index": end if end is not None else 0,
            }
        )
    return shown


def shown_logprobs(tokens: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A chat's log probabilities with all fields that this protocol requires."""
    return [
        {**_token(token), "top_logprobs": [_token(top) for top in token.get("top_logprobs") or ()]}
        for token in tokens
    ]


def _token(token: Mapping[str, Any]) -> dict[str, Any]:
    text, exact = token["token"], token.get("bytes")
    return {
        "token": text,
        "logprob": token["logprob"],
        "bytes": list(text.encode()) if exact is None else exact,
    }
