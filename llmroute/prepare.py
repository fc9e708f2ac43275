"""From the arguments of a call to a job: everything that is checked before anything is sent."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any, cast, get_args

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from .deployments import Deployment
from .errors import BadRequestError, UnsupportedOperationError, UnsupportedParamsError
from .messages import plain_messages
from .providers import get_provider
from .providers.mock import ANSWER
from .providers.params import did_you_mean
from .resolve import resolve
from .schemas import response_format
from .transport.drive import Job
from .types.request import (
    ChatParams,
    ChatRequest,
    EmbeddingParams,
    EmbeddingRequest,
    Request,
    RerankParams,
    RerankRequest,
    TextParams,
    TextRequest,
    TimeLimits,
    Unsupported,
)

DEFAULT_RETRIES = 2

class CallOptions(TypedDict, total=False):
    """What every call takes beside the parameters of its operation."""

    api_key: str | None
    """The key; `None` takes the provider's own environment variable."""
    api_base: str | None
    """The base URL; `None` takes the provider's. Also `base_url`."""
    base_url: str | None
    model_kwargs: Mapping[str, Any] | None
    """Options of the provider, or of loading a local model (`n_ctx`, `n_threads`, ...)."""
    timeout: float | TimeLimits | None
    """Seconds for the whole call, or a `TimeLimits`; `None` takes `TimeLimits()`."""
    num_retries: int | None
    """Tries after the first one, 2 if `None`. Also `max_retries`."""
    max_retries: int | None
    extra_body: Mapping[str, Any] | None
    """Merged into the body last and not checked."""
    extra_headers: Mapping[str, str] | None
    mock_response: Any
    """Answer with this text, completion or exception and call nobody."""
    unsupported: Unsupported
    """What to do with a parameter the provider does not take: `"raise"`, `"drop"`, `"pass"`."""
    drop_params: bool | None
    """`True` is `unsupported="drop"`."""
    client: Any
    """Your own `httpx.Client` (`httpx.AsyncClient` for async calls), used as it is configured."""


_TEXTS = ("api_key", "api_base", "base_url")
_UNSUPPORTED = get_args(Unsupported)
_CHECKED = {*_TEXTS, "extra_body", "extra_headers", "model_kwargs", "unsupported"}
_OPTIONS = frozenset(CallOptions.__annotations__)
_SHAPES: dict[str, Any] = {"chat": ChatParams, "text": TextParams, "embedding": EmbeddingParams}
_SHAPES["rerank"] = RerankParams
_PARAMS = {operation: frozenset(shape.__annotations__) for operation, shape in _SHAPES.items()}


def chat_job(model: str, messages: object, stream: bool, given: dict[str, Any]) -> Job:
    """The job of a chat call. Raises `BadRequestError` and its kin for anything wrong."""
    return _job(ChatRequest, model, stream, given, messages=plain_messages(messages, model))


def text_job(model: str, prompt: object, stream: bool, given: dict[str, Any]) -> Job:
    """The job of a text completion."""
    return _job(TextRequest, model, stream, given, prompt=_inputs(prompt, "prompt", model))


def embedding_job(model: str, inputs: object, given: dict[str, Any]) -> Job:
    """The job of an embedding call."""
    return _job(EmbeddingRequest, model, False, given, input=_inputs(inputs, "input", model))


def rerank_job(model: str, query: object, documents: object, given: dict[str, Any]) -> Job:
    """The job of a call that ranks documents."""
    if not isinstance(query, str) or not query:
        raise BadRequestError("query must be a text.", model=model, param="query")
    texts = documents if isinstance(documents, list | tuple) else ()
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise BadRequestError(
            "documents must be a list of at least one text.", model=model, param="documents"
        )
    top_n = given.get("top_n")
    if isinstance(top_n, int) and top_n < 1:
        raise BadRequestError(f"top_n={top_n} must be at least 1.", model=model, param="top_n")
    job = _job(RerankRequest, model, False, given, query=query, documents=list(texts))
    for deployment in job.deployments:
        if not get_provider(deployment.provider).reranks:
            raise UnsupportedOperationError(
                f"{deployment.provider} does not rank documents; llamacpp does, with a model made "
                "for that.",
                provider=deployment.provider,
                model=model,
            )
    return job


