"""What `help()`, IPython and editors are shown of the calls."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable
from typing import Any

import pytest

import llmroute
from llmroute.calls.chat import ChatArgs
from llmroute.calls.embedding import EmbeddingArgs
from llmroute.calls.rerank import RerankArgs
from llmroute.calls.responses import ResponsesArgs
from llmroute.calls.text import TextArgs

CALLS = [
    (llmroute.completion, ChatArgs, ["model", "messages", "stream"]),
    (llmroute.acompletion, ChatArgs, ["model", "messages", "stream"]),
    (llmroute.text_completion, TextArgs, ["model", "prompt", "stream"]),
    (llmroute.atext_completion, TextArgs, ["model", "prompt", "stream"]),
    (llmroute.embedding, EmbeddingArgs, ["model", "input"]),
    (llmroute.aembedding, EmbeddingArgs, ["model", "input"]),
    (llmroute.responses, ResponsesArgs, ["model", "input", "stream"]),
    (llmroute.aresponses, ResponsesArgs, ["model", "input", "stream"]),
    (llmroute.rerank, RerankArgs, ["model", "query", "documents"]),
    (llmroute.arerank, RerankArgs, ["model", "query", "documents"]),
]


@pytest.mark.parametrize(("call", "arguments", "first"), CALLS)
def test_signature_names_every_parameter(
    call: Callable[..., Any], arguments: Any, first: list[str]
) -> None:
    signature = inspect.signature(call)
    named = sorted(arguments.__annotations__)
    assert list(signature.parameters) == [*first, *named, "given"]
    for name in named:
        parameter = signature.parameters[name]
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert isinstance(parameter.annotation, str)
        assert parameter.default == ("raise" if name == "unsupported" else None)


def test_signature_shows_types_and_defaults() -> None:
    shown = str(inspect.signature(llmroute.completion))
    assert "temperature: 'float | None' = None" in shown
    assert "stream: 'bool' = False" in shown
    assert shown.endswith("**given) -> 'ChatCompletion | Stream[ChatCompletionChunk]'")


def test_signature_defaults_may_be_given() -> None:
    """Who writes out what the signature says gets the call without it."""
    parameters = inspect.signature(llmroute.completion).parameters.values()
    given = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    assert llmroute.completion("mock/m", "Hi", **{**given, "mock_response": "yes"}).text == "yes"


def test_help_names_the_parameters() -> None:
    told = pydoc.plain(pydoc.render_doc(llmroute.completion))
    for name in ("temperature", "max_tokens", "api_base", "model_kwargs", "num_retries"):
        assert told.count(name) >= 2, name  # in the signature and in the text


@pytest.mark.parametrize("call", [call for call, _, _ in CALLS])
def test_signature_leaves_coroutine_functions_as_they_are(call: Callable[..., Any]) -> None:
    assert inspect.iscoroutinefunction(call) is call.__name__.startswith("a")
