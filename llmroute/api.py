"""The calls: `completion()` and its siblings, each with its async twin.

Every function takes the operation's OpenAI parameters by name (`ChatParams`, `TextParams`,
`EmbeddingParams`) and the options of `CallOptions`. All of them raise `LLMRouteError`s only; see
`llmroute.errors` for the tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, Unpack, cast, overload

from .prepare import CallOptions, chat_job, embedding_job, rerank_job, text_job
from .transport import drive
from .transport.streams import AsyncStream, Stream
from .types.chat import ChatCompletion
from .types.chat_chunk import ChatCompletionChunk
from .types.chat_request import ChatParams
from .types.embedding import EmbeddingParams, EmbeddingResponse
from .types.rerank import RerankParams, RerankResponse
from .types.text import TextCompletion, TextParams

Messages: TypeAlias = str | Sequence[Any]
"""A text (one user message), or message dicts and message objects in order."""


class ChatArgs(ChatParams, CallOptions, total=False):
    """The keyword arguments of `completion()`."""


class TextArgs(TextParams, CallOptions, total=False):
    """The keyword arguments of `text_completion()`."""


class RerankArgs(RerankParams, CallOptions, total=False):
    """The keyword arguments of `rerank()`."""


class EmbeddingArgs(EmbeddingParams, CallOptions, total=False):
    """The keyword arguments of `embedding()`."""


@overload
def completion(
    model: str, messages: Messages, *, stream: Literal[False] = False, **given: Unpack[ChatArgs]
) -> ChatCompletion: ...
@overload
def completion(
    model: str, messages: Messages, *, stream: Literal[True], **given: Unpack[ChatArgs]
) -> Stream[ChatCompletionChunk]: ...
@overload
def completion(
    model: str, messages: Messages, *, stream: bool, **given: Unpack[ChatArgs]
) -> ChatCompletion | Stream[ChatCompletionChunk]: ...
def completion(
    model: str, messages: Messages, *, stream: bool = False, **given: Unpack[ChatArgs]
) -> ChatCompletion | Stream[ChatCompletionChunk]:
    """Answers a conversation.

    `model` is `provider/model`, such as `"meta_llama/Llama-4-Scout-17B-16E-Instruct-FP8"` or
    `"llamacpp/model.gguf"`. `messages` is a text or a list of messages; a message of an earlier
    answer can be put in as it is. With `stream=True` the chunks come as they are made.

    Raises `BadRequestError` and its kin before anything is sent if the call cannot work,
    `APIStatusError`s and `APIConnectionError`s if it did not, after `num_retries` more tries.
    """
    job = chat_job(model, messages, stream, cast("dict[str, Any]", given))
    return drive.stream(job) if stream else cast(ChatCompletion, drive.complete(job))


@overload
async def acompletion(
    model: str, messages: Messages, *, stream: Literal[False] = False, **given: Unpack[ChatArgs]
) -> ChatCompletion: ...
@overload
async def acompletion(
    model: str, messages: Messages, *, stream: Literal[True], **given: Unpack[ChatArgs]
) -> AsyncStream[ChatCompletionChunk]: ...
@overload
async def acompletion(
    model: str, messages: Messages, *, stream: bool, **given: Unpack[ChatArgs]
) -> ChatCompletion | AsyncStream[ChatCompletionChunk]: ...
async def acompletion(
    model: str, messages: Messages, *, stream: bool = False, **given: Unpack[ChatArgs]
) -> ChatCompletion | AsyncStream[ChatCompletionChunk]:
    """The async twin of `completion()`."""
    job = chat_job(model, messages, stream, cast("dict[str, Any]", given))
    if stream:
        return await drive.astream(job)
    return cast(ChatCompletion, await drive.acomplete(job))


@overload
def text_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: Literal[False] = False,
    **given: Unpack[TextArgs],
) -> TextCompletion: ...
@overload
def text_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: Literal[True],
    **given: Unpack[TextArgs],
) -> Stream[TextCompletion]: ...
@overload
def text_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: bool,
    **given: Unpack[TextArgs],
) -> TextCompletion | Stream[TextCompletion]: ...
def text_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: bool = False,
    **given: Unpack[TextArgs],
) -> TextCompletion | Stream[TextCompletion]:
    """Continues a text, several texts, or a list of token ids. Errors as in `completion()`."""
    job = text_job(model, prompt, stream, cast("dict[str, Any]", given))
    return drive.stream(job) if stream else cast(TextCompletion, drive.complete(job))


@overload
async def atext_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: Literal[False] = False,
    **given: Unpack[TextArgs],
) -> TextCompletion: ...
@overload
async def atext_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: Literal[True],
    **given: Unpack[TextArgs],
) -> AsyncStream[TextCompletion]: ...
@overload
async def atext_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: bool,
    **given: Unpack[TextArgs],
) -> TextCompletion | AsyncStream[TextCompletion]: ...
async def atext_completion(
    model: str,
    prompt: str | Sequence[str] | Sequence[int],
    *,
    stream: bool = False,
    **given: Unpack[TextArgs],
) -> TextCompletion | AsyncStream[TextCompletion]:
    """The async twin of `text_completion()`."""
    job = text_job(model, prompt, stream, cast("dict[str, Any]", given))
    if stream:
        return await drive.astream(job)
    return cast(TextCompletion, await drive.acomplete(job))


def embedding(
    model: str,
    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
    **given: Unpack[EmbeddingArgs],
) -> EmbeddingResponse:
    """Turns texts (or token ids) into vectors, in the order given. Errors as in `completion()`."""
    job = embedding_job(model, input, cast("dict[str, Any]", given))
    return cast(EmbeddingResponse, drive.complete(job))


async def aembedding(
    model: str,
    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
    **given: Unpack[EmbeddingArgs],
) -> EmbeddingResponse:
    """The async twin of `embedding()`."""
    job = embedding_job(model, input, cast("dict[str, Any]", given))
    return cast(EmbeddingResponse, await drive.acomplete(job))


def rerank(
    model: str, query: str, documents: Sequence[str], **given: Unpack[RerankArgs]
) -> RerankResponse:
    """Ranks documents by what they are worth for a query, the best first.

    For models in this process that are made to rank. `top_n` gives back only the best,
    `return_documents=True` their texts too. Errors as in `completion()`;
    `UnsupportedOperationError` for a model or provider that does not rank.
    """
    job = rerank_job(model, query, documents, cast("dict[str, Any]", given))
    return cast(RerankResponse, drive.complete(job))


async def arerank(
    model: str, query: str, documents: Sequence[str], **given: Unpack[RerankArgs]
) -> RerankResponse:
    """The async twin of `rerank()`."""
    job = rerank_job(model, query, documents, cast("dict[str, Any]", given))
    return cast(RerankResponse, await drive.acomplete(job))
