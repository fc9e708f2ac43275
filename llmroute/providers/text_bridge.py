"""`text_completion()` at providers that only chat: the prompt is one message of the user.

Three functions, for the three of a provider: `build` passes its request through `chat_request`,
`parse` its answer through `text_answer`, and `decoder` its decoder through `text_decoder`. Requests
and answers of chat go through them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ..chunks import AnyChunk, Decoder
from ..errors import BadRequestError
from ..sse import Event
from ..types.call_info import Answer
from ..types.chat import ChatCompletion, Choice, ChoiceLogprobs, TokenLogprob
from ..types.chat_chunk import ChatCompletionChunk, ChunkChoice
from ..types.chat_request import ChatRequest
from ..types.request import JSON, Request
from ..types.text import TextCompletion, TextRequest

_SHARED = tuple(field.name for field in fields(Request) if field.name != "params")


def chat_request(request: Request) -> Request:
    """The chat that asks what a text completion asks; another request as it is.

    Parameters that a chat does not have (`echo`, `suffix`, `best_of`) stay, so that the provider
    refuses them by name. Raises `BadRequestError` for several prompts and for token ids.
    """
    if not isinstance(request, TextRequest):
        return request
    messages = [{"role": "user", "content": _only_text(request)}]
    shared = {name: getattr(request, name) for name in _SHARED}
    return ChatRequest(messages=messages, params=_chat_params(request.params), **shared)


def text_answer(answer: Answer, request: Request) -> Answer:
    """A chat's answer in the shape of the operation that was asked for.

    The shape of a text has no place for thinking; a text that only refuses is the refusal.
    """
    if not isinstance(request, TextRequest) or not isinstance(answer, ChatCompletion):
        return answer
    texts = [
        (choice, choice.message.content or choice.message.refusal) for choice in answer.choices
    ]
    return _completion(answer, texts)


def text_decoder(decoder: Decoder[Event], request: Request) -> Decoder[Event]:
    """A decoder whose chunks have the shape of the operation that was asked for."""
    return TextDecoder(decoder) if isinstance(request, TextRequest) else decoder


class TextDecoder(Decoder[Event]):
    """Makes the chunks of a chat's decoder those of a text completion."""

    def __init__(self, chat: Decoder[Event]) -> None:
        self._chat = chat
        self.needs_reasons = chat.needs_reasons
        # By choice, how much of its text has come, in characters.
        self._lengths: dict[int, int] = {}

    def feed(self, event: Event) -> Iterator[AnyChunk]:
        """The chunks that `event` completes. Raises `APIError` for an error event."""
        chunks = self._chat.feed(event)
        self.done, self.is_whole = self._chat.done, self._chat.is_whole
        for chunk in chunks:
            yield self._text(chunk) if isinstance(chunk, ChatCompletionChunk) else chunk

    def _text(self, chunk: ChatCompletionChunk) -> TextCompletion:
        texts = [(choice, choice.delta.content or choice.delta.refusal) for choice in chunk.choices]
        starts = [self._lengths.get(choice.index, 0) for choice in chunk.choices]
        for (choice, text), start in zip(texts, starts, strict=True):
            self._lengths[choice.index] = start + len(text or "")
        return _completion(chunk, texts, starts)


def _only_text(request: TextRequest) -> str:
    prompt = request.prompt
    if not isinstance(prompt, str) and len(prompt) == 1:
        prompt = prompt[0] if isinstance(prompt[0], str) else prompt
    if isinstance(prompt, str):
        return prompt
    raise BadRequestError(
        f"{request.model} only chats: the prompt of a text completion goes to it as one message, "
        "so it must be one text, neither several nor token ids.",
        model=request.model,
        param="prompt",
    )


def _chat_params(params: Mapping[str, JSON]) -> dict[str, JSON]:
    """The parameters by a chat's names, which says in two how many log probabilities to give."""
    chat = dict(params)
    count = chat.pop("logprobs", None)
    if count is not None:
        chat["logprobs"] = True
        if count:
            chat["top_logprobs"] = count
    return chat


def _completion(
    answer: ChatCompletion | ChatCompletionChunk,
    texts: Sequence[tuple[Choice | ChunkChoice, str | None]],
    starts: Sequence[int] | None = None,
) -> TextCompletion:
    choices = [
        {
            **(choice.__pydantic_extra__ or {}),
            "index": choice.index,
            "text": text or "",
            "finish_reason": choice.finish_reason,
            "logprobs": _logprobs(choice.logprobs, start),
        }
        for (choice, text), start in zip(texts, starts or [0] * len(texts), strict=True)
    ]
    beside = {
        name: value
        for name, value in answer.items()
        if name not in ("choices", "object") and value is not None
    }
    return TextCompletion.model_validate({**beside, "choices": choices})


def _logprobs(logprobs: ChoiceLogprobs | None, start: int) -> dict[str, Any] | None:
    """The log probabilities token by token, in the lists of a text completion."""
    if logprobs is None or logprobs.content is None:
        return None
    tokens = logprobs.content
    offsets = []
    for token in tokens:
        offsets.append(start)
        start += len(token.token)
    return {
        "text_offset": offsets,
        "token_logprobs": [token.logprob for token in tokens],
        "tokens": [token.token for token in tokens],
        "top_logprobs": [_top(token) for token in tokens],
    }


def _top(token: TokenLogprob) -> dict[str, float] | None:
    if token.top_logprobs is None:
        return None
    return {likely.token: likely.logprob for likely in token.top_logprobs}
