"""Every error llmroute raises.

    LLMRouteError
    ├── APIError                            something about a call
    │   ├── APIConnectionError              no answer: refused, reset, DNS, TLS
    │   │   └── APITimeoutError             no answer in time; also named Timeout
    │   ├── APIStatusError                  the provider answered with an error
    │   │   ├── BadRequestError             400, and every other 4xx without a class of its own
    │   │   │   ├── ContextWindowExceededError
    │   │   │   ├── ContentPolicyViolationError
    │   │   │   ├── UnsupportedParamsError
    │   │   │   ├── UnsupportedOperationError
    │   │   │   ├── ModelFileError          a local file that is not a usable model
    │   │   │   └── SessionFileError        a saved session that is damaged or does not fit
    │   │   ├── AuthenticationError         401, and a missing key
    │   │   ├── PermissionDeniedError       403
    │   │   │   └── ProviderRetiredError    the service no longer exists
    │   │   ├── NotFoundError               404
    │   │   ├── ConflictError               409
    │   │   ├── RequestTooLargeError        413
    │   │   ├── UnprocessableEntityError    422
    │   │   ├── RateLimitError              429
    │   │   └── InternalServerError         5xx
    │   │       ├── BadGatewayError         502
    │   │       ├── ServiceUnavailableError 503
    │   │       │   └── ModelUnloadedError  unload() was called while the call ran
    │   │       └── GatewayTimeoutError     504
    │   ├── APIResponseValidationError      an answer that is not what the protocol says
    │   └── StreamInterruptedError          a stream that broke off; carries what had come before
    ├── BudgetExceededError                 a spending limit is reached
    └── MissingExtraError                   an optional package is not installed

The class is decided by the HTTP status, then by the provider's error code, never by the wording of
a message. Every error can be pickled and copied. None of them shows a key: see `redaction.py`.

Where openai is imported, `except openai.RateLimitError` catches ours too: see `openai_errors.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from .openai_errors import OpenAIBases, request_of, response_of

if TYPE_CHECKING:
    import httpx

    from .types.call_info import AttemptRecord
    from .types.chat import ChatCompletion
    from .types.messages import MessagesResponse
    from .types.responses import Response
    from .types.text import TextCompletion


APIErrorT = TypeVar("APIErrorT", bound="APIError")

_LIMITS = frozenset({"total", "connect", "first_token", "idle", "read", "write", "pool", "timeout"})
"""Names of time limits: those of `TimeLimits`, and those of httpx's and OpenAI's `Timeout`."""


class LLMRouteError(Exception):
    """The base of all errors of this package."""

    message: str
    """What went wrong and what to do about it; never contains a key."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)  # by name: openai's classes may be bases too
        self.message = message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__.copy())


def _rebuild(cls: type[LLMRouteError], message: str, state: dict[str, Any]) -> LLMRouteError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class APIError(LLMRouteError):
    """Something went wrong with a call."""

    default_status: ClassVar[int | None] = None

    def __new__(cls, *args: object, **facts: object) -> Self:
        """Makes openai's classes bases of ours first, where openai is loaded."""
        if "openai" in sys.modules and not _OPENAI.adopted:
            _OPENAI.adopt()
        return super().__new__(cls)

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        url: str | None = None,
        status_code: int | None = None,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        type: str | None = None,
        provider_message: str = "",
    ) -> None:
        super().__init__(message)
        self.provider_message = provider_message
        """The provider's own words, as they stand in `message`; `""` if it did not say any."""
        self.provider = provider
        """The provider prefix, such as `"meta_llama"`."""
        self.model = model
        """`provider/model` of the deployment that was called."""
        self.url = url
        """Where the call went, without query or key; a path for a local model."""
        self.status_code = status_code if status_code is not None else self.default_status
        """The HTTP status; for an error found before sending, the status a server would give."""
        self.code = code
        """The provider's error code; its `type` if it has no code."""
        self.type = type
        """The provider's word for the kind of error, such as `"invalid_request_error"`."""
        self.param = param
        """The parameter at fault, where known."""
        self.request_id = request_id
        """The provider's id of the request, for its support."""
        self.retry_after = retry_after
        """Seconds the server asked to wait; `None` if it did not say. It may be hours."""
        self.headers = dict(headers or {})
        """Response headers, names in lower case."""
        self.body = body
        """The answer's body, decoded if it was JSON; of more than 64 kB, the beginning as text."""
        self.attempts: tuple[AttemptRecord, ...] = ()
        """Every attempt of the call, in order."""

    @property
    def llm_provider(self) -> str | None:
        """`provider`, by LiteLLM's name."""
        return self.provider

    @property
    def request(self) -> httpx.Request:
        """The request as openai's errors have it: method and `url`, without headers and body."""
        return request_of(self.url)

    @property
    def response(self) -> httpx.Response | None:
        """The answer as openai's errors have it, made from `status_code`, `headers` and `body`.

        Also of an error that was found before sending; `None` without a status.
        """
        return response_of(self.status_code, self.headers, self.body, self.url)

    def recast(self, kind: type[APIErrorT], message: str) -> APIErrorT:
        """An error of another class with the same facts, caused by this one."""
        error = kind(message)
        error.__dict__.update(self.__dict__, message=message)
        error.__cause__ = self
        return error

    def __str__(self) -> str:
        where = " at ".join(f"{part:.300}" for part in (self.model, self.url) if part)
        tried = f", {len(self.attempts)} attempts" if len(self.attempts) > 1 else ""
        text = f"{self.message} [{where}{tried}]" if where else self.message
        # A half of a character, as a caller's text may hold, would keep it from being printed.
        return text.encode("utf-8", "replace").decode()


