"""Gemini's own API at Google AI Studio: generateContent and batchEmbedContents.

The API is described at https://ai.google.dev/api; its fields are those of Google's SDK,
google-genai 3.6.1 (2026-11-28). Google's OpenAI-compatible endpoint is `gemini_openai/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet
from itertools import chain
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic_core import from_json

from ..chunks import Decoder, assembled
from ..deployments import Deployment, shown
from ..errors import APIError, APIResponseValidationError, BadRequestError
from ..sse import Event, is_event_stream
from ..types.call_info import Answer
from ..types.chat_request import ChatRequest
from ..types.embedding import EmbeddingRequest
from ..types.request import JSON, Request
from . import gemini_answer, gemini_embeddings, gemini_request
from .base import HTTPCall, Provider
from .failures import decode, not_understood
from .gemini_errors import failure, payload_failure
from .gemini_stream import GeminiDecoder, Splitter
from .openai_like import encode
from .params import select_params
from .text_bridge import chat_request, text_answer, text_decoder


class Gemini(Provider):
    """Gemini, at Google AI Studio or at a host that speaks its protocol."""

    name = "gemini"
    base_url = "https://generativelanguage.googleapis.com/v1beta"
    base_env = ("GEMINI_API_BASE", "GOOGLE_GEMINI_BASE_URL")
    key_env = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    key_required = True
    operations: tuple[str, ...] = ("chat", "text", "embedding")
    extra_params = gemini_request.EXTRA_PARAMS | gemini_embeddings.EXTRA_PARAMS

    def build(self, request: Request, deployment: Deployment) -> HTTPCall:
        """The call to `:generateContent`, `:streamGenerateContent` or `:batchEmbedContents`."""
        request = chat_request(request)
        model = _model_path(deployment.model)
        if isinstance(request, EmbeddingRequest):
            accepted = gemini_embeddings.PARAMS | gemini_embeddings.EXTRA_PARAMS
            params, dropped = select_params(request, accepted, self.name)
            body = gemini_embeddings.body(request, model, params)
            method = "batchEmbedContents"
        else:
            body, dropped = chat_body(request, deployment, self.name)
            method = "streamGenerateContent" if request.stream else "generateContent"
        body = gemini_request.with_extra(body, request.extra_body)
        url = _url(deployment, f"{quote(model, safe='/-._~@')}:{method}", request)
        return HTTPCall("POST", url, _headers(request, deployment), encode(body, request), dropped)

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer in OpenAI's shape."""
        if isinstance(request, EmbeddingRequest):
            return gemini_embeddings.response(read(body, request), request)
        return text_answer(parse_chat(body, request), request)

    def splitter(self, headers: Mapping[str, str]) -> Splitter:
        """A splitter that tells the decoder where the body ended."""
        return Splitter()

    def decoder(self, request: Request) -> Decoder[Event]:
        """A decoder for one stream."""
        return text_decoder(GeminiDecoder(request), request)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> APIError:
        """The error an answer stands for."""
        return failure(status, headers, body)


def chat_body(
    request: Request,
    deployment: Deployment,
    provider: str,
    accepted: AbstractSet[str] = gemini_request.PARAMS,
) -> tuple[dict[str, JSON], tuple[str, ...]]:
    """The body of a chat, and the names of parameters that were left out."""
    assert isinstance(request, ChatRequest)  # `operations` has nothing else
    reasons = gemini_request.refused_values(request.params, deployment.model)
    params, dropped = select_params(request, accepted, provider, reasons)
    return gemini_request.body(request, deployment.model, params), dropped


def parse_chat(body: bytes, request: Request) -> Answer:
    """The answer in `body`, also from a stream that nobody asked for.

    Raises `APIResponseValidationError`, or the error that it stands for.
    """
    if is_event_stream(body):
        splitter = Splitter()
        events = chain(splitter.feed(body), splitter.flush())
        return assembled(GeminiDecoder(request), events, chat_request(request))
    return gemini_answer.completion(read(body, request), request)


def read(body: bytes, request: Request) -> Mapping[str, Any]:
    """The answer in a body. Raises `APIResponseValidationError`, or the error it stands for."""
    try:
        payload = from_json(body)
    except ValueError:
        raise not_understood("The answer is not JSON.", body, model=request.model) from None
    if error := payload_failure(payload):
        raise error
    if not isinstance(payload, Mapping):
        raise APIResponseValidationError(
            "The answer of Gemini is not a JSON object.", model=request.model, body=decode(body)
        )
    return payload


def _model_path(model: str) -> str:
    return model if "/" in model else f"models/{model}"


def _url(deployment: Deployment, path: str, request: Request) -> str:
    base, _, query = (deployment.api_base or "").partition("?")
    base = base.rstrip("/")
    if base.endswith("/openai"):
        raise BadRequestError(
            f"api_base ({shown(base)}) ends in /openai, which is Google's OpenAI-compatible "
            f"endpoint: call gemini_openai/{deployment.model} there, or leave /openai out.",
            provider=deployment.provider,
            model=request.model,
            param="api_base",
        )
    if not urlsplit(base).path:
        base += "/v1beta"
    options = [query] if query else []
    if request.stream:
        options.append("alt=sse")
    return f"{base}/{path}" + (f"?{'&'.join(options)}" if options else "")


def _headers(request: Request, deployment: Deployment) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if request.stream else "application/json",
    }
    key = deployment.api_key
    if key is not None and key.startswith("ya29."):  # an OAuth token of Google's
        headers["authorization"] = f"Bearer {key}"
    elif key is not None:
        headers["x-goog-api-key"] = key
    return {**headers, **{name.lower(): value for name, value in request.extra_headers.items()}}


provider = Gemini()
