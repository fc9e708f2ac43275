"""`meta/`: what the Meta Model API takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmroute.deployments import Deployment
from llmroute.errors import UnsupportedParamsError
from llmroute.providers import get_provider
from llmroute.providers.base import HTTPCall
from llmroute.types.chat_request import ChatRequest

provider = get_provider("meta")
HERE = Deployment(provider="meta", model="muse-spark-1.1", api_base=provider.base_url)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def sent(**params: Any) -> Any:
    request = ChatRequest(
        model="meta/muse-spark-1.1", messages=[{"role": "user", "content": "Hi"}], params=params
    )
    call = provider.build(request, HERE)
    assert isinstance(call, HTTPCall)
    assert call.url == "https://api.meta.ai/v1/chat/completions"
    return json.loads(call.body)


@pytest.mark.parametrize(
    "params",
    [
        {"stop": "x"},
        {"logprobs": True},
        {"n": 2},
        {"tools": [TOOL], "tool_choice": "required"},
        {"reasoning_effort": "none"},
    ],
)
def test_refusals(params: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParamsError) as caught:
        sent(**params)
    assert caught.value.param == list(params)[-1]


def test_what_it_takes() -> None:
    params = {"n": 1, "temperature": 0.5, "reasoning_effort": "low", "tools": [TOOL]}
    body = sent(**params, tool_choice="auto")
    assert body == {
        "model": "muse-spark-1.1",
        "messages": [{"role": "user", "content": "Hi"}],
        **params,
        "tool_choice": "auto",
    }
    assert "tools" not in sent(tools=[TOOL], tool_choice="none")


def test_its_key_goes_to_its_own_host_only() -> None:
    assert provider.key_env == ("MODEL_API_KEY", "META_API_KEY")
    assert not provider.key_to_any_host
