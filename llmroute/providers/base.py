"""What a provider is: pure functions from a request to one call, and from its answer back.

A provider has no client, no clock and no environment; the key and the base URL are on the
deployment. To add one, write a module in this folder that ends in `provider = MyProvider(...)`;
the file's name is the prefix. `docs/add_a_provider.md` walks through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from ..deployments import Deployment
from ..errors import APIError
from ..sse import BodySplitter, Event
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.embedding import EmbeddingResponse
from ..types.request import Request
from ..types.rerank import RerankResponse
from ..types.text import TextCompletion
from .failures import status_error

EventT_co = TypeVar("EventT_co", covariant=True)
EventT_contra = TypeVar("EventT_contra", contravariant=True)
PieceT_contra = TypeVar("PieceT_contra", contravariant=True)

Chunk: TypeAlias = ChatCompletionChunk | TextCompletion
Completion: TypeAlias = ChatCompletion | TextCompletion | EmbeddingResponse


@dataclass(frozen=True, slots=True)
class HTTPCall:
    """One HTTP request, ready to send."""

    method: str
    url: str
    headers: Mapping[str, str]
    """Names in lower case. Holds the key, so it is never shown."""
    body: bytes
    dropped_params: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"HTTPCall({self.method} {self.url}, {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True)
class LocalCall:
    """One request to a model in this process."""

    path: str
    """The model as the caller named it: a path, or a name to look up."""
    operation: str
    """`"chat"`, `"text"`, `"embedding"` or `"rerank"`."""
    prompt: Any
    """Messages for chat; a query and its documents to rank; a text, texts or token ids else."""
    params: Mapping[str, Any]
    """Sampling parameters by OpenAI's or llama.cpp's name; checked by the provider."""
    load: Mapping[str, Any] = field(default_factory=dict)
    """Options of loading the model (`n_ctx`, `n_threads`, ...)."""
    dropped_params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalToken:
    """A piece of text from a model in this process, with what is known about it."""

    index: int
    """Which choice it belongs to."""
    text: str
    """Whole characters only; may be empty in the last piece."""
    logprobs: Sequence[LocalLogprob] = ()
    finish_reason: str | None = None
    """`"stop"`, `"length"` or `"tool_calls"` in the choice's last piece."""
    reasoning: str = ""
    """A piece of the model's thinking."""
    tool_calls: Sequence[LocalToolCall] = ()
    """Pieces of calls the model makes."""


@dataclass(frozen=True, slots=True)
class LocalToolCall:
    """A piece of a tool call; pieces of the same `index` belong together."""

    index: int
    name: str | None = None
    """The function, in the call's first piece."""
    arguments: str = ""
    """JSON text, in pieces."""


@dataclass(frozen=True, slots=True)
class LocalVector:
    """The vector of one input from a model in this process."""

    index: int
    """Which input it belongs to."""
    data: bytes
    """Its numbers, as little-endian 32-bit floats."""


@dataclass(frozen=True, slots=True)
class LocalLogprob:
    """One token's log probability and the likeliest others at its position."""

    token: str
    raw: bytes
    """The token's own bytes; a character may be spread over several tokens."""
    logprob: float | None
    """`None` for the first token of a prompt, which follows nothing."""
    top: Sequence[tuple[str, bytes, float]] = ()
    """Text, bytes and log probability of the likeliest tokens, likeliest first."""


@dataclass(frozen=True, slots=True)
class LocalUsage:
    """The token counts; sent once, after the last token of the last choice."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    accepted_tokens: int = 0
    """Tokens of the answer that were guessed ahead, and"""
    rejected_tokens: int = 0
    """guesses that were wrong."""


@dataclass(frozen=True, slots=True)
class MockCall:
    """A call that is answered without being made: `mock_response=`."""

    chunks: Sequence[Chunk | EmbeddingResponse]


LocalEvent: TypeAlias = LocalToken | LocalVector | LocalUsage
Call: TypeAlias = HTTPCall | LocalCall | MockCall


class Decoder(Generic[EventT_contra]):
    """Turns a stream's events into chunks, keeping what must be remembered between them.

    The events are `Event`s of an HTTP answer, or `LocalEvent`s of a model in this process.
    """

    done: bool = False
    """Whether the provider said that the stream is complete (`[DONE]`, a final event)."""
    is_whole: bool = False
    """Whether it was no stream but a whole answer, which is not judged by how it ends."""
    needs_reasons: bool = True
    """Whether every choice must have a finish reason for the stream to be whole."""

    def feed(self, event: EventT_contra) -> Iterable[Chunk]:
        """The chunks that `event` completes. Raises `APIError` for an error event."""
        raise NotImplementedError


class Splitter(Protocol[PieceT_contra, EventT_co]):
    """Turns the pieces of an answer, as they arrive, into the events that a decoder takes."""

    def feed(self, piece: PieceT_contra) -> Iterable[EventT_co]:
        """The events that `piece` completes. Take all of them before the next piece is fed."""

    def flush(self) -> Iterable[EventT_co]:
        """The events that the end completes."""


class Provider:
    """One API. Subclass `OpenAILike` instead for an endpoint that speaks OpenAI's protocol."""

    name: str
    """The prefix in the model string."""
    base_url: str | None = None
    """Where its API is, without a slash at the end; `None`: the caller must give `api_base`."""
    base_env: tuple[str, ...] = ()
    """Environment variables that may hold another base URL, best first."""
    key_env: tuple[str, ...] = ()
    """Environment variables that may hold its key, best first."""
    key_required: bool = False
    """Whether a call without a key is refused before it is sent."""
    key_to_any_host: bool = False
    """Whether the key from the environment also goes to an `api_base` that the caller names.

    Right for software that one runs oneself; wrong for a hosted service, whose key belongs to its
    own host.
    """
    extra_params: frozenset[str] = frozenset()
    """Names of parameters beyond the canonical ones that it takes."""
    exact_counts: bool = False
    """Whether the tokens of its prompts can be counted exactly, so that one that cannot fit is
    refused before it is sent."""
    reranks: bool = False
    """Whether it ranks documents."""
    runs_here: bool = False
    """Whether it works without any URL: a model in this process."""

    def build(self, request: Request, deployment: Deployment) -> Call:
        """The call to make. Raises `UnsupportedParamsError` and `UnsupportedOperationError`."""
        raise NotImplementedError

    def parse(self, body: bytes, request: Request) -> Completion:
        """The answer from a body. Raises `APIResponseValidationError`.

        It may also be a stream that nobody asked for. Not asked for a `LocalCall`, whose events go
        through the decoder with and without streaming.
        """
        raise NotImplementedError

    def splitter(self, headers: Mapping[str, str]) -> Splitter[bytes, Event]:
        """A new splitter for the body of one stream, whose headers are these.

        This one looks at the body's first bytes: labels are wrong too often.
        """
        return BodySplitter()

    def decoder(self, request: Request) -> Decoder[Event]:
        """A new decoder for one stream of an `HTTPCall`."""
        raise NotImplementedError

    def local_decoder(self, request: Request) -> Decoder[LocalEvent]:
        """A new decoder for the events of one `LocalCall`."""
        raise NotImplementedError

    def collect(
        self, events: Sequence[LocalEvent], request: Request
    ) -> Completion | RerankResponse:
        """The answer from all events of a `LocalCall` that is not text and so has no stream."""
        raise NotImplementedError

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> APIError:
        """The error an answer stands for."""
        return status_error(status, headers, body)

    def explain(self, error: APIError, deployment: Deployment) -> APIError:
        """`error`, or one that tells more, once provider, model and URL are known.

        It is asked about every failed attempt, network failures included.
        """
        return error
