from .calls.chat import acompletion as acompletion, completion as completion
from .calls.embedding import aembedding as aembedding, embedding as embedding
from .calls.message_streams import (
    AsyncMessageStream as AsyncMessageStream,
    MessageStream as MessageStream,
)
from .calls.messages import (
    amessages as amessages,
    count_message_tokens as count_message_tokens,
    messages as messages,
)
from .calls.rerank import arerank as arerank, rerank as rerank
from .calls.response_store import (
    MemoryResponseStore as MemoryResponseStore,
    ResponseStore as ResponseStore,
)
from .calls.response_streams import (
    AsyncResponseStream as AsyncResponseStream,
    ResponseStream as ResponseStream,
)
from .calls.responses import aresponses as aresponses, responses as responses
from .calls.text import atext_completion as atext_completion, text_completion as text_completion
from .chunks.wholeness import MissingChoicesWarning as MissingChoicesWarning
from .costs import (
    Cost as Cost,
    completion_cost as completion_cost,
    cost_per_token as cost_per_token,
)
from .engine.gguf.files import register_local_model as register_local_model
from .engine.loaded_model import LoadedModel as LoadedModel
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
    ModelUnloadedError as ModelUnloadedError,
    NotFoundError as NotFoundError,
    OpenAIError as OpenAIError,
    PermissionDeniedError as PermissionDeniedError,
    ProviderRetiredError as ProviderRetiredError,
    RateLimitError as RateLimitError,
    RequestTooLargeError as RequestTooLargeError,
    ServiceUnavailableError as ServiceUnavailableError,
    SessionFileError as SessionFileError,
    StreamInterruptedError as StreamInterruptedError,
    Timeout as Timeout,
    UnprocessableEntityError as UnprocessableEntityError,
    UnsupportedOperationError as UnsupportedOperationError,
    UnsupportedParamsError as UnsupportedParamsError,
)
from .local_models import (
    load_session as load_session,
    loaded_models as loaded_models,
    save_session as save_session,
    unload as unload,
    warm_up as warm_up,
)
from .model_info import ModelInfo as ModelInfo
from .providers import register_provider as register_provider
from .providers.params import DroppedParamsWarning as DroppedParamsWarning
from .registry import (
    get_model_info as get_model_info,
    known_models as known_models,
    register_model as register_model,
)
from .tokens import (
    TokenCount as TokenCount,
    token_counter as token_counter,
    trim_messages as trim_messages,
)
from .transport.streams import AsyncStream as AsyncStream, Stream as Stream
from .types.call_info import AttemptRecord as AttemptRecord, CallInfo as CallInfo
from .types.chat import ChatCompletion as ChatCompletion, Message as Message
from .types.chat_chunk import ChatCompletionChunk as ChatCompletionChunk
from .types.chat_request import ChatParams as ChatParams
from .types.embedding import EmbeddingResponse as EmbeddingResponse
from .types.messages import MessageEvent as MessageEvent, MessagesResponse as MessagesResponse
from .types.request import TimeLimits as TimeLimits
from .types.rerank import RerankResponse as RerankResponse
from .types.responses import Response as Response, ResponseEvent as ResponseEvent
from .types.text import TextCompletion as TextCompletion
from .types.usage import Usage as Usage
from .version import __version__ as __version__
