"""What a provider is: pure functions from a request to one call, and from its answer back.

A provider has no client, no clock and no environment; the key and the base URL are on the
deployment. To add one, write a module in this folder that ends in `provider = MyProvider(...)`;
the file's name is the prefix. `docs/add_a_provider.md` walks through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from ..chunks import AnyChunk as AnyChunk, Chunk as Chunk, Decoder as Decoder, assembled
from ..deployments import Deployment, shown
from ..errors import APIError
from ..sse import BodySplitter, Event
from ..types.call_info import Answer
from ..types.request import Request
from .failures import status_error

EventT_co = TypeVar("EventT_co", covariant=True)
PieceT_contra = TypeVar("PieceT_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class HTTPCall:
    """One HTTP request, ready to send."""

    method: str
    url: str
    headers: Mapping[str, str]
    """Names in lower case. Holds the key, so it is never shown."""
    body: bytes
    dropped_params: tuple[str, ...] = ()
    sign: Callable[[HTTPCall, float], HTTPCall] | None = None
    """Makes the call that is sent from this one and the Unix time in seconds, at the moment of
    sending: for signatures and tokens that soon expire. `None`: it is sent as it is."""

    def __repr__(self) -> str:
        return f"HTTPCall({self.method} {shown(self.url)}, {len(self.body)} bytes)"


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
    """Tokens that were guessed ahead and became part of the answer."""
    rejected_tokens: int = 0
    """Tokens that were guessed ahead and were wrong."""


@dataclass(frozen=True, slots=True)
class MockCall:
    """A call that is answered without being made: `mock_response=`."""

    events: Sequence[Chunk | Answer]
    """The chunks of a stream, or one whole answer of an operation that has none."""


LocalEvent: TypeAlias = LocalToken | LocalVector | LocalUsage
InProcessEvent: TypeAlias = LocalEvent | Chunk | Answer
"""An event of an answer that comes from no server."""
Call: TypeAlias = HTTPCall | LocalCall | MockCall


class Splitter(Protocol[PieceT_contra, EventT_co]):
    """Turns the pieces of an answer, as they arrive, into the events that a decoder takes."""

    def feed(self, piece: PieceT_contra) -> Iterable[EventT_co]:
        """The events that `piece`, cut anywhere, completes.

        Take all of them before the next piece is fed.
        """

    def flush(self) -> Iterable[EventT_co]:
        """The events that the end completes."""


@dataclass(frozen=True, slots=True)
class Option:
    """A keyword argument that says how to reach a provider: a version, a region, a credential."""

    name: str
    env: tuple[str, ...] = ()
    """Environment variables that may hold it, best first."""
    secret: bool = False
    """Whether it is a credential: where the caller gives it, no key is read from the environment,
    and from there it goes to the provider's own host only, as a key does."""


@dataclass(kw_only=True, eq=False, init=False)
class Provider:
    """One API. Subclass `OpenAILike` instead for an endpoint that speaks OpenAI's protocol.

    A subclass says what holds for it in its body, or is itself a dataclass and takes it as keyword
    arguments, as `OpenAILike` does.
    """

    name: str
    """The prefix in the model string."""
    base_url: str | None = None
    """Where its API is, without a slash at the end; `None`: the caller must give `api_base`."""
    base_env: tuple[str, ...] = ()
    """Environment variables that may hold another base URL, best first."""
    key_env: tuple[str, ...] = ()
    """Environment variables that may hold its key, best first."""
    key_required: bool = True
    """Whether a call without a key is refused before it is sent, if there is a variable for one."""
    key_to_any_host: bool = False
    """Whether the key from the environment also goes to an `api_base` that the caller names.

    Right for software that one runs oneself; wrong for a hosted service, whose key belongs to its
    own host.
    """
    own_hosts: str = ""
    """A regular expression of all host names that are the provider's own, where it has many: the
    key from the environment goes to them too, over https."""
    options: tuple[Option, ...] = ()
    """Keyword arguments that say how to reach it. They become `Deployment.model_kwargs` and are
    never among the parameters that are sent."""
    uses_aws: bool = False
    """Whether it takes a region and credentials of AWS, which are also looked for in the standard
    environment variables and files."""
    extra_params: frozenset[str] = frozenset()
    """Names of parameters beyond the canonical ones that it takes."""
    exact_counts: bool = False
    """Whether the tokens of its prompts can be counted exactly, so that one that cannot fit is
    refused before it is sent."""
    operations: tuple[str, ...] = ("chat", "text", "embedding")
    """What it can do."""
    runs_here: bool = False
    """Whether it works without any URL: a model in this process."""

    def own_url(self, options: Mapping[str, Any]) -> str | None:
        """Where its API is for a call with these `options`; asked if nothing else says a URL.

        May raise `BadRequestError`, which says what is missing.
        """
        return self.base_url

    def offers(self, operation: str, deployment: Deployment) -> bool:
        """Whether it can do `operation` at that place."""
        return operation in self.operations

    def build(self, request: Request, deployment: Deployment) -> Call:
        """The call to make. Raises `UnsupportedParamsError` and `UnsupportedOperationError`."""
        raise NotImplementedError

    def parse(self, body: bytes, request: Request) -> Answer:
        """The whole answer from a body, also from a stream that nobody asked for.

        Raises `APIResponseValidationError`.
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

    def event_decoder(self, request: Request) -> Decoder[InProcessEvent]:
        """A new decoder for the events of a call that no server answers."""
        raise NotImplementedError

    def collect(self, events: Sequence[InProcessEvent], request: Request) -> Answer:
        """The whole answer from all events of a call that no server answers.

        What a stream of it would say, unless overridden. Raises `StreamInterruptedError` when the
        events do not make a whole answer.
        """
        return assembled(self.event_decoder(request), events, request)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> APIError:
        """The error an answer stands for."""
        return status_error(status, headers, body)

    def explain(self, error: APIError, deployment: Deployment) -> APIError:
        """`error`, or one that tells more, once provider, model and URL are known.

        It is asked about every failed attempt, network failures included.
        """
        return error