def _job(
    kind: type[Request], model: str, stream: bool, given: dict[str, Any], **content: Any
) -> Job:
    _check_options(given, model)
    options = cast(CallOptions, {k: v for k, v in given.items() if k in _OPTIONS})
    params = {k: v for k, v in given.items() if k not in _OPTIONS and v is not None}
    deployment = _deployment(model, options)
    _check_params(kind, params, options, deployment)
    if isinstance(params.get("response_format"), type):
        params["response_format"] = response_format(params["response_format"])
    request: Request = kind(
        model=model,
        params=params,
        stream=bool(stream),
        extra_body=options.get("extra_body") or {},
        extra_headers=options.get("extra_headers") or {},
        unsupported="drop" if options.get("drop_params") else options.get("unsupported", "raise"),
        **content,
    )
    if isinstance(request, ChatRequest) and get_provider(deployment.provider).exact_counts:
        from .tokens import check_context_window  # with the registry, more than most calls need

        check_context_window(request)
    return Job(request, (deployment,), _retries(options), _timeout(options), options.get("client"))


def _check_options(given: Mapping[str, Any], model: str) -> None:
    for name in given.keys() & _CHECKED:
        if wrong := _wrong_option(name, given[name]):
            raise BadRequestError(f"{wrong}.", model=model, param=name)


def _wrong_option(name: str, value: object) -> str:
    """What is wrong with an option; `""` if nothing is. Tells no value that may be a key."""
    if name == "unsupported":
        words = " or ".join(map(repr, _UNSUPPORTED))
        return "" if value in _UNSUPPORTED else f"unsupported={value!r:.100} must be {words}"
    kind, told = (str, "text") if name in _TEXTS else (Mapping, "mapping")
    if value is not None and not isinstance(value, kind):
        return f"{name} must be a {told}, not {type(value).__name__}"
    if name == "extra_headers" and isinstance(value, Mapping):
        texts = all(isinstance(text, str) for item in value.items() for text in item)
        return "" if texts else "extra_headers must be texts, names and values"
    return ""


def _deployment(model: str, options: CallOptions) -> Deployment:
    if options.get("mock_response") is not None:
        return Deployment(
            provider="mock", model=model, model_kwargs={ANSWER: options["mock_response"]}
        )
    return resolve(
        model,
        api_key=options.get("api_key"),
        api_base=options.get("api_base") or options.get("base_url"),
        model_kwargs=options.get("model_kwargs"),
    )


def _check_params(
    kind: type[Request], params: dict[str, Any], options: CallOptions, deployment: Deployment
) -> None:
    known = _PARAMS[kind.operation] | get_provider(deployment.provider).extra_params
    unknown = [name for name in params if name not in known]
    if unknown and options.get("unsupported") != "pass":
        near = did_you_mean(unknown[0], known | _OPTIONS)
        raise UnsupportedParamsError(
            f"{unknown[0]!r} is not a parameter of this call.{near} What only {deployment.provider}"
            " knows goes into extra_body=.",
            model=deployment.name,
            provider=deployment.provider,
            param=unknown[0],
        )
    try:
        _checker(kind.operation).validate_python(params)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        name = ".".join(str(part) for part in problem["loc"][:1])
        raise BadRequestError(
            f"{name}={problem['input']!r:.100}: {problem['msg']}.",
            model=deployment.name,
            provider=deployment.provider,
            param=name,
        ) from None


@functools.cache
def _checker(operation: str) -> TypeAdapter[Any]:
    return TypeAdapter(_SHAPES[operation])


def _retries(options: CallOptions) -> int:
    retries = options.get("num_retries")
    if retries is None:
        retries = options.get("max_retries")
    if retries is None:
        return DEFAULT_RETRIES
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise BadRequestError(f"num_retries={retries!r} is not a number of retries.")
    return retries


def _timeout(options: CallOptions) -> TimeLimits:
    timeout = options.get("timeout")
    if timeout is None:
        return TimeLimits()
    if isinstance(timeout, TimeLimits):
        if not all(map(_is_seconds, astuple(timeout))):
            raise BadRequestError(
                f"{timeout!r} must hold seconds above zero, or None for no limit."
            )
        return timeout
    if hasattr(timeout, "read") and hasattr(timeout, "connect"):  # an httpx.Timeout
        return TimeLimits(connect=timeout.connect, first_token=timeout.read, idle=timeout.read)
    if not _is_seconds(timeout):
        raise BadRequestError(
            f"timeout={timeout!r} must be a number of seconds above zero, or a TimeLimits."
        )
    return TimeLimits(total=float(timeout))


def _is_seconds(value: object) -> bool:
    """Whether it is a limit that can be waited for; `None` is none."""
    if value is None:
        return True
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < cast(float, value) <= threading.TIMEOUT_MAX


def _inputs(value: object, name: str, model: str) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and value and not isinstance(value, bytes):
        return list(value)
    raise BadRequestError(
        f"{name} must be a text or a list of at least one, not {value!r:.100}.",
        model=model,
        param=name,
    )
