"""A GGUF model: in this process through llama.cpp, or, with `api_base`, behind llama.cpp's server.

`llamacpp/<file or name>` needs no server; `model_kwargs` are the options to load it with. With
`api_base="http://localhost:8080"` the same prefix calls a running `llama-server`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..deployments import Deployment
from ..errors import APIError, BadRequestError, UnsupportedOperationError
from ..sse import Event
from ..types.call_info import Answer
from ..types.chat_request import ChatRequest
from ..types.embedding import EmbeddingRequest
from ..types.request import Request
from ..types.rerank import RerankRequest
from ..types.samplers import LOCAL_PARAMS
from ..types.text import TextRequest
from .base import Decoder, HTTPCall, InProcessEvent, LocalCall, Provider
from .local_decoder import LocalDecoder
from .local_vectors import embeddings, ranking
from .openai_like import OpenAILike
from .params import select_params
from .tool_choice import settle

_SAMPLING = frozenset(
    {"frequency_penalty", "ignore_eos", "logit_bias", "logprobs", "max_tokens", "min_p"}
    | {"mirostat", "mirostat_eta", "mirostat_tau", "n", "presence_penalty", "repeat_penalty"}
    | {"repetition_penalty", "seed", "stop", "stream_options", "temperature", "top_k", "top_p"}
    | {"typical_p"}
)
# They say who asks, not what is asked for, and no service is called here that wants to know.
_ABOUT_THE_CALLER = frozenset({"prompt_cache_key", "safety_identifier", "user"})
_ACCEPTED = {
    "chat": _SAMPLING
    | _ABOUT_THE_CALLER
    | {"chat_template", "chat_template_kwargs", "grammar", "max_completion_tokens"}
    | {"parallel_tool_calls", "reasoning_effort", "response_format", "tool_choice", "tools"}
    | {"top_logprobs"},
    "text": _SAMPLING | _ABOUT_THE_CALLER | {"best_of", "echo", "grammar", "suffix"},
    "embedding": _ABOUT_THE_CALLER | {"encoding_format"},
    "rerank": frozenset({"return_documents", "top_n"}),
}

_NOT_YET = {
    "dimensions": "a model file doesn't say whether its vectors may be cut; cut and normalise them "
    "yourself if it was trained for that",
    "function_call": "use tools and tool_choice",
    "functions": "use tools",
}
_NO_REQUEST: tuple[tuple[str, Any], ...] = (
    ("function_call", "none"),
    ("functions", []),
    ("modalities", ["text"]),
    ("parallel_tool_calls", True),
    ("response_format", {"type": "text"}),
    ("service_tier", "auto"),
    ("store", False),
    ("suffix", ""),
    ("tool_choice", "auto"),
    ("tools", []),
)
"""Values that ask for nothing but what is done anyway."""


class LlamaCpp(Provider):
    """Runs the model here, or calls a llama.cpp server."""

    name = "llamacpp"
    # llama.cpp's server takes any key until it is started with one.
    key_env = ("LLAMACPP_API_KEY",)
    key_required = False
    key_to_any_host = True
    runs_here = True
    operations = ("chat", "text", "embedding", "rerank")

    # https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md (2026-11-22); its
    # chat template is chosen when it is started.
    _server = OpenAILike(
        name="llamacpp",
        base_path="/v1",
        key_env=key_env,
        key_required=False,
        key_to_any_host=True,
        extra_params=LOCAL_PARAMS - {"chat_template"},
        renamed_params={"repetition_penalty": "repeat_penalty"},
    )

    def build(self, request: Request, deployment: Deployment) -> HTTPCall | LocalCall:
        """The call to the server at `api_base`, or to the engine in this process.

        Values are checked by the engine. Raises `UnsupportedParamsError` for parameters it does
        not take and `UnsupportedOperationError` for audio, files and video.
        """
        if deployment.api_base is not None:
            if isinstance(request, RerankRequest):
                raise UnsupportedOperationError(
                    "Documents are ranked by a model in this process only. Leave out api_base.",
                    provider="llamacpp",
                    model=request.model,
                )
            return self._server.build(request, deployment)
        prompt = _prompt(request)
        params, dropped = _params(request)
        params.update(request.extra_body)
        _check_stream(request, params)
        return LocalCall(
            deployment.model,
            request.operation,
            prompt,
            params,
            _load_options(request, deployment),
            dropped,
        )

    def parse(self, body: bytes, request: Request) -> Answer:
        """The answer of a server."""
        return self._server.parse(body, request)

    def decoder(self, request: Request) -> Decoder[Event]:
        """A decoder for a server's events."""
        return self._server.decoder(request)

    def event_decoder(self, request: Request) -> Decoder[InProcessEvent]:
        """A decoder for the engine's events."""
        return LocalDecoder(request)

    def collect(self, events: Sequence[InProcessEvent], request: Request) -> Answer:
        """The whole answer from the engine's events."""
        if isinstance(request, RerankRequest):
            return ranking(events, request)
        if isinstance(request, EmbeddingRequest):
            return embeddings(events, request)
        return super().collect(events, request)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> APIError:
        """The error a server's answer stands for."""
        return self._server.error(status, headers, body)

    def explain(self, error: APIError, deployment: Deployment) -> APIError:
        """Adds what a server's error leaves open."""
        if deployment.api_base is None:
            return error
        return self._server.explain(error, deployment)