class APIConnectionError(APIError):
    """The provider could not be reached, or the connection broke before the answer."""


class APITimeoutError(APIConnectionError):
    """A time limit passed: connecting, waiting for the first token, between tokens, in total."""

    default_status = 408
    is_total: bool = False
    """Whether it was the limit of the whole call, so that no time is left for another attempt."""

    def __new__(cls, *args: object, **facts: object) -> Self:
        """Catches `Timeout(total=5)`: the limits of a call are another class."""
        limits = facts.keys() & _LIMITS
        if limits or (args and not isinstance(args[0], str)):
            given = f"{min(limits)}=" if limits else ""
            raise TypeError(
                "Timeout is the error that is raised when a time limit passes; the limits of a call"
                f" are timeout=TimeLimits({given}...), from llmroute import TimeLimits."
            )
        return super().__new__(cls)


class APIStatusError(APIError):
    """The provider answered with an error status."""


class BadRequestError(APIStatusError):
    """The request is wrong; sending it again does not help."""

    default_status = 400


class ContextWindowExceededError(BadRequestError):
    """Prompt and answer do not fit into the model's context window."""


class ContentPolicyViolationError(BadRequestError):
    """The provider refused the content."""


class UnsupportedParamsError(BadRequestError):
    """A parameter is unknown, or this provider does not support it."""


class UnsupportedOperationError(BadRequestError):
    """This provider does not support the operation (embeddings, images, tools, ...)."""


class ModelFileError(BadRequestError):
    """A local file is not a model that this machine can load."""


class SessionFileError(BadRequestError):
    """A file is not a saved session, is damaged, or is of another model or other load options."""


class AuthenticationError(APIStatusError):
    """The key is missing or wrong."""

    default_status = 401


class PermissionDeniedError(APIStatusError):
    """The key is valid but may not do this."""

    default_status = 403


class ProviderRetiredError(PermissionDeniedError):
    """The provider ended this service; the message lists the alternatives."""


class NotFoundError(APIStatusError):
    """No such model, file or path."""

    default_status = 404


class ConflictError(APIStatusError):
    """The request conflicts with another one."""

    default_status = 409


class RequestTooLargeError(APIStatusError):
    """The request's body is larger than the provider takes."""

    default_status = 413


class UnprocessableEntityError(APIStatusError):
    """The request is well-formed but cannot be carried out."""

    default_status = 422


class RateLimitError(APIStatusError):
    """Too many requests, or a quota is used up; see `retry_after`."""

    default_status = 429


class InternalServerError(APIStatusError):
    """The provider failed."""

    default_status = 500


class BadGatewayError(InternalServerError):
    """A gateway got no proper answer from the provider behind it."""

    default_status = 502


class ServiceUnavailableError(InternalServerError):
    """The provider is overloaded or down."""

    default_status = 503


class ModelUnloadedError(ServiceUnavailableError):
    """The local model was unloaded while the call ran; such a call is not retried."""


class GatewayTimeoutError(InternalServerError):
    """A gateway got no answer in time from the provider behind it."""

    default_status = 504


class APIResponseValidationError(APIError):
    """The answer does not follow the provider's protocol, or is not what was asked for.

    `body` is the answer.
    """

    is_whole: bool = False
    """Whether the answer is complete, but not valid under the schema that was asked for."""


class StreamInterruptedError(APIError):
    """A stream broke off before its end; `partial` is the answer up to there."""

    partial: ChatCompletion | TextCompletion | MessagesResponse | Response | None = None
    """What had come, with `finish_reason=None` in the choices that did not finish."""


class BudgetExceededError(LLMRouteError):
    """A spending limit is reached.

    No call raises it yet, since there are no limits yet; it has its name here so that `except`
    lines written for LiteLLM can be taken over.
    """


class MissingExtraError(LLMRouteError, ImportError):
    """An optional package is not installed; the message gives the pip command."""

    def __init__(self, extra: str, purpose: str) -> None:
        message = f"{purpose} needs an optional package: pip install 'llmroute[{extra}]'"
        LLMRouteError.__init__(self, message)
        ImportError.__init__(self, message)
        self.extra = extra


# The names in LiteLLM and in the OpenAI SDK.
Timeout = APITimeoutError
OpenAIError = LLMRouteError

_OPENAI = OpenAIBases(
    APIError,
    APIConnectionError,
    APITimeoutError,
    APIStatusError,
    APIResponseValidationError,
    BadRequestError,
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    ConflictError,
    UnprocessableEntityError,
    RateLimitError,
    InternalServerError,
)

_BY_STATUS: dict[int, type[APIStatusError]] = {
    cls.default_status: cls
    for cls in (
        BadRequestError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        RequestTooLargeError,
        UnprocessableEntityError,
        RateLimitError,
        InternalServerError,
        BadGatewayError,
        ServiceUnavailableError,
        GatewayTimeoutError,
    )
    if cls.default_status is not None
}


def error_class(status: int) -> type[APIError]:
    """The class for an HTTP status.

    408 is a timeout; another 4xx without a class of its own is `BadRequestError`, another 5xx
    `InternalServerError`, and a status below 400 (a redirect that could not be followed) a plain
    `APIStatusError`.
    """
    if status == APITimeoutError.default_status:
        return APITimeoutError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return InternalServerError
    return BadRequestError if status >= 400 else APIStatusError
