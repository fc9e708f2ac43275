"""What turns the events of a stream into chunks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeAlias, TypeVar

from ..types.chat_chunk import ChatCompletionChunk
from ..types.messages import MessageEvent
from ..types.responses import ResponseEvent
from ..types.text import TextCompletion

Chunk: TypeAlias = ChatCompletionChunk | TextCompletion
"""A chunk in OpenAI's shape."""
AnyChunk: TypeAlias = Chunk | MessageEvent | ResponseEvent

EventT_contra = TypeVar("EventT_contra", contravariant=True)


class Decoder(Generic[EventT_contra]):
    """Turns a stream's events into chunks, keeping what must be remembered between them."""

    done: bool = False
    """Whether the provider said that the stream is complete (`[DONE]`, a final event)."""
    is_whole: bool = False
    """Whether it was no stream but a whole answer, which is not judged by how it ends."""
    needs_reasons: bool = True
    """Whether every choice must have a finish reason for the stream to be whole."""

    def feed(self, event: EventT_contra) -> Iterable[AnyChunk]:
        """The chunks that `event` completes. Raises `APIError` for an error event."""
        raise NotImplementedError
