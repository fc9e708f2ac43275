"""All calls in one place; each is in the file of its operation in `calls/`.

Every function takes the operation's OpenAI parameters by name (such as `ChatParams`) and the
options of `CallOptions`. All of them raise `LLMRouteError`s only; see `llmroute.errors` for the
tree.
"""

from .calls.chat import acompletion, completion
from .calls.embedding import aembedding, embedding
from .calls.messages import amessages, count_message_tokens, messages
from .calls.rerank import arerank, rerank
from .calls.responses import aresponses, responses
from .calls.text import atext_completion, text_completion

__all__ = [
    "acompletion",
    "aembedding",
    "amessages",
    "arerank",
    "aresponses",
    "atext_completion",
    "completion",
    "count_message_tokens",
    "embedding",
    "messages",
    "rerank",
    "responses",
    "text_completion",
]
