"""What all calls check before anything is sent: options, parameters, time limits, retries."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast, get_args

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from .deployments import Deployment, split_model
from .errors import BadRequestError, UnsupportedOperationError, UnsupportedParamsError
from .providers import MOCK, get_provider
from .providers.base import Provider
from .providers.params import did_you_mean
from .resolve import resolve
from .transport.drive import Job
from .types.operation import AnswerT, ChunkT, Operation
from .types.request import Request, TimeLimits, Unsupported

DEFAULT_RETRIES = 2


class ProviderOptions(TypedDict, total=False):
    """What only some providers take: how to reach them. See `Provider.options`."""

    api_version: str | None
    """Azure: the version of its API, such as `"2025-04-01-preview"` or `"v1"`."""
    azure_ad_token: str | None
    """Azure: a token of Microsoft Entra ID, in place of a key."""
    azure_ad_token_provider: Callable[[], str] | None
    """Azure: gives such a token; called whenever a request is sent."""
    aws_access_key_id: str | None
    aws_secret_access_key: str | None
    aws_session_token: str | None
    aws_region_name: str | None
    aws_profile_name: str | None
    """AWS: a profile of `~/.aws/credentials` and `~/.aws/config`."""


class CallOptions(ProviderOptions, total=False):
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
    allow_missing_finish_reason: bool | None
    """`True` takes a stream that ends with `[DONE]` but never says why; its reason stays `None`."""
    client: Any
    """Your own `httpx.Client` (`httpx.AsyncClient` for async calls), used as it is configured."""


OPTION_DEFAULTS: Mapping[str, object] = {"unsupported": "raise"}
"""What an option is where it is not given; `None` if it is not named here."""


class Common(TypedDict):
    """The fields that the requests of all operations share."""

    model: str
    params: dict[str, Any]
    extra_body: Mapping[str, Any]
    extra_headers: Mapping[str, str]
    unsupported: Unsupported
    allow_missing_finish_reason: bool


@dataclass(slots=True)
class Prepared:
    """The checked arguments of a call; its own function makes the request of them."""

    provider: Provider
    common: Common
    _deployments: Sequence[Deployment]
    _options: CallOptions

    def job(self, row: Operation[AnswerT, ChunkT], request: Request) -> Job[AnswerT, ChunkT]:
        """The job of sending `request`."""
        options = self._options
        return Job(
            row,
            request,
            self._deployments,
            _retries(options),
            _time_limits(options),
            options.get("client"),
        )


_TEXTS = ("api_key", "api_base", "base_url")
_UNSUPPORTED = get_args(Unsupported)
_CHECKED = {*_TEXTS, "extra_body", "extra_headers", "model_kwargs", "unsupported"}
_PROVIDER_OPTIONS = frozenset(ProviderOptions.__annotations__)
_OPTIONS = frozenset(CallOptions.__annotations__) - _PROVIDER_OPTIONS


def prepare(row: Operation[Any, Any], model: str, given: Mapping[str, object]) -> Prepared:
    """Checks the arguments of a call to `model`.

    Raises `BadRequestError` or a subclass of it for anything wrong, and `AuthenticationError`
    where a key is needed and missing.
    """
    _check_options(given, model)
    options = cast(CallOptions, {k: v for k, v in given.items() if k in _OPTIONS})
    params: dict[str, Any] = {k: v for k, v in given.items() if k not in _OPTIONS and v is not None}
    deployment = _deployment(model, options, params)
    provider = get_provider(deployment.provider if deployment.mock is None else MOCK)
    if deployment.mock is not None:
        params = {name: value for name, value in params.items() if name not in _PROVIDER_OPTIONS}
    for option in provider.options:
        params.pop(option.name, None)
    lacks = row.name not in provider.operations
    if lacks or (row.by_host and not provider.offers(row.name, deployment)):
        raise _lacks(row, provider, model)
    _check_params(row, params, options, deployment, provider)
    common = Common(
        model=model,
        params=params,
        extra_body=options.get("extra_body") or {},
        extra_headers=options.get("extra_headers") or {},
        unsupported="drop" if options.get("drop_params") else options.get("unsupported", "raise"),
        allow_missing_finish_reason=bool(options.get("allow_missing_finish_reason")),
    )
    return Prepared(provider, common, (deployment,), options)


def _check_options(given: Mapping[str, object], model: str) -> None:
    for name in given.keys() & _CHECKED:
        if wrong := _wrong_option(name, given[name]):
            raise BadRequestError(f"{wrong}.", model=model, param=name)


def _wrong_option(name: str, value: object) -> str:
    """What is wrong with an option; `""` if nothing is. Tells no value that may be a key."""
    if name == "unsupported":
        words = " or ".join(map(repr, _UNSUPPORTED))
        return "" if value in _UNSUPPORTED else f"unsupported={_brief(value)} must be {words}"
    kind, word = (str, "text") if name in _TEXTS else (Mapping, "mapping")
    if value is not None and not isinstance(value, kind):
        return f"{name} must be a {word}, not {type(value).__name__}"
    if name == "extra_headers" and isinstance(value, Mapping):
        texts = all(isinstance(text, str) for item in value.items() for text in item)
        return "" if texts else "extra_headers must be texts, names and values"
    return ""


def _deployment(model: str, options: CallOptions, given: Mapping[str, object]) -> Deployment:
    if options.get("mock_response") is not None:
        prefix, name = split_model(model)
        return Deployment(provider=prefix or MOCK, model=name, mock=options["mock_response"])
    return resolve(
        model,
        api_key=options.get("api_key"),
        api_base=options.get("api_base") or options.get("base_url"),
        model_kwargs=options.get("model_kwargs"),
        given=given,
    )


def _lacks(row: Operation[Any, Any], provider: Provider, model: str) -> UnsupportedOperationError:
    return UnsupportedOperationError(
        f"{provider.name} has no {row.name} operation; it has: {', '.join(provider.operations)}.",
        provider=provider.name,
        model=model,
    )


def _check_params(
    row: Operation[Any, Any],
    params: dict[str, Any],
    options: CallOptions,
    deployment: Deployment,
    provider: Provider,
) -> None:
    if not params:
        return
    known = row.param_names | provider.extra_params
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
    check_values(row, params, deployment.name, deployment.provider)


def check_values(
    row: Operation[Any, Any], params: Mapping[str, Any], model: str, provider: str
) -> None:
    """Raises `BadRequestError` for a parameter of `row` whose value is of another type."""
    try:
        _checker(row).validate_python(params)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        name = ".".join(str(part) for part in problem["loc"][:1])
        raise BadRequestError(
            f"{name}={_brief(problem['input'])}: {problem['msg']}.",
            model=model,
            provider=provider,
            param=name,
        ) from None


@functools.cache
def _checker(row: Operation[Any, Any]) -> TypeAdapter[Any]:
    return TypeAdapter(row.params)


def _retries(options: CallOptions) -> int:
    retries = options.get("num_retries")
    if retries is None:
        retries = options.get("max_retries")
    if retries is None:
        return DEFAULT_RETRIES
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise BadRequestError(f"num_retries={_brief(retries)} is not a number of retries.")
    return retries


_NO_TIMEOUT_GIVEN = TimeLimits()


def _time_limits(options: CallOptions) -> TimeLimits:
    timeout = options.get("timeout")
    if timeout is None:
        return _NO_TIMEOUT_GIVEN
    if isinstance(timeout, TimeLimits):
        for name, value in asdict(timeout).items():
            if not _is_seconds(value):
                raise BadRequestError(
                    f"timeout.{name}={_brief(value)} must be seconds above zero, or None for no "
                    "limit.",
                    param="timeout",
                )
        return timeout
    if hasattr(timeout, "read") and hasattr(timeout, "connect"):  # an httpx.Timeout
        return TimeLimits(connect=timeout.connect, first_token=timeout.read, idle=timeout.read)
    if not _is_seconds(timeout):
        raise BadRequestError(
            f"timeout={_brief(timeout)} must be a number of seconds above zero, or a TimeLimits.",
            param="timeout",
        )
    return TimeLimits(total=float(timeout))


def _brief(value: object) -> str:
    """A wrong value as messages show it: a number as it is, anything else by its type.

    A text in the wrong argument may be a key, and a huge number cannot be written out.
    """
    short = isinstance(value, int | float) and -1e18 < value < 1e18
    return repr(value) if short or value is None else f"<{type(value).__name__}>"


def _is_seconds(value: object) -> bool:
    """Whether it is a limit that can be waited for; `None` is no limit."""
    if value is None:
        return True
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < cast(float, value) <= threading.TIMEOUT_MAX
