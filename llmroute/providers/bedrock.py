"""Amazon Bedrock: the Converse API, and InvokeModel for embeddings.

Facts from https://docs.aws.amazon.com/bedrock/latest/APIReference/ (2026-11-28).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic_core import from_json

from ..chunks import assembled
from ..deployments import Deployment
from ..errors import APIError, APIResponseValidationError, AuthenticationError, BadRequestError
from ..sse import Event
from ..types.call_info import Answer
from ..types.chat_request import ChatRequest
from ..types.embedding import EmbeddingRequest
from ..types.request import JSON, Request
from . import bedrock_answer, bedrock_embeddings, bedrock_request
from .base import Decoder, HTTPCall, Option, Provider, Splitter
from .bedrock_answer import ConverseDecoder
from .bedrock_errors import refusal
from .eventstream import EventStreamSplitter
from .failures import decode
from .openai_like import encode
from .params import select_params
from .sigv4 import Credentials, sign
from .text_bridge import chat_request, text_answer, text_decoder

_HOST = re.compile(
    r"(?:vpce-[a-z0-9-]+\.)?bedrock-runtime(?:-fips)?\.(?P<region>[a-z0-9-]+)"
    r"\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)"
)


class Bedrock(Provider):
    """Every model that Bedrock runs, by its id, its inference profile or its ARN."""

    name = "bedrock"
    base_env = ("AWS_BEDROCK_RUNTIME_ENDPOINT", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME")
    key_env = ("AWS_BEARER_TOKEN_BEDROCK",)
    key_required = False  # credentials of AWS do as well: `build` says what is missing
    own_hosts = _HOST.pattern
    uses_aws = True
    options = (
        Option("aws_region_name"),
        Option("aws_access_key_id", secret=True),
        Option("aws_secret_access_key", secret=True),
        Option("aws_session_token", secret=True),
        Option("aws_profile_name", secret=True),
    )
    operations = ("chat", "text", "embedding")
    extra_params = (
        bedrock_request.OWN_FIELDS | bedrock_request.MODEL_FIELDS | bedrock_embeddings.OWN_PARAMS
    )

    def own_url(self, options: Mapping[str, Any]) -> str:
        """The endpoint of the region."""
        region = options.get("aws_region_name")
        if region is None:
            raise BadRequestError(
                "bedrock/ needs a region: pass aws_region_name=, or set AWS_REGION or a profile's "
                f"region. Another URL goes into api_base= or {self.base_env[0]}.",
                provider=self.name,
                param="aws_region_name",
            )
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return f"https://bedrock-runtime.{region}.{domain}"

    def build(self, request: Request, deployment: Deployment) -> HTTPCall:
        """The call, signed or with a bearer key; a signature is made when it is sent."""
        model = deployment.model.removeprefix("converse/")
        if isinstance(request, EmbeddingRequest):
            known = bedrock_embeddings.accepted(model)
            params, dropped = select_params(request, known, self.name)
            body, action = bedrock_embeddings.body(request, model, params), "invoke"
        else:
            body, dropped = _chat_body(request, model)
            action = "converse-stream" if request.stream else "converse"
        body.update(request.extra_body)
        url = f"{deployment.api_base}/model/{quote(model, safe='')}/{action}"
        call = HTTPCall("POST", url, _headers(request), encode(body, request), dropped)
        return _with_access(call, deployment)

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer in OpenAI's shape."""
        if isinstance(request, EmbeddingRequest):
            return bedrock_embeddings.response(_decoded(body, request), request)
        return text_answer(_parse(body, request), request)

    def splitter(self, headers: Mapping[str, str]) -> Splitter[bytes, Event]:
        """A new splitter for the body of one stream."""
        return EventStreamSplitter()

    def decoder(self, request: Request) -> Decoder[Event]:
        """A decoder for one stream."""
        return text_decoder(ConverseDecoder(request), request)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> APIError:
        """The error an answer stands for."""
        return refusal(status, headers, body)


def _chat_body(request: Request, model: str) -> tuple[dict[str, JSON], tuple[str, ...]]:
    """The body of a chat or text call, and the names of parameters that were left out."""
    request = chat_request(request)
    assert isinstance(request, ChatRequest)  # `operations` has nothing else
    reasons = bedrock_request.refused_values(request)
    params, dropped = select_params(request, bedrock_request.ACCEPTED, "bedrock", reasons)
    if request.unsupported == "pass":
        params = bedrock_request.with_others(params, reasons)
    return bedrock_request.body(request, model, params), dropped


def _parse(body: bytes, request: Request) -> Answer:
    """The answer in `body`, also from a stream that nobody asked for."""
    if body.startswith(b"\0"):
        events = EventStreamSplitter()
        pieces = chain(events.feed(body), events.flush())
        return assembled(ConverseDecoder(request), pieces, chat_request(request))
    return bedrock_answer.completion(_decoded(body, request), request)


def _decoded(body: bytes, request: Request) -> JSON:
    try:
        return from_json(body)
    except ValueError:
        raise APIResponseValidationError(
            "The answer of Bedrock is not JSON.", model=request.model, body=decode(body)
        ) from None


def _headers(request: Request) -> dict[str, str]:
    stream = "application/vnd.amazon.eventstream"
    return {
        "content-type": "application/json",
        "accept": stream if request.stream else "application/json",
        **{name.lower(): value for name, value in request.extra_headers.items()},
    }


def _with_access(call: HTTPCall, deployment: Deployment) -> HTTPCall:
    """`call` with the bearer key, or to be signed when it is sent."""
    if "authorization" in call.headers:  # the caller's own
        return call
    if deployment.api_key is not None:
        return replace(
            call, headers={**call.headers, "authorization": f"Bearer {deployment.api_key}"}
        )
    options = deployment.model_kwargs
    key_id, secret = options.get("aws_access_key_id"), options.get("aws_secret_access_key")
    if not key_id or not secret:
        missing = "aws_secret_access_key" if key_id else "aws_access_key_id"
        raise AuthenticationError(
            f"bedrock/ has no {missing}: pass it, or aws_profile_name= or api_key= (a key of "
            "Bedrock), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or "
            "AWS_BEARER_TOKEN_BEDROCK. What the environment holds goes to AWS's own hosts and to "
            "that of AWS_BEDROCK_RUNTIME_ENDPOINT only.",
            model=deployment.name,
            param=missing,
        )
    signer = Credentials(key_id, secret, options.get("aws_session_token"))
    signature = partial(sign, credentials=signer, region=_region(deployment), service="bedrock")
    return replace(call, sign=signature)


def _region(deployment: Deployment) -> str:
    """The region of the host, where it says one: a signature for another one is refused."""
    host = urlsplit(deployment.api_base or "").hostname or ""
    found = _HOST.fullmatch(host)
    region = found["region"] if found else deployment.model_kwargs.get("aws_region_name")
    if region is None:
        raise BadRequestError(
            "bedrock/ needs aws_region_name= to sign a call to this api_base.",
            model=deployment.name,
            param="aws_region_name",
        )
    return str(region)


provider = Bedrock()
