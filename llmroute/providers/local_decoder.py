"""The events of a model in this process into chunks."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence

from ..types.chat import ChoiceLogprobs, FinishReason, TokenLogprob, TopLogprob
from ..types.chat_chunk import (
    ChatCompletionChunk,
    ChunkChoice,
    Delta,
    FunctionCallDelta,
    ToolCallDelta,
)
from ..types.request import Request
from ..types.text import TextChoice, TextCompletion, TextLogprobs
from ..types.usage import CompletionTokensDetails, PromptTokensDetails, Usage
from .base import (
    Chunk,
    Decoder,
    InProcessEvent,
    LocalLogprob,
    LocalToken,
    LocalToolCall,
    LocalUsage,
)
from .schema_check import schema_check

_FINISH_REASONS: dict[str | None, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
}
_IMPOSSIBLE = -9999.0
"""What OpenAI writes for a probability too small to tell; JSON has no infinity."""


class LocalDecoder(Decoder[InProcessEvent]):
    """Decodes one stream; see `Decoder`. The usage is the engine's last word.

    Every choice's first chunk carries the role, the stream's last one the usage.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._started: set[int] = set()
        self._offsets: dict[int, _Offsets] = {}
        self._check = schema_check(request)

    def feed(self, event: InProcessEvent) -> Iterable[Chunk]:
        """The chunk for `event`; none for a token that brings nothing to show yet."""
        if isinstance(event, LocalUsage):
            return self._end(event)
        assert isinstance(event, LocalToken)  # vectors are never streamed
        says_something = event.text or event.reasoning or event.tool_calls or event.logprobs
        if not (says_something or event.finish_reason):
            return ()
        return (self._chat(event) if self._request.operation == "chat" else self._text(event),)

    def _end(self, counts: LocalUsage) -> Iterable[Chunk]:
        self.done = True
        yield self._usage(counts)
        if self._check is not None:
            self._check.finish()

    def _chat(self, token: LocalToken) -> ChatCompletionChunk:
        delta = self._delta(token)
        # Also set where it is None: OpenAI's chunks carry it as a null.
        reason = _FINISH_REASONS.get(token.finish_reason)
        choice = ChunkChoice(index=token.index, delta=delta, finish_reason=reason)
        if token.logprobs:
            choice.logprobs = ChoiceLogprobs(content=[_chat_logprob(p) for p in token.logprobs])
        if self._check is not None:
            self._check.add(token)
        return self._chat_chunk([choice])

    def _delta(self, token: LocalToken) -> Delta:
        delta = Delta(content=token.text) if token.text else Delta()
        if token.index not in self._started:
            self._started.add(token.index)
            quiet = token.reasoning or token.tool_calls
            delta = Delta(
                role="assistant", content=None if quiet and not token.text else token.text
            )
        if token.reasoning:
            delta.reasoning_content = token.reasoning
        if token.tool_calls:
            delta.tool_calls = [self._call(token.index, piece) for piece in token.tool_calls]
        return delta

    def _call(self, choice: int, piece: LocalToolCall) -> ToolCallDelta:
        """A piece of a call; the first one has an id."""
        function = FunctionCallDelta(arguments=piece.arguments)
        if piece.name is None:
            return ToolCallDelta(index=piece.index, function=function)
        function.name = piece.name
        identity = f"call_{self._request.call_id}_{choice}_{piece.index}"
        return ToolCallDelta(index=piece.index, id=identity, type="function", function=function)

    def _text(self, token: LocalToken) -> TextCompletion:
        reason = _FINISH_REASONS.get(token.finish_reason)
        choice = TextChoice(index=token.index, text=token.text, finish_reason=reason)
        if token.logprobs:
            offsets = self._offsets.setdefault(token.index, _Offsets())
            choice.logprobs = _text_logprobs(token.logprobs, offsets)
            if token.logprobs[0].logprob is None:  # a prompt: the answer starts right after it
                self._offsets[token.index] = _Offsets(len(token.text))
        return self._text_chunk([choice])

    def _usage(self, counts: LocalUsage) -> Chunk:
        usage = Usage(
            prompt_tokens=counts.prompt_tokens,
            completion_tokens=counts.completion_tokens,
            total_tokens=counts.prompt_tokens + counts.completion_tokens,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=counts.cached_tokens),
        )
        if counts.accepted_tokens or counts.rejected_tokens:
            usage.completion_tokens_details = CompletionTokensDetails(
                accepted_prediction_tokens=counts.accepted_tokens,
                rejected_prediction_tokens=counts.rejected_tokens,
            )
        chat = self._request.operation == "chat"
        chunk = self._chat_chunk([]) if chat else self._text_chunk([])
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

    def __init__(self, start: int = 0) -> None:
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._count = start

    def of(self, token: LocalLogprob) -> int:
        """Where this token, the next one, starts."""
        start = self._count
        self._count += len(self._characters.decode(token.raw))
        return start


def _chat_logprob(token: LocalLogprob) -> TokenLogprob:
    assert token.logprob is not None  # it is for prompts only
    return TokenLogprob(
        token=token.token,
        bytes=list(token.raw),
        logprob=_told(token.logprob),
        top_logprobs=[
            TopLogprob(token=text, bytes=list(raw), logprob=_told(logprob))
            for text, raw, logprob in token.top
        ],
    )


def _text_logprobs(tokens: Sequence[LocalLogprob], offsets: _Offsets) -> TextLogprobs:
    return TextLogprobs(
        tokens=[token.token for token in tokens],
        token_logprobs=[None if t.logprob is None else _told(t.logprob) for t in tokens],
        text_offset=[offsets.of(token) for token in tokens],
        top_logprobs=[None if t.logprob is None else _top_logprobs(t) for t in tokens],
    )


def _top_logprobs(token: LocalLogprob) -> dict[str, float]:
    """By text. Where several tokens have the same, as parts of characters do, the likeliest's."""
    found: dict[str, float] = {}
    for text, _, logprob in token.top:
        found.setdefault(text, _told(logprob))
    return found


def _told(logprob: float) -> float:
    return max(logprob, _IMPOSSIBLE)
