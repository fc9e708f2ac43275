"""Any endpoint that speaks OpenAI's protocol. A gateway that adds nothing is one instance."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, cast
from zlib import crc32

from pydantic_core import PydanticSerializationError, from_json, to_json

from ..deployments import Deployment
from ..errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    UnsupportedParamsError,
)
from ..sse import Event
from ..types.call_info import Answer
from ..types.chat_request import ChatRequest
from ..types.operations import OPERATIONS
from ..types.request import Request
from ..types.samplers import LOCAL_PARAMS
from .base import Decoder, HTTPCall, Provider
from .message_keys import returned
from .openai_answers import OpenAIDecoder, parse_answer
from .params import select_params
from .responses_answers import ResponsesDecoder, parse_response
from .strict_schema import with_strict_schemas


@dataclass(kw_only=True, eq=False)
class OpenAILike(Provider):
    """A provider that speaks OpenAI's protocol, described by data. Override a method to differ."""

    base_path: str = ""
    """Put behind a base URL that has no path, such as `/v1` behind `http://localhost:11434`."""
    unsupported_params: frozenset[str] = frozenset()
    """OpenAI's parameters that it does not take."""
    renamed_params: Mapping[str, str] = field(default_factory=dict)
    """OpenAI's name to its own, such as `max_completion_tokens` to `max_tokens`."""
    model_options: frozenset[str] = frozenset()
    """Names it takes in `model_kwargs`."""
    message_keys: AbstractSet[str] | None = None
    """The keys of an assistant's message and its tool calls that it takes back in the next turn,
    beside `role`, `content` and `tool_calls`; `None`: all that came from it."""
    idempotency_header: str | None = None
    """The header by which it knows a repeated request as the same one, if it has one."""
    stream_usage: bool = True
    """Whether it takes `stream_options: {"include_usage": true}`."""
    finish_reasons: Mapping[str, str] = field(default_factory=dict)
    """Its words for why a choice ended, to OpenAI's."""
    gives_no_finish_reason: bool = False
    """Whether its streams never say why they ended: `[DONE]` after some content is their end, and
    the reason stays `None`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every call."""
    source: str = ""
    """The page these facts were found on."""
    checked: str = ""
    """The day they were, as YYYY-MM-DD."""

    def build(self, request: Request, deployment: Deployment) -> HTTPCall:
        """The HTTP request; see `Provider.build`."""
        if deployment.model_kwargs:
            self._check_options(deployment)
        params: dict[str, Any] = {}
        dropped: tuple[str, ...] = ()
        if request.params:
            accepted, reasons = self.accepted(request), self.refused_values(request)
            params, dropped = select_params(request, accepted, self.name, reasons)
        params = self.adjust(params, request)
        if "response_format" in params or ("tools" in params and request.row.name == "chat"):
            params = with_strict_schemas(params)
        body = self.body(request, deployment, params)
        body.update(request.extra_body)
        content = encode(body, request)
        headers = self._headers(request, deployment)
        return HTTPCall("POST", self._url(request, deployment), headers, content, dropped)

    def accepted(self, request: Request) -> frozenset[str]:
        """The names of the parameters it takes for this operation."""
        return (
            request.row.param_names - LOCAL_PARAMS - self.unsupported_params
        ) | self.extra_params

    def refused_values(self, request: Request) -> Mapping[str, str]:
        """Accepted parameters whose value it does not take, each with the reason."""
        return {}

    def adjust(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        """`params` in this endpoint's own form; the place for its quirks."""
        for ours, theirs in self.renamed_params.items():
            if ours in params:
                params[theirs] = params.pop(ours)
        return params

    def message(self, message: Mapping[str, Any], deployment: Deployment) -> Mapping[str, Any]:
        """An assistant's message as this endpoint takes it back; see `message_keys`."""
        return returned(message, self.message_keys)

    def body(
        self, request: Request, deployment: Deployment, params: dict[str, Any]
    ) -> dict[str, Any]:
        """The body before `extra_body` is merged in."""
        content: dict[str, Any] = {name: getattr(request, name) for name in request.row.content}
        if isinstance(request, ChatRequest):
            content["messages"] = [
                self.message(m, deployment) if m.get("role") == "assistant" else m
                for m in request.messages
            ]
        body = {"model": deployment.model, **content, **params}
        if request.stream:
            body["stream"] = True
        counts = request.stream and self.stream_usage and request.row.name != "responses"
        # A caller's options that ask for nothing leave the key out, for servers that refuse it.
        if counts and ("stream_options" in params or "stream_options" not in request.params):
            body["stream_options"] = {"include_usage": True, **params.get("stream_options", {})}
        return body

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer; see `Provider.parse`."""
        if request.row.name == "responses":
            return parse_response(body, request, self.name)
        return parse_answer(body, request, self.name, self.finish_reasons, self.decoder)

    def decoder(self, request: Request) -> Decoder[Event]:
        """A decoder for one stream."""
        if request.row.name == "responses":
            return ResponsesDecoder(request, self.name)
        optional = self.gives_no_finish_reason or request.allow_missing_finish_reason
        return OpenAIDecoder(
            request, self.finish_reasons, parse=self.parse, needs_reasons=not optional
        )

    def explain(self, error: APIError, deployment: Deployment) -> APIError:
        """Adds to a refused call without a key which variable would have held one."""
        if isinstance(error, AuthenticationError) and deployment.api_key is None and self.key_env:
            where = "" if self.key_to_any_host else f" (which goes to {self.base_url} only)"
            error.message = (
                f"{error.message.rstrip('.')}. No key was sent: pass api_key=, or set "
                f"{self.key_env[0]}{where}."
            )
        return error

    def _check_options(self, deployment: Deployment) -> None:
        known_options = self.model_options | {option.name for option in self.options}
        unknown = sorted(deployment.model_kwargs.keys() - known_options)
        if unknown:
            known = ", ".join(map(repr, sorted(known_options))) or "none"
            raise UnsupportedParamsError(
                f"{self.name} does not take {unknown[0]!r} in model_kwargs; of a server's options "
                f"it takes {known}. Options to load a model with are for one in this process.",
                param="model_kwargs",
            )

    def _url(self, request: Request, deployment: Deployment) -> str:
        base, question, query = (deployment.api_base or "").partition("?")
        if "#" in base or "#" in query:
            raise BadRequestError(
                "api_base has a fragment (what follows '#'), which no server gets to see: leave "
                "it out.",
                model=deployment.name,
                param="api_base",
            )
        base = base.rstrip("/")
        if base.endswith(_PATHS):  # the address of one operation instead of the base of all
            base = base.removesuffix(next(filter(base.endswith, _PATHS)))
        elif "/" not in base.partition("://")[2]:
            base += self.base_path
        return base + request.row.path + question + query

    def _headers(self, request: Request, deployment: Deployment) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept": "application/json", **self.headers}
        if request.stream:
            headers["accept"] = "text/event-stream"
        if deployment.api_key is not None:
            headers["authorization"] = f"Bearer {deployment.api_key}"
        if self.idempotency_header is not None:
            # The same for every retry; another one for another deployment, whose body differs.
            place = f"{deployment.api_base} {deployment.model}".encode("utf-8", "replace")
            key = f"llmroute-{request.call_id}-{crc32(place):08x}"
            headers[self.idempotency_header.lower()] = key
        for name, value in request.extra_headers.items():
            headers[name.lower()] = value
        return headers


_LARGE = 64 * 1024
"""Bytes of a body that is not searched as a whole."""
_NO_NUMBER = re.compile(rb"[:,\[](?:NaN|-?Infinity)[,}\]]")
# The longest first, as one may end like another.
_PATHS = tuple(sorted((row.path for row in OPERATIONS.values()), key=len, reverse=True))


def encode(body: Mapping[str, Any], request: Request) -> bytes:
    """`body` as JSON. Raises `BadRequestError` for what JSON cannot carry."""
    try:
        encoded = to_json(body)
    except (PydanticSerializationError, UnicodeError) as exc:
        raise BadRequestError(
            f"The request cannot be written as JSON: {exc}", model=request.model
        ) from exc
    # In a large body the values are looked through, which takes less time than the search.
    searched = len(encoded) <= _LARGE or _may_have_no_number(body)
    if searched and (b"NaN" in encoded or b"Infinity" in encoded) and _has_no_number(encoded):
        raise BadRequestError(
            "The request cannot be written as JSON: it holds NaN or an infinite number, in "
            "extra_body or in another mapping.",
            model=request.model,
        )
    return encoded


def _may_have_no_number(value: object) -> bool:
    """Whether there may be a NaN or an infinite number in `value`; yes for unknown types."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return False
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, Mapping):
        return any(map(_may_have_no_number, value.values()))
    if kind is list or kind is tuple:
        return any(map(_may_have_no_number, cast("Sequence[object]", value)))
    return True


def _has_no_number(encoded: bytes) -> bool:
    """Whether pydantic wrote a number that JSON does not have by its name, such as `NaN`."""
    if not _NO_NUMBER.search(encoded):
        return False
    try:
        from_json(encoded, allow_inf_nan=False)
    except ValueError:
        return True
    return False  # it stands in a text
