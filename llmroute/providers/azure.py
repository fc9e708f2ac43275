"""Azure OpenAI: OpenAI's protocol under a resource of one's own, by the name of a deployment.

Facts from https://learn.microsoft.com/azure/ai-foundry/openai/reference and
https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle (2026-11-28).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from ..deployments import Deployment
from ..errors import AuthenticationError, BadRequestError
from ..types.request import Request
from .base import HTTPCall, Option
from .openai_like import OpenAILike

DEFAULT_VERSION = "2025-04-01-preview"
"""The last version that has a date; sent where nothing names another."""
V1_VERSIONS = ("latest", "preview", "v1")
"""Versions that mean the surface without deployments in its paths: `/openai/v1`."""


class Azure(OpenAILike):
    """Azure's two surfaces: deployments, whose paths name one, and `/openai/v1`."""

    def build(self, request: Request, deployment: Deployment) -> HTTPCall:
        """The HTTP request; a token of Entra ID is asked for when it is sent."""
        call = super().build(request, deployment)
        headers = {name: v for name, v in call.headers.items() if name != "authorization"}
        given = {name.lower() for name in request.extra_headers}
        if "authorization" in given:
            headers["authorization"] = call.headers["authorization"]
        elif deployment.api_key is not None and "api-key" not in given:
            headers["api-key"] = deployment.api_key
        elif "api-key" not in given:
            return self._with_token(replace(call, headers=headers), deployment)
        return replace(call, headers=headers)

    def _with_token(self, call: HTTPCall, deployment: Deployment) -> HTTPCall:
        options = deployment.model_kwargs
        ask = options.get("azure_ad_token_provider")
        if ask is not None:
            return replace(call, sign=_signature(ask))
        token = options.get("azure_ad_token")
        if token is None:
            raise AuthenticationError(
                "azure/ needs a key or a token: pass api_key=, azure_ad_token= or "
                "azure_ad_token_provider=, or set AZURE_API_KEY or AZURE_AD_TOKEN, which go to "
                "Azure's hosts and to that of AZURE_API_BASE only.",
                provider=self.name,
                model=deployment.name,
            )
        return replace(call, headers=_bearer(call.headers, token))

    def _url(self, request: Request, deployment: Deployment) -> str:
        url = urlsplit(deployment.api_base or "")
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        named = deployment.model_kwargs.get("api_version") or query.get("api-version")
        base = f"{url.scheme}://{url.netloc}{url.path}".rstrip("/").removesuffix(request.row.path)
        if base.endswith("/openai/v1") or (named in V1_VERSIONS and "/deployments/" not in base):
            base = base.removesuffix("/v1").removesuffix("/openai") + "/openai/v1"
            query.pop("api-version", None)
            if named == "preview":
                query["api-version"] = named
        else:
            query["api-version"] = named or DEFAULT_VERSION
            if "/openai/deployments/" not in base:
                name = quote(deployment.model, safe="")
                base = f"{base.removesuffix('/openai')}/openai/deployments/{name}"
        return f"{base}{request.row.path}{'?' if query else ''}{urlencode(query)}"


def _signature(ask: Callable[[], object]) -> Callable[[HTTPCall, float], HTTPCall]:
    """A hook that asks for a token and puts it into the call."""
    if not callable(ask):
        raise BadRequestError(
            "azure_ad_token_provider must be a function that gives a token.",
            param="azure_ad_token_provider",
        )

    def sign(call: HTTPCall, now: float) -> HTTPCall:
        token = ask()
        if not isinstance(token, str) or not token:
            raise AuthenticationError(
                "azure_ad_token_provider must give a token as a text, not "
                f"{type(token).__name__}. It is called like a plain function, also by async calls."
            )
        return replace(call, headers=_bearer(call.headers, token))

    return sign


def _bearer(headers: Mapping[str, Any], token: str) -> dict[str, Any]:
    return {**headers, "authorization": f"Bearer {token}"}


provider = Azure(
    name="azure",
    base_env=("AZURE_API_BASE",),
    key_env=("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
    key_required=False,  # a token does as well: `build` says what is missing
    own_hosts=r".+\.(openai|cognitiveservices|services\.ai)\.azure\.(com|us|cn)",
    options=(
        Option("api_version", ("AZURE_API_VERSION",)),
        Option("azure_ad_token", ("AZURE_AD_TOKEN",), secret=True),
        Option("azure_ad_token_provider", secret=True),
    ),
    source="https://learn.microsoft.com/azure/ai-foundry/openai/reference",
    checked="2026-11-28",
)
