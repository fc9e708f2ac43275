"""Meta's Llama API: the protocol, for whichever server speaks it.

Meta's own host, api.llama.com, is retired; the URL of another one goes into `api_base=` or
`LLAMA_API_BASE`. The protocol has two surfaces: the OpenAI-compatible one, and the native one,
which is chosen by `model_kwargs={"surface": "native"}`. The quirks are those of recordings of the
service, May 2025 to April 2026; what only its host refused is refused for that host alone.

The service only chatted, so `text_completion()` asks the chat; a server of this protocol that has
`/completions` is asked there with `model_kwargs={"completions": True}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ..deployments import Deployment
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    BadRequestError,
    ProviderRetiredError,
)
from ..sse import WHOLE_BODY, Event
from ..types.call_info import Answer
from ..types.chat import ChatCompletion, Choice, Message
from ..types.chat_chunk import ChatCompletionChunk, ChunkChoice, Delta
from ..types.chat_request import ChatRequest
from ..types.request import Request
from ..types.text import TextRequest
from .base import AnyChunk, Decoder, HTTPCall
from .llama_native import LlamaNative, NativeDecoder, openai_completion
from .openai_answers import OpenAIDecoder
from .openai_like import OpenAILike
from .text_bridge import chat_request, text_answer, text_decoder
from .tool_choice import only_auto, settle

RETIRED_HOST = "api.llama.com"
RETIRED_ON = "2026-07-06"


class CompatSurface(OpenAILike):
    """The requests of the OpenAI-compatible surface, to any host."""

    def body(
        self, request: Request, deployment: Deployment, params: dict[str, Any]
    ) -> dict[str, Any]:
        """The body, with messages without nulls and without the id of an answer's message."""
        body = super().body(request, deployment, params)
        if isinstance(request, ChatRequest):
            body["messages"] = [_sendable(message) for message in body["messages"]]
        return body


