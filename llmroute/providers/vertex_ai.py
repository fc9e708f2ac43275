"""Gemini and Claude at Google Cloud's Vertex AI: their protocols under a project and a location.

The API is described at https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference; paths
and hosts are those of the SDKs google-genai 3.6.1 and anthropic 2.14 (2026-11-28).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pydantic_core import from_json

from ..chunks import AnyChunk, Decoder
from ..deployments import Deployment
from ..errors import AuthenticationError, BadRequestError
from ..sse import Event, is_event_stream
from ..types.call_info import Answer
from ..types.request import Request
from . import gemini_request
from .anthropic import EXTRA_PARAMS as CLAUDES_OWN, messages_body, parse_message, with_betas
from .anthropic_answer import AnthropicDecoder
from .base import HTTPCall
from .gemini import Gemini, chat_body
from .gemini_stream import GeminiDecoder
from .google_tokens import service_account, token
from .openai_like import encode
from .params import without
from .text_bridge import chat_request, text_answer, text_decoder

_PLACE = ("vertex_project", "vertex_location")
_PARAMS = (gemini_request.PARAMS - {"service_tier"}) | {"model_armor_config"}
_SAFE = re.compile(r"[a-z0-9][a-z0-9.:-]*")
_REGIONS = frozenset({"us", "eu"})
"""Locations of several regions, which have hosts of another form."""
_METHODS = {
    (False, False): "generateContent",
    (False, True): "streamGenerateContent?alt=sse",
    (True, False): "rawPredict",
    (True, True): "streamRawPredict",
}
"""By whether it is Claude, and whether a stream is asked for."""
_API_KEYS = ("AIza", "AQ.")
"""How keys of an API begin, which need no project (Vertex AI in express mode)."""


class VertexAI(Gemini):
    """Gemini and Claude models at Vertex AI."""

    name = "vertex_ai"
    base_url = "https://aiplatform.googleapis.com"
    base_env = ("VERTEXAI_API_BASE", "VERTEX_AI_API_BASE")
    key_env = ("VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS")
    key_required = False  # a function may give the token
    operations = ("chat", "text")
    extra_params = gemini_request.EXTRA_PARAMS | CLAUDES_OWN | {*_PLACE, "model_armor_config"}

    def build(self, request: Request, deployment: Deployment) -> HTTPCall:
        """The call to `:generateContent`, or to `:rawPredict` for Claude, whole or streamed."""
        request = chat_request(request)
        given = {name: value for name, value in request.params.items() if name in _PLACE}
        settings = {**deployment.model_kwargs, **given}
        request = replace(request, params=without(request.params, *_PLACE))
        body, dropped = _body(request, deployment)
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if request.stream else "application/json",
            **{name.lower(): value for name, value in request.extra_headers.items()},
        }
        if _is_claude(deployment.model):
            with_betas(headers, body)
        key = deployment.api_key
        account = service_account(key) if key else None
        url = _url(deployment, settings, account, request)
        call = HTTPCall("POST", url, headers, encode(body, request), dropped)
        return _authorized(call, key, account, settings.get("vertex_token_provider"))

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer in OpenAI's shape."""
        if _is_message(body):
            return text_answer(parse_message(body, request), request)
        return super().parse(body, request)

    def decoder(self, request: Request) -> Decoder[Event]:
        """A decoder for one stream."""
        either = ModelDecoder(GeminiDecoder(request), AnthropicDecoder(request))
        return text_decoder(either, request)


class ModelDecoder(Decoder[Event]):
    """Decodes a stream of Gemini or of Claude; its first event tells which of them it is."""

    def __init__(self, gemini: Decoder[Event], claude: Decoder[Event]) -> None:
        self._gemini = gemini
        self._claude = claude
        self._chosen: Decoder[Event] | None = None

    def feed(self, event: Event) -> Iterable[AnyChunk]:
        """The chunks of one event. Raises `APIError` for an error."""
        if self._chosen is None:
            is_claude = b'"message_start"' in event.data or event.name == "ping"
            self._chosen = self._claude if is_claude else self._gemini
        chunks = self._chosen.feed(event)
        self.done, self.is_whole = self._chosen.done, self._chosen.is_whole
        return chunks


def _is_claude(model: str) -> bool:
    return model.rpartition("/")[2].startswith("claude")


