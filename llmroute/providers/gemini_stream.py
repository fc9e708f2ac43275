"""Streams of Gemini's streamGenerateContent as chunks in OpenAI's shape.

There is no end mark: a stream is whole when every candidate has a finish reason and the body ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from ..chunks import Decoder
from ..errors import APIResponseValidationError, StreamInterruptedError
from ..sse import WHOLE_BODY, BodySplitter, Event
from ..types.chat_chunk import ChatCompletionChunk
from ..types.request import JSON, Request
from . import gemini_answer as answers
from .failures import event_error, not_understood
from .gemini_errors import payload_failure
from .gemini_pieces import CallPieces

END = "end-of-body"
"""The `name` of the event that says that the body ended as it should."""


class Splitter(BodySplitter):
    """Splits a body into events, with one more at its proper end."""

    def flush(self) -> Iterable[Event]:
        """The event that the end completes, and the end itself.

        Raises `StreamInterruptedError` for an end in the middle of an event.
        """
        last = list(super().flush())
        if any(map(_is_cut, last)):
            raise StreamInterruptedError("The stream ended in the middle of an event.")
        return (*last, Event(END, b""))


@dataclass(slots=True)
class _Candidate:
    """What has come of one candidate."""

    parts: list[dict[str, JSON]] = field(default_factory=list)
    pieces: CallPieces = field(default_factory=CallPieces)
    grounding: dict[str, JSON] = field(default_factory=dict)
    calls: int = 0
    images: int = 0
    ended: bool = False
    """Whether the latest of its pieces had a finish reason: older models sent one in each."""
    begun: bool = False


class GeminiDecoder(Decoder[Event]):
    """Decodes one stream; see `Decoder`."""

    def __init__(self, request: Request) -> None:
        self.done = False
        """Whether the body has ended, and every candidate before it."""
        self._request = request
        self._candidates: dict[int, _Candidate] = {}
        self._head: dict[str, JSON] = {}

    def feed(self, event: Event) -> Sequence[ChatCompletionChunk]:
        """The chunks of one event. Raises `APIError` for an error."""
        if event.name == END:
            self.done = self._all_ended()
            return ()
        if not event.data.strip():
            return ()
        chunks: list[ChatCompletionChunk] = []
        for payload in self._payloads(event):
            chunks += self._chunks(payload)
        return chunks

    def _payloads(self, event: Event) -> Sequence[Mapping[str, Any]]:
        """The answers in an event: one, or all of a body that is a JSON list."""
        try:
            payload = from_json(event.data)
        except ValueError:
            raise self._broken(event.data) from None
        found = payload if isinstance(payload, list) else [payload]
        for item in found:
            if error := payload_failure(item):
                raise error
        if event.name == "error":
            raise event_error(event.data)
        if not all(isinstance(item, dict) for item in found):
            raise self._broken(event.data)
        return found

    def _chunks(self, payload: Mapping[str, Any]) -> Iterator[ChatCompletionChunk]:
        if not self._head:
            self._head = answers.head(payload, self._request)
        choices = [
            self._choice(position, candidate)
            for position, candidate in enumerate(answers.candidates_of(payload))
        ]
        if not choices and not self._candidates:
            blocked = answers.blocked_choice(payload, "delta")
            if blocked is not None:
                self._candidates[0] = _Candidate(ended=True)
                choices = [blocked]
        if choices:
            yield self._chunk(choices, answers.beside(payload))
        if self._all_ended() and (counts := answers.usage(payload.get("usageMetadata"))):
            yield self._chunk([], {"usage": counts})

    def _choice(self, position: int, candidate: Mapping[str, JSON]) -> dict[str, JSON]:
        index = answers.index_of(candidate, position)
        state = self._candidates.setdefault(index, _Candidate())
        ends = "finishReason" in candidate
        parts = list(state.pieces.whole(answers.parts_of(candidate)))
        parts += state.pieces.end() if ends else ()
        delta = self._delta(index, state, parts)
        if grounding := candidate.get("groundingMetadata"):
            state.grounding = {"groundingMetadata": grounding}
        was_ended, state.ended = state.ended, ends
        if ends or was_ended:  # a signature may come even after the reason
            delta |= self._whole(state)
        return {"index": index, "delta": delta, **answers.finish(candidate, state.calls > 0)}

    def _delta(
        self, index: int, state: _Candidate, parts: Sequence[dict[str, JSON]]
    ) -> dict[str, JSON]:
        delta: dict[str, JSON] = {} if state.begun else {"role": "assistant"}
        state.begun = True
        for part in parts:
            answers.joined(state.parts, part)
            text = part.get("text")
            if text and isinstance(text, str):
                kind = "reasoning_content" if part.get("thought") else "content"
                delta[kind] = delta.get(kind, "") + text
            elif text is None:
                self._add_other(index, state, part, delta)
        return delta

    def _add_other(
        self, index: int, state: _Candidate, part: Mapping[str, JSON], delta: dict[str, JSON]
    ) -> None:
        """Adds a call or an image to `delta`."""
        stand_in = f"call_{self._request.call_id}_{index}_{state.calls}"
        if (call := answers.call(part, stand_in)) is not None:
            delta.setdefault("tool_calls", []).append({"index": state.calls, **call})
            state.calls += 1
        elif (image := answers.image(part, state.images)) is not None:
            delta.setdefault("images", []).append(image)
            state.images += 1

    def _whole(self, state: _Candidate) -> dict[str, JSON]:
        """What is known at the end only: the parts to send back, sources, the spoken answer."""
        whole = answers.native(state.parts)
        text = answers.words(state.parts, thought=False) or ""
        if notes := answers.citations(state.grounding, text):
            whole["annotations"] = notes
        if (audio := answers.sound(state.parts)) is not None:
            whole["audio"] = audio
        return whole

    def _all_ended(self) -> bool:
        return bool(self._candidates) and all(c.ended for c in self._candidates.values())

    def _chunk(
        self, choices: list[dict[str, JSON]], more: Mapping[str, JSON]
    ) -> ChatCompletionChunk:
        chunk = {**self._head, **more, "choices": choices}
        return answers.validated(ChatCompletionChunk, chunk, self._request)

    def _broken(self, data: bytes) -> APIResponseValidationError:
        what = "An event of Gemini's stream is not a JSON object."
        return not_understood(what, data, model=self._request.model)


def _is_cut(event: Event) -> bool:
    """Whether an event that the end of the body completed is only the beginning of one."""
    if event.name == WHOLE_BODY and not b"data: ".startswith(event.data):
        return False  # a page
    try:
        from_json(event.data)
    except ValueError:
        return True
    return False
