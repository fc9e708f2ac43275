"""What Google's SDK says about a body, and answers as Gemini sends them."""

from __future__ import annotations

import json
from typing import Any

from google.genai import types

from llmroute.chat_messages import plain_messages
from llmroute.deployments import Deployment
from llmroute.providers.gemini import provider
from llmroute.schemas import with_schemas
from llmroute.sse import Event
from llmroute.types.chat_request import ChatRequest

NEW = "gemini-3-flash-preview"
OLD = "gemini-2.5-flash"
HI = [{"role": "user", "content": "Hi"}]
PNG = "iVBORw0KGgo="
CALLED = {"functionCall": {"name": "look_up", "args": {"q": "sky"}}, "thoughtSignature": "c2ln"}
_SINGLE: dict[str, Any] = {
    "systemInstruction": types.Content,
    "generationConfig": types.GenerationConfig,
    "toolConfig": types.ToolConfig,
}
_LISTS: dict[str, Any] = {
    "contents": types.Content,
    "safetySettings": types.SafetySetting,
    "tools": types.Tool,
}


def request(model: str = NEW, messages: Any = HI, **given: Any) -> ChatRequest:
    """A request as `completion()` makes it."""
    options = {k: given.pop(k) for k in ("stream", "unsupported", "extra_body") if k in given}
    name = f"gemini/{model}"
    plain = plain_messages(messages, name)
    return ChatRequest(
        model=name,
        messages=plain,
        params=with_schemas(given),
        call_id="c0ffee",
        created=1_700_000_000,
        **options,
    )


def call(asked: ChatRequest, api_base: str = "http://127.0.0.1/v1beta") -> Any:
    """The HTTP call of a request."""
    model = asked.model.removeprefix("gemini/")
    deployment = Deployment(provider="gemini", model=model, api_base=api_base, api_key="secret-key")
    return provider.build(asked, deployment)


def body(model: str = NEW, messages: Any = HI, **given: Any) -> dict[str, Any]:
    """The body that is sent, once the models of Google's SDK have taken it; they forbid what they
    do not know."""
    sent: dict[str, Any] = json.loads(call(request(model, messages, **given)).body)
    for name, kind in _SINGLE.items():
        if name in sent:
            kind.model_validate(sent[name])
    for name, kind in _LISTS.items():
        for item in sent.get(name) or ():
            kind.model_validate(item)
    return sent


def answer(*parts: dict[str, Any], reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """One answer, or one event of a stream; `more` are other fields of the candidate."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    counts = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}
    return {
        "candidates": [{**candidate, **more}],
        "usageMetadata": counts,
        "modelVersion": NEW,
        "responseId": "r1",
    }


def sse(*payloads: dict[str, Any]) -> bytes:
    """A stream of these events, as Google sends it."""
    return b"".join(b"data: " + json.dumps(payload).encode() + b"\r\n\r\n" for payload in payloads)


def events(data: bytes) -> list[Event]:
    """The events of a body that ended as it should."""
    splitter = provider.splitter({})
    return [*splitter.feed(data), *splitter.flush()]