class MetasHost(CompatSurface):
    """The same, as Meta's own host took them."""

    def refused_values(self, request: Request) -> Mapping[str, str]:
        """What it answered 400 to."""
        reasons = dict(only_auto(request))
        kind = (request.params.get("response_format") or {}).get("type", "text")
        if kind not in ("text", "json_schema"):
            reasons["response_format"] = f'"{kind}"; it takes only "json_schema"'
        where = next(_unions(request.params.get("tools") or ()), None)
        if where is not None:
            reasons["tools"] = f"a parameter of several types, {where}; give it one type"
        return reasons

    def adjust(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        """Leaves out what would be refused and says what holds anyway."""
        settle(params)
        if (params.get("response_format") or {}).get("type") == "text":
            del params["response_format"]
        return super().adjust(params, request)


class MetaLlama(CompatSurface):
    """Both surfaces of the Llama API."""

    def build(self, request: Request, deployment: Deployment) -> HTTPCall:
        """The HTTP request, to the surface that the deployment asks for."""
        base = deployment.api_base or ""
        if not _has_completions(deployment):
            request = chat_request(request)
        if surface(deployment) == "native":
            if base.endswith("/compat/v1"):
                base = f"{base.removesuffix('/compat/v1')}/v1"
            return _native.build(request, replace(deployment, api_base=base))
        if _is_metas(base):
            return _metas_host.build(request, deployment)
        return super().build(request, deployment)

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer of either surface, in OpenAI's shape."""
        # As a key: within a JSON string the quotes would be escaped.
        if b'"completion_message"' in body:
            body = openai_completion(body, request)
        if isinstance(request, TextRequest) and _is_chat(body):
            return text_answer(self.parse(body, chat_request(request)), request)
        answer = super().parse(body, request)
        if isinstance(answer, ChatCompletion):
            for choice in answer.choices:
                _tidy(choice, choice.message)
                if choice.message.tool_calls and not choice.message.content:
                    choice.message.content = None
        return answer

    def decoder(self, request: Request) -> Decoder[Event]:
        """A decoder for one stream of either surface."""
        chat = chat_request(request)
        native = NativeDecoder(chat, OpenAIDecoder(chat, {}, parse=self.parse))
        surfaces = SurfaceDecoder(native, super().decoder(chat))
        if not isinstance(request, TextRequest):
            return surfaces
        return TextOrChatDecoder(super().decoder(request), text_decoder(surfaces, request))

    def explain(self, error: APIError, deployment: Deployment) -> APIError:
        """Tells that the host is retired, if it is that one which failed."""
        if not _is_metas(deployment.api_base or "") or not _came_from_outside(error):
            return super().explain(error, deployment)
        return error.recast(
            ProviderRetiredError,
            f"Meta ended the Llama API on {RETIRED_ON}: {RETIRED_HOST} no longer serves. Use "
            "another server that speaks its protocol, with api_base= or LLAMA_API_BASE; Meta's "
            "hosted models as meta/... (the Meta Model API, key MODEL_API_KEY); a Llama model on "
            f"this machine as llamacpp/.... (It failed with {type(error).__name__}: "
            f"{error.message})",
        )


def surface(deployment: Deployment) -> str:
    """`"native"` or `"compat"`, as `model_kwargs` says; `"compat"` if it says nothing."""
    chosen = deployment.model_kwargs.get("surface", "compat")
    if chosen not in ("native", "compat"):
        raise BadRequestError(
            f'model_kwargs={{"surface": {chosen!r}}} is neither "native" nor "compat".',
            model=deployment.name,
            param="model_kwargs",
        )
    return str(chosen)


def _has_completions(deployment: Deployment) -> bool:
    """Whether the caller says that the server has `/completions`."""
    says = deployment.model_kwargs.get("completions", False)
    if not isinstance(says, bool) or (says and surface(deployment) == "native"):
        raise BadRequestError(
            f'model_kwargs={{"completions": {says!r}}} must be True or False; the native surface '
            "has no /completions.",
            model=deployment.name,
            param="model_kwargs",
        )
    return says


def _is_chat(body: bytes) -> bool:
    """Whether this is an answer of a chat, or a piece of one, instead of a text's."""
    return b'"message"' in body or b'"delta"' in body


def _is_metas(base: str) -> bool:
    return urlsplit(base).hostname == RETIRED_HOST


class SurfaceDecoder(Decoder[Event]):
    """Decodes a stream of either surface; its first event tells which one it is."""

    def __init__(self, native: Decoder[Event], compat: Decoder[Event]) -> None:
        self._native = native
        self._compat = compat
        self._chosen: Decoder[Event] | None = None

    def feed(self, event: Event) -> Iterable[AnyChunk]:
        """The chunk in `event`. Raises `APIError` for an error event or one that is no chunk."""
        if self._chosen is None:
            native = event.name != WHOLE_BODY and b'"event_type"' in event.data
            self._chosen = self._native if native else self._compat
            self.needs_reasons = self._chosen.needs_reasons
        chunks = self._chosen.feed(event)
        self.done, self.is_whole = self._chosen.done, self._chosen.is_whole
        for chunk in chunks:
            if isinstance(chunk, ChatCompletionChunk):
                for choice in chunk.choices:
                    _tidy(choice, choice.delta)
        return chunks


class TextOrChatDecoder(Decoder[Event]):
    """Decodes the stream of a text completion, from `/completions` or from the chat; its first
    chunk tells which one it is."""

    def __init__(self, text: Decoder[Event], chat: Decoder[Event]) -> None:
        self._text = text
        self._chat = chat
        self._chosen: Decoder[Event] | None = None

    def feed(self, event: Event) -> Iterable[AnyChunk]:
        """The chunk in `event`. Raises `APIError` for an error event or one that is no chunk."""
        decoder = self._chosen or (self._chat if _is_chat(event.data) else self._text)
        chunks = list(decoder.feed(event))
        self.done, self.is_whole = decoder.done, decoder.is_whole
        if chunks and self._chosen is None:
            self._chosen = decoder
            self.needs_reasons = decoder.needs_reasons
        return chunks


def _tidy(choice: Choice | ChunkChoice, said: Message | Delta) -> None:
    """Takes away what the compat surface says about nothing: `""`, `[]` and an object of nulls."""
    if said.refusal == "":
        said.refusal = None
    if said.tool_calls == []:
        said.tool_calls = None
    logprobs = choice.logprobs
    if logprobs is not None and logprobs.content is None and logprobs.refusal is None:
        choice.logprobs = None


def _sendable(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as the compat surface takes it: no nulls, and no id that an answer carried."""
    sent = {key: value for key, value in message.items() if value is not None}
    if sent.get("role") == "assistant":
        sent.pop("id", None)
        for maybe_empty in ("refusal", "tool_calls"):
            if not sent.get(maybe_empty):
                sent.pop(maybe_empty, None)
        sent.setdefault("content", "")
    return sent


def _unions(tools: Any) -> Iterator[str]:
    """Where parameters of tools have more than one type."""
    for tool in tools:
        function = tool.get("function") or {}
        yield from _unions_in(function.get("parameters"), function.get("name", "?"))


def _unions_in(schema: Any, path: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    if "anyOf" in schema or "oneOf" in schema or isinstance(schema.get("type"), list):
        yield path
    for key in ("properties", "$defs", "definitions"):
        named = schema.get(key)
        for name, part in named.items() if isinstance(named, Mapping) else ():
            yield from _unions_in(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        yield from _unions_in(schema.get(key), f"{path}.{key}")
    for part in schema.get("allOf") or ():
        yield from _unions_in(part, path)


def _came_from_outside(error: APIError) -> bool:
    """Whether the host or the way to it failed; errors found before sending have no headers."""
    if isinstance(error, APIStatusError):
        return bool(error.headers)
    return isinstance(error, APIConnectionError | APIResponseValidationError)


_OPTIONS = frozenset({"completions", "surface"})
_COMPAT: dict[str, Any] = {
    "name": "meta_llama",
    "base_path": "/compat/v1",
    "operations": ("chat", "text"),
    "extra_params": frozenset({"repetition_penalty", "top_k"}),
    "model_options": _OPTIONS,
}

_metas_host = MetasHost(**_COMPAT)
_native = LlamaNative(
    name="meta_llama",
    base_path="/v1",
    operations=("chat",),
    model_options=_OPTIONS,
    stream_usage=False,
)

provider = MetaLlama(
    **_COMPAT,
    base_url=f"https://{RETIRED_HOST}/compat/v1",
    base_env=("LLAMA_API_BASE",),
    key_env=("LLAMA_API_KEY",),
    key_to_any_host=True,
    exact_counts=True,
    source="https://github.com/meta-llama/llama-api-python",
    checked="2026-11-22",
)
