from .api import (
    acompletion as acompletion,
)
from .api import (
    aembedding as aembedding,
)
from .api import (
    arerank as arerank,
)
from .api import (
    atext_completion as atext_completion,
)
from .api import (
    completion as completion,
)
from .api import (
    embedding as embedding,
)
from .api import (
    rerank as rerank,
)
from .api import (
    text_completion as text_completion,
)
from .engine.gguf.files import register_local_model as register_local_model
from .engine.loaded_model import LoadedModel as LoadedModel
from .errors import (
    APIConnectionError as APIConnectionError,
)
from .errors import (
    APIError as APIError,
)
from .errors import (
    APIResponseValidationError as APIResponseValidationError,
)
from .errors import (
    APIStatusError as APIStatusError,
)
from .errors import (
    APITimeoutError as APITimeoutError,
)
from .errors import (
    AuthenticationError as AuthenticationError,
)
from .errors import (
    BadGatewayError as BadGatewayError,
)
from .errors import (
    BadRequestError as BadRequestError,
)
from .errors import (
    BudgetExceededError as BudgetExceededError,
)
from .errors import (
    ConflictError as ConflictError,
)
from .errors import (
    ContentPolicyViolationError as ContentPolicyViolationError,
)
from .errors import (
    ContextWindowExceededError as ContextWindowExceededError,
)
from .errors import (
    GatewayTimeoutError as GatewayTimeoutError,
)
from .errors import (
    InternalServerError as InternalServerError,
)
from .errors import (
    LLMRouteError as LLMRouteError,
)
from .errors import (
    MissingExtraError as MissingExtraError,
)
from .errors import (
    ModelFileError as ModelFileError,
)
from .errors import (
    ModelUnloadedError as ModelUnloadedError,
)
from .errors import (
    NotFoundError as NotFoundError,
)
from .errors import (
    OpenAIError as OpenAIError,
)
from .errors import (
    PermissionDeniedError as PermissionDeniedError,
)
from .errors import (
    ProviderRetiredError as ProviderRetiredError,
)
from .errors import (
    RateLimitError as RateLimitError,
)
from .errors import (
    RequestTooLargeError as RequestTooLargeError,
)
from .errors import (
    ServiceUnavailableError as ServiceUnavailableError,
)
from .errors import (
    SessionFileError as SessionFileError,
)
from .errors import (
    StreamInterruptedError as StreamInterruptedError,
)
from .errors import (
    UnprocessableEntityError as UnprocessableEntityError,
)
from .errors import (
    UnsupportedOperationError as UnsupportedOperationError,
)
from .errors import (
    UnsupportedParamsError as UnsupportedParamsError,
)
from .local_models import (
    load_session as load_session,
)
from .local_models import (
    loaded_models as loaded_models,
)
from .local_models import (
    save_session as save_session,
)
from .local_models import (
    unload as unload,
)
from .local_models import (
    warm_up as warm_up,
)
from .models import (
    Cost as Cost,
)
from .models import (
    ModelInfo as ModelInfo,
)
from .models import (
    TokenCount as TokenCount,
)
from .models import (
    completion_cost as completion_cost,
)
from .models import (
    cost_per_token as cost_per_token,
)
from .models import (
    get_model_info as get_model_info,
)
from .models import (
    known_models as known_models,
)
from .models import (
    register_model as register_model,
)
from .models import (
    token_counter as token_counter,
)
from .models import (
    trim_messages as trim_messages,
)
from .providers import register_provider as register_provider
from .providers.params import DroppedParamsWarning as DroppedParamsWarning
from .transport.streams import (
    AsyncStream as AsyncStream,
)
from .transport.streams import (
    Stream as Stream,
)
from .types.call_info import (
    AttemptRecord as AttemptRecord,
)
from .types.call_info import (
    CallInfo as CallInfo,
)
from .types.chat import (
    ChatCompletion as ChatCompletion,
)
from .types.chat import (
    Message as Message,
)
from .types.chat_chunk import ChatCompletionChunk as ChatCompletionChunk
from .types.embedding import EmbeddingResponse as EmbeddingResponse
from .types.request import (
    ChatParams as ChatParams,
)
from .types.request import (
    TimeLimits as TimeLimits,
)
from .types.rerank import RerankResponse as RerankResponse
from .types.text import TextCompletion as TextCompletion
from .types.usage import Usage as Usage
from .version import __version__ as __version__
