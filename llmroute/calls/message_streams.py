"""What `messages(stream=True)` gives: the protocol's events, and the whole message at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

from ..errors import StreamInterruptedError
from ..transport.streams import AsyncStream, Stream
from ..types.call_info import Answer, CallInfo
from ..types.messages import MessageEvent, MessagesResponse


class Translation(Protocol):
    """Makes events of the chunks of one stream, whatever they are."""

    def feed(self, chunk: Any) -> Iterable[MessageEvent]:
        """The events that `chunk` completes."""

    def end(self, answer: Any) -> Iterable[MessageEvent]:
        """The last events; `answer` is what the whole stream said."""

    def answer(self, answer: Any) -> MessagesResponse:
        """The whole message."""


class SameEvents:
    """The translation of chunks that are the protocol's events already."""

    def feed(self, chunk: MessageEvent) -> Iterable[MessageEvent]:
        """`chunk` itself."""
        return (chunk,)

    def end(self, answer: MessagesResponse) -> Iterable[MessageEvent]:
        """Nothing: all has come."""
        return ()

    def answer(self, answer: MessagesResponse) -> MessagesResponse:
        """`answer` itself."""
        return answer


class _Translated:
    """What both streams offer without waiting."""

    def __init__(self, translation: Translation, dropped: tuple[str, ...]) -> None:
        self._translation = translation
        self._dropped = dropped
        self._events: deque[MessageEvent] = deque()
        self._ended = False

    def _finish(self, answer: Answer) -> None:
        self._ended = True
        self._events.extend(self._translation.end(answer))

    def _message(self, answer: Answer) -> MessagesResponse:
        return noted(self._translation.answer(answer), answer.call_info, self._dropped)

    def _interrupted(self, error: StreamInterruptedError) -> StreamInterruptedError:
        """`error` with what had come as a message."""
        if error.partial is not None and not isinstance(error.partial, MessagesResponse):
            error.partial = self._message(error.partial)
        return error


class MessageStream(_Translated):
    """The events of an answer as they arrive, in the protocol's order.

    Iterate it, best inside `with`, which lets go of the connection or the model when the loop is
    left early. A stream that breaks off raises `StreamInterruptedError`, whose `partial` is the
    message up to there.
    """

    def __init__(
        self, stream: Stream[Any], translation: Translation, dropped: tuple[str, ...] = ()
    ) -> None:
        """`stream` gives the chunks that `translation` takes; `dropped` names what was left out."""
        super().__init__(translation, dropped)
        self._stream = stream

    @property
    def call_info(self) -> CallInfo | None:
        """How the stream was obtained: URL, headers, attempts, and what was left out."""
        return with_dropped(self._stream.call_info, self._dropped)

    def __iter__(self) -> Iterator[MessageEvent]:
        return self

    def __next__(self) -> MessageEvent:
        while not self._events:
            if self._ended:
                raise StopIteration
            try:
                for chunk in self._stream:
                    self._events.extend(self._translation.feed(chunk))
                    break
                else:
                    self._finish(self._stream.get_final_completion())
            except StreamInterruptedError as error:
                raise self._interrupted(error) from None
        return self._events.popleft()

    def get_final_message(self) -> MessagesResponse:
        """Reads to the end and returns the whole message.

        Raises `StreamInterruptedError` if the stream broke off or was closed before its end.
        """
        for _ in self:
            pass
        try:
            return self._message(self._stream.get_final_completion())
        except StreamInterruptedError as error:
            raise self._interrupted(error) from None

    def close(self) -> None:
        """Lets go of the connection or the model at once. May be called twice.

        No event comes out after it, not even one that had arrived.
        """
        self._ended = True
        self._events.clear()
        self._stream.close()

    def __enter__(self) -> MessageStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncMessageStream(_Translated):
    """The async twin of `MessageStream`: `async for`, `async with`, `await stream.aclose()`."""

    def __init__(
        self, stream: AsyncStream[Any], translation: Translation, dropped: tuple[str, ...] = ()
    ) -> None:
        """See `MessageStream`."""
        super().__init__(translation, dropped)
        self._stream = stream

    @property
    def call_info(self) -> CallInfo | None:
        """How the stream was obtained: URL, headers, attempts, and what was left out."""
        return with_dropped(self._stream.call_info, self._dropped)

    def __aiter__(self) -> AsyncIterator[MessageEvent]:
        return self

    async def __anext__(self) -> MessageEvent:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            try:
                async for chunk in self._stream:
                    self._events.extend(self._translation.feed(chunk))
                    break
                else:
                    self._finish(await self._stream.get_final_completion())
            except StreamInterruptedError as error:
                raise self._interrupted(error) from None
        return self._events.popleft()

    async def get_final_message(self) -> MessagesResponse:
        """The async twin of `MessageStream.get_final_message`."""
        async for _ in self:
            pass
        try:
            return self._message(await self._stream.get_final_completion())
        except StreamInterruptedError as error:
            raise self._interrupted(error) from None

    async def aclose(self) -> None:
        """The async twin of `MessageStream.close`."""
        self._ended = True
        self._events.clear()
        await self._stream.aclose()

    async def __aenter__(self) -> AsyncMessageStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def noted(
    message: MessagesResponse, info: CallInfo | None, dropped: tuple[str, ...]
) -> MessagesResponse:
    """`message` with how it was obtained."""
    message._call_info = with_dropped(info, dropped)
    return message


def with_dropped(info: CallInfo | None, dropped: tuple[str, ...]) -> CallInfo | None:
    """`info` that also names what was left out of the call."""
    if info is None or not dropped:
        return info
    return replace(info, dropped_params=(*info.dropped_params, *dropped))