def _check_stream(request: Request, params: Mapping[str, Any]) -> None:
    """Which answers are the best is known when all are complete."""
    best_of, n = params.get("best_of"), params.get("n") or 1
    asked = isinstance(best_of, int) and isinstance(n, int) and best_of > n
    if request.stream and asked:
        raise BadRequestError(
            f"llamacpp cannot stream the best of {best_of} answers, as OpenAI cannot. Leave out "
            "stream or best_of.",
            provider="llamacpp",
            model=request.model,
            param="best_of",
        )


def _load_options(request: Request, deployment: Deployment) -> Mapping[str, Any]:
    """Vectors need a context of another kind, so the model is loaded for them on its own."""
    if isinstance(request, EmbeddingRequest | RerankRequest):
        return {**deployment.model_kwargs, "embeddings": True}
    return deployment.model_kwargs


def _prompt(request: Request) -> Any:
    """What the engine is given to answer or continue."""
    if isinstance(request, TextRequest):
        return request.prompt
    if isinstance(request, EmbeddingRequest):
        return request.input
    if isinstance(request, RerankRequest):
        return request.query, request.documents
    if not isinstance(request, ChatRequest):
        raise _unsupported(request, f"the operation {request.operation!r}")
    for message in request.messages:
        content = message.get("content")
        for part in content if isinstance(content, list | tuple) else ():
            kind = part.get("type") if isinstance(part, Mapping) else None
            if isinstance(kind, str) and kind not in ("text", "refusal", "image_url"):
                raise _unsupported(request, f"a message part of type {kind!r}")
    return request.messages


def _unsupported(request: Request, what: str) -> UnsupportedOperationError:
    return UnsupportedOperationError(
        f"llamacpp does not support {what} in this process yet. With api_base= it calls a running "
        "llama.cpp server, which may.",
        provider="llamacpp",
        model=request.model,
    )


def _params(request: Request) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The parameters for the engine, and the names of those left out."""
    accepted = _ACCEPTED[request.operation]
    idle = {name for name, value in request.params.items() if (name, value) in _NO_REQUEST}
    reasons = {
        name: _NOT_YET[name] for name in request.params if name in _NOT_YET and name not in idle
    }
    params, dropped = select_params(request, accepted | idle, "llamacpp", reasons)
    settle(params)
    # The newer name of the same limit wins, as at OpenAI.
    if "max_completion_tokens" in params:
        params["max_tokens"] = params.pop("max_completion_tokens")
    if "repetition_penalty" in params:
        params["repeat_penalty"] = params.pop("repetition_penalty")
    # How the answer is delivered is up to the decoder.
    left = idle | _ABOUT_THE_CALLER | _ACCEPTED["rerank"] | {"encoding_format", "stream_options"}
    return {name: value for name, value in params.items() if name not in left}, dropped


provider = LlamaCpp()