def _is_message(body: bytes) -> bool:
    """Whether an answer is a message of Claude's; the request may not name the model."""
    if is_event_stream(body):
        return b'"message_start"' in body.partition(b"\n\n")[0]
    try:
        payload = from_json(body)
    except ValueError:
        return False
    return isinstance(payload, dict) and payload.get("type") == "message"


def _body(request: Request, deployment: Deployment) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body, and the names of parameters that were left out."""
    if _is_claude(deployment.model):
        body, dropped = messages_body(request, deployment, VertexAI.name)
        body = {"anthropic_version": "vertex-2023-10-16", **body, **request.extra_body}
        if request.stream:
            body["stream"] = True
        return body, dropped
    body, dropped = chat_body(request, deployment, VertexAI.name, _PARAMS)
    _as_vertex_takes_it(body)
    return gemini_request.with_extra(body, request.extra_body), dropped


def _as_vertex_takes_it(body: dict[str, Any]) -> None:
    """What Vertex AI has another name for, or none."""
    if (armor := body.get("generationConfig", {}).pop("model_armor_config", None)) is not None:
        body["modelArmorConfig"] = armor
    if not body.get("generationConfig"):
        body.pop("generationConfig", None)
    # It mixes functions and tools of Google's own without being asked.
    config = body.get("toolConfig", {})
    config.pop("includeServerSideToolInvocations", None)
    if not config:
        body.pop("toolConfig", None)


def _authorized(
    call: HTTPCall,
    key: str | None,
    account: Mapping[str, Any] | None,
    ask: object,
) -> HTTPCall:
    """`call` with its credential: a key or token now, else one that is made when it is sent."""
    if "authorization" in call.headers:
        return call
    if account is not None:
        return replace(call, sign=lambda made, now: _with_token(made, token(account, now)))
    if key is not None and key.startswith(_API_KEYS):
        return replace(call, headers={**call.headers, "x-goog-api-key": key})
    if key is not None:
        return _with_token(call, key)
    if callable(ask):
        return replace(call, sign=lambda made, _: _with_token(made, _asked(ask)))
    raise AuthenticationError(
        "vertex_ai/ needs credentials: pass api_key= (a service account as JSON or the path of its "
        'file, a token, or an API key) or model_kwargs={"vertex_token_provider": ...}, a function '
        "that gives a token; or set VERTEXAI_CREDENTIALS or GOOGLE_APPLICATION_CREDENTIALS."
    )


def _asked(ask: Callable[[], object]) -> str:
    found = ask()
    if not isinstance(found, str):
        raise AuthenticationError(
            f"vertex_token_provider gave a {type(found).__name__}, not a token."
        )
    return found


def _with_token(call: HTTPCall, bearer: str) -> HTTPCall:
    return replace(call, headers={**call.headers, "authorization": f"Bearer {bearer}"}, sign=None)


def _url(
    deployment: Deployment,
    settings: Mapping[str, Any],
    account: Mapping[str, Any] | None,
    request: Request,
) -> str:
    location = _named(settings, "vertex_location") or "global"
    project = _named(settings, "vertex_project") or (account or {}).get("project_id")
    if project:
        place = f"/projects/{project}/locations/{location}"
    elif (deployment.api_key or "").startswith(_API_KEYS):
        place = ""
    else:
        raise BadRequestError(
            "vertex_ai/ needs a project: pass vertex_project=, or a service account, which names "
            "its own.",
            model=request.model,
            param="vertex_project",
        )
    base = (deployment.api_base or "").rstrip("/")
    if base == VertexAI.base_url:
        base = f"https://{_host(location)}"
    claude = _is_claude(deployment.model)
    if not re.search(r"/v1(beta1)?$", base):
        base += "/v1" if claude else "/v1beta1"
    return f"{base}{place}/{_model_path(deployment.model)}:{_METHODS[claude, request.stream]}"


def _named(settings: Mapping[str, Any], name: str) -> str | None:
    """A setting that becomes a part of the URL."""
    value = settings.get(name)
    if value is None or (isinstance(value, str) and _SAFE.fullmatch(value)):
        return value
    raise BadRequestError(f"{name}={value!r:.100} is not a name of Google Cloud.", param=name)


def _host(location: str) -> str:
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in _REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def _model_path(model: str) -> str:
    """Where a model is: by its name under its maker, a tuned one by the number of its endpoint."""
    if model.isdigit():
        return f"endpoints/{model}"
    maker = "anthropic" if _is_claude(model) else "google"
    path = model if "/" in model else f"publishers/{maker}/models/{model}"
    return quote(path, safe="/-._~@")


provider = VertexAI()
