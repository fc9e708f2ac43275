from .api import (
    acompletion as acompletion,
    aembedding as aembedding,
    atext_completion as atext_completion,
    completion as completion,
    embedding as embedding,
    text_completion as text_completion,
)
from .errors import (
    APIConnectionError as APIConnectionError,
    APIError as APIError,
    APIResponseValidationError as APIResponseValidationError,
    APIStatusError as APIStatusError,
    APITimeoutError as APITimeoutError,
    AuthenticationError as AuthenticationError,
    BadGatewayError as BadGatewayError,
    BadRequestError as BadRequestError,
    BudgetExceededError as BudgetExceededError,
    ConflictError as ConflictError,
    ContentPolicyViolationError as ContentPolicyViolationError,
    ContextWindowExceededError as ContextWindowExceededError,
    GatewayTimeoutError as GatewayTimeoutError,
    InternalServerError as InternalServerError,
    LLMRouteError as LLMRouteError,
    MissingExtraError as MissingExtraError,
    ModelFileError as ModelFileError,
    NotFoundError as NotFoundError,
    OpenAIError as OpenAIError,
    PermissionDeniedError as PermissionDeniedError,
    ProviderRetiredError as ProviderRetiredError,
    RateLimitError as RateLimitError,
    RequestTooLargeError as RequestTooLargeError,
    ServiceUnavailableError as ServiceUnavailableError,
    StreamInterruptedError as StreamInterruptedError,
    UnprocessableEntityError as UnprocessableEntityError,
    UnsupportedOperationError as UnsupportedOperationError,
    UnsupportedParamsError as UnsupportedParamsError,
)
from .providers import register_provider as register_provider
from .transport.streams import (
    AsyncStream as AsyncStream,
    Stream as Stream,
)
from .types.chat import (
    ChatCompletion as ChatCompletion,
    Message as Message,
)
from .types.chat_chunk import ChatCompletionChunk as ChatCompletionChunk
from .types.embedding import EmbeddingResponse as EmbeddingResponse
from .types.request import Timeout as Timeout
from .types.text import TextCompletion as TextCompletion
from .types.usage import Usage as Usage
from .version import __version__ as __version__
