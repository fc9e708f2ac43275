"""The events of a model in this process into chunks."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence

from ..sse import Event
from ..types.chat import ChoiceLogprobs, FinishReason, TokenLogprob, TopLogprob
from ..types.chat_chunk import ChatCompletionChunk, ChunkChoice, Delta
from ..types.request import Request
from ..types.text import TextChoice, TextCompletion, TextLogprobs
from ..types.usage import PromptTokensDetails, Usage
from .base import Chunk, Decoder, LocalEvent, LocalLogprob, LocalToken, LocalUsage

_FINISH_REASONS: dict[str | None, FinishReason] = {"stop": "stop", "length": "length"}
_IMPOSSIBLE = -9999.0
"""What OpenAI writes for a probability too small to tell; JSON has no infinity."""


class LocalDecoder:
    """Decodes one stream; see `Decoder`. The events of a server go to `server`.

    Every choice's first chunk carries the role, the stream's last one the usage.
    """

    def __init__(self, request: Request, server: Decoder) -> None:
        self._request = request
        self._server = server
        self._complete = False
        self._started: set[int] = set()
        self._offsets: dict[int, _Offsets] = {}

    @property
    def done(self) -> bool:
        """Whether the usage has come, which is the engine's last word."""
        return self._complete or self._server.done

    def feed(self, event: LocalEvent | Event) -> Iterable[Chunk]:
        """The chunk for `event`; none for a token that brings nothing to show yet."""
        if isinstance(event, LocalUsage):
            self._complete = True
            return (self._usage(event),)
        if not isinstance(event, LocalToken):
            return self._server.feed(event)
        if not (event.text or event.logprobs or event.finish_reason):
            return ()
        return (self._chat(event) if self._request.operation == "chat" else self._text(event),)

    def _chat(self, token: LocalToken) -> ChatCompletionChunk:
        delta = Delta(content=token.text) if token.text else Delta()
        if token.index not in self._started:
            self._started.add(token.index)
            delta = Delta(role="assistant", content=token.text)
        choice = ChunkChoice(index=token.index, delta=delta)
        if token.finish_reason:
            choice.finish_reason = _FINISH_REASONS.get(token.finish_reason)
        if token.logprobs:
            choice.logprobs = ChoiceLogprobs(content=[_chat_logprob(p) for p in token.logprobs])
        return self._chat_chunk([choice])

    def _text(self, token: LocalToken) -> TextCompletion:
        choice = TextChoice(index=token.index, text=token.text)
        if token.finish_reason:
            choice.finish_reason = _FINISH_REASONS.get(token.finish_reason)
        if token.logprobs:
            offsets = self._offsets.setdefault(token.index, _Offsets())
            choice.logprobs = _text_logprobs(token.logprobs, offsets)
        return self._text_chunk([choice])

    def _usage(self, counts: LocalUsage) -> Chunk:
        usage = Usage(
            prompt_tokens=counts.prompt_tokens,
            completion_tokens=counts.completion_tokens,
            total_tokens=counts.prompt_tokens + counts.completion_tokens,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=counts.cached_tokens),
        )
        chat = self._request.operation == "chat"
        chunk: Chunk = self._chat_chunk([]) if chat else self._text_chunk([])
        chunk.usage = usage
        return chunk

    def _chat_chunk(self, choices: list[ChunkChoice]) -> ChatCompletionChunk:
        request = self._request
        return ChatCompletionChunk(
            id=f"chatcmpl-{request.call_id}",
            created=request.created,
            model=request.model,
            choices=choices,
        )

    def _text_chunk(self, choices: list[TextChoice]) -> TextCompletion:
        request = self._request
        return TextCompletion(
            id=f"cmpl-{request.call_id}",
            created=request.created,
            model=request.model,
            choices=choices,
        )


class _Offsets:
    """Where tokens start in their choice's text, in characters: those complete before them."""

    def __init__(self) -> None:
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._count = 0

    def of(self, token: LocalLogprob) -> int:
        """Where this token, the next one, starts."""
        start = self._count
        self._count += len(self._characters.decode(token.raw))
        return start


def _chat_logprob(token: LocalLogprob) -> TokenLogprob:
    return TokenLogprob(
        token=token.token,
        bytes=list(token.raw),
        logprob=max(token.logprob, _IMPOSSIBLE),
        top_logprobs=[
            TopLogprob(token=text, bytes=list(raw), logprob=max(logprob, _IMPOSSIBLE))
            for text, raw, logprob in token.top
        ],
    )


def _text_logprobs(tokens: Sequence[LocalLogprob], offsets: _Offsets) -> TextLogprobs:
    return TextLogprobs(
        tokens=[token.token for token in tokens],
        token_logprobs=[max(token.logprob, _IMPOSSIBLE) for token in tokens],
        text_offset=[offsets.of(token) for token in tokens],
        top_logprobs=[
            {text: max(logprob, _IMPOSSIBLE) for text, _, logprob in token.top} for token in tokens
        ],
    )
