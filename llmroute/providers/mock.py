"""Answers a call with what the caller gave as `mock_response=`, without calling anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..chunks import as_chunk
from ..deployments import Deployment
from ..errors import BadRequestError
from ..types.chat import ChatCompletion
from ..types.chat_chunk import ChatCompletionChunk
from ..types.request import Request
from ..types.text import TextCompletion
from .base import Chunk, MockCall, Provider

ANSWER = "mock_response"
"""The key of the deployment's `model_kwargs` that holds the answer."""


class Mock(Provider):
    """The provider behind `mock_response=`."""

    name = "mock"
    runs_here = True

    def build(self, request: Request, deployment: Deployment) -> MockCall:
        """The answer: a text, a completion (as an object or a dict), or an error to raise."""
        answer = deployment.model_kwargs.get(ANSWER, "This is a mock response.")
        if isinstance(answer, Exception):
            return MockCall((), answer)
        if isinstance(answer, str):
            return MockCall(_chunks(answer, request, deployment))
        return MockCall((as_chunk(_completion(answer, request)),))


def _completion(answer: object, request: Request) -> ChatCompletion | TextCompletion:
    if isinstance(answer, ChatCompletion | TextCompletion):
        return answer
    if isinstance(answer, Mapping):
        model = ChatCompletion if request.operation == "chat" else TextCompletion
        return model.model_validate(answer)
    raise BadRequestError(
        f"mock_response= takes a text, a completion or an exception, not {type(answer).__name__}.",
        model=request.model,
    )


def _chunks(text: str, request: Request, deployment: Deployment) -> list[Chunk]:
    """The text word by word, then the end."""
    words = re.findall(r"\S*\s*", text)[:-1]
    chat = request.operation == "chat"
    common: dict[str, Any] = {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{request.call_id}",
        "created": request.created,
        "model": deployment.model,
    }
    if chat:
        deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
        choices = [{"index": 0, "delta": delta} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        return [ChatCompletionChunk.model_validate({**common, "choices": [c]}) for c in choices]
    choices = [{"index": 0, "text": word} for word in words]
    choices.append({"index": 0, "text": "", "finish_reason": "stop"})
    return [TextCompletion.model_validate({**common, "choices": [c]}) for c in choices]


provider = Mock()
