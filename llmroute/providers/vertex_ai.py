"""Gemini at Google Cloud's Vertex AI: the same protocol under a project and a location.

The API is described at https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference; paths
and hosts are those of Google's SDK, google-genai 3.6.1 (2026-11-28).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ..deployments import Deployment
from ..errors import AuthenticationError, BadRequestError
from ..types.request import Request
from . import gemini_request
from .base import HTTPCall
from .gemini import Gemini, chat_body
from .google_tokens import service_account, token
from .openai_like import encode
from .params import without

_PLACE = ("vertex_project", "vertex_location")
_PARAMS = (gemini_request.PARAMS - {"service_tier"}) | {"model_armor_config"}
_SAFE = re.compile(r"[a-z0-9][a-z0-9.:-]*")
_REGIONS = frozenset({"us", "eu"})
"""Locations of several regions, which have hosts of another form."""
_API_KEYS = ("AIza", "AQ.")
"""How keys of an API begin, which need no project (Vertex AI in express mode)."""


class VertexAI(Gemini):
    """Gemini models at Vertex AI."""

    name = "vertex_ai"
    base_url = "https://aiplatform.googleapis.com"
    base_env = ("VERTEXAI_API_BASE", "VERTEX_AI_API_BASE")
    key_env = ("VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS")
    key_required = False  # a function may give the token
    operations = ("chat",)
    extra_params = gemini_request.EXTRA_PARAMS | {*_PLACE, "model_armor_config"}

    def build(self, request: Request, deployment: Deployment) -> HTTPCall:
        """The call to `:generateContent` or `:streamGenerateContent`."""
        given = {name: value for name, value in request.params.items() if name in _PLACE}
        settings = {**deployment.model_kwargs, **given}
        request = replace(request, params=without(request.params, *_PLACE))
        body, dropped = chat_body(request, deployment, self.name, _PARAMS)
        _as_vertex_takes_it(body)
        content = encode(gemini_request.with_extra(body, request.extra_body), request)
        key = deployment.api_key
        account = service_account(key) if key else None
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if request.stream else "application/json",
            **{name.lower(): value for name, value in request.extra_headers.items()},
        }
        url = _url(deployment, settings, account, request)
        call = HTTPCall("POST", url, headers, content, dropped)
        return _authorized(call, key, account, settings.get("vertex_token_provider"))


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
    if not re.search(r"/v1(beta1)?$", base):
        base += "/v1beta1"
    method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    return f"{base}{place}/{_model_path(deployment.model)}:{method}"


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
    """Where a model is: Google's own by its name, a tuned one by the number of its endpoint."""
    if model.isdigit():
        return f"endpoints/{model}"
    if model.startswith("claude"):
        raise BadRequestError(
            f"vertex_ai/ calls Gemini models only, not {model}: Claude is at anthropic/.",
            param="model",
        )
    path = model if "/" in model else f"publishers/google/models/{model}"
    return quote(path, safe="/-._~@")


provider = VertexAI()
