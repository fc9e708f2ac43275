"""`responses()` at a provider that speaks the protocol itself: everything goes through as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import llmroute
from llmroute import RateLimitError, Response, StreamInterruptedError
from llmroute.deployments import Deployment
from llmroute.providers import get_provider
from llmroute.providers.gateways import OpenAI
from llmroute.runtime import Runtime, use
from tests.protocols.responses_judge import judged_events
from tests.protocols.responses_ways import Ask, plain, plain_async, streamed, streamed_async, ways
from tests.servers import CLOSE, ScriptedServer, Step

SEARCHED = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
SEARCHED["action"] = {"type": "search", "query": "bees"}  # type: ignore[assignment]
TEXT = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [TEXT],
    "phase": "final_answer",
}
ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m-1",
    "status": "completed",
    "output": [SEARCHED, MESSAGE],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [{"type": "web_search"}],
    "billing": {"payer": "developer"},
    "usage": {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 3,
    },
}
AT = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": {**ANSWER, "status": "in_progress", "output": []}},
    {"type": "response.in_progress", "response": {**ANSWER, "status": "in_progress", "output": []}},
    {"type": "response.output_item.added", "output_index": 0, "item": SEARCHED},
    {"type": "response.output_item.done", "output_index": 0, "item": SEARCHED},
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {**MESSAGE, "status": "in_progress", "content": []},
    },
    {"type": "response.content_part.added", **AT, "part": {**TEXT, "text": ""}},
    {"type": "response.output_text.delta", **AT, "delta": "Hello", "logprobs": []},
    {"type": "response.output_text.done", **AT, "text": "Hello", "logprobs": []},
    {"type": "response.content_part.done", **AT, "part": TEXT},
    {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE},
    {"type": "response.completed", "response": ANSWER},
]
FAILURE = {"code": "rate_limit_exceeded", "message": "slow down"}


def http(body: bytes, kind: str, status: int = 200) -> list[bytes | Step]:
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\ncontent-type: {kind}\r\n\r\n"
    return [head.encode() + body]


def sse(*events: dict[str, Any]) -> bytes:
    numbered = [{**event, "sequence_number": n} for n, event in enumerate(events)]
    lines = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in numbered]
    return "".join(lines).encode()


def said_as(ask: Ask) -> list[bytes | Step]:
    if ask in (plain, plain_async):
        return http(json.dumps(ANSWER).encode(), "application/json")
    return http(sse(*EVENTS), "text/event-stream")


@pytest.fixture
def home() -> Iterator[Callable[[ScriptedServer], str]]:
    """Makes a server the home of a provider that speaks the protocol; gives a model there."""

    def register(server: ScriptedServer) -> str:
        operations = ("chat", "responses")
        provider = OpenAI(name="native_here", base_url=f"{server.url}/v1", operations=operations)
        llmroute.register_provider("native_here", provider)
        return "native_here/m"

    with use(Runtime()):  # what is registered goes with it
        yield register


@ways
def test_responses_passes_request_and_answer_through(ask: Ask, home: Any) -> None:
    space = {"type": "namespace", "name": "crm", "description": "", "tools": []}
    given: dict[str, Any] = {
        "tools": [{"type": "web_search"}, space],
        "tool_choice": {"type": "web_search"},
        "previous_response_id": "resp_0",
        "include": ["web_search_call.results"],
        "truncation": "auto",
    }
    items = [{"role": "user", "content": "hi"}, {"type": "item_reference", "id": "msg_0"}]
    with ScriptedServer(said_as(ask)) as server:
        answer = ask(home(server), items, extra_body={"of_tomorrow": 1}, **given)
    [request] = server.requests
    assert request.line.startswith("POST /v1/responses ")
    sent = json.loads(request.body)
    assert sent.pop("stream", False) is (ask in (streamed, streamed_async))
    assert sent == {"model": "m", "input": items, "of_tomorrow": 1, **given}
    assert answer.to_dict() == ANSWER
    assert answer.output_text == "Hello"


@pytest.mark.parametrize("ask", [plain, plain_async])
def test_responses_reads_a_stream_nobody_asked_for(ask: Ask, home: Any) -> None:
    with ScriptedServer(http(sse(*EVENTS), "text/event-stream")) as server:
        assert ask(home(server), "hi").to_dict() == ANSWER


def test_responses_stream_takes_a_whole_answer(home: Any) -> None:
    with ScriptedServer(http(json.dumps(ANSWER).encode(), "application/json")) as server:
        stream = llmroute.responses(home(server), "hi", stream=True)
        assert [event.type for event in stream] == ["response.completed"]
        assert stream.get_final_response().to_dict() == ANSWER


@ways
@pytest.mark.parametrize("status", [200, 429])
def test_responses_raises_what_a_failed_answer_says(ask: Ask, status: int, home: Any) -> None:
    failed = {**ANSWER, "status": "failed", "error": FAILURE, "output": []}
    body = json.dumps(failed if status == 200 else {"error": FAILURE}).encode()
    said = http(body, "application/json", status)
    if status == 200 and ask in (streamed, streamed_async):
        last = {"type": "response.failed", "response": failed}
        said = http(sse(EVENTS[0], last), "text/event-stream")
    with ScriptedServer(said) as server, pytest.raises(llmroute.APIError) as caught:
        ask(home(server), "hi", num_retries=0)
    error = caught.value
    assert (error.code, error.provider) == ("rate_limit_exceeded", "native_here")
    assert isinstance(error, RateLimitError) or status == 200


@pytest.mark.parametrize("count", range(2, len(EVENTS)))
def test_responses_stream_cut_short_ends_with_failed_and_raises(count: int, home: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    events: list[Any] = []
    with (
        ScriptedServer([head + sse(*EVENTS[:count]), CLOSE]) as server,
        pytest.raises(llmroute.APIError) as caught,
    ):
        events.extend(llmroute.responses(home(server), "hi", stream=True, num_retries=0))
    assert isinstance(caught.value, StreamInterruptedError)
    if count == 2:
        assert events == []  # nothing was said: the call itself failed, and may be tried again
        return
    assert judged_events(events)[-1].type == "response.failed"
    assert len(events) == count + 1
    partial = caught.value.partial
    assert isinstance(partial, Response)
    ended = [event for event in EVENTS[:count] if event["type"] == "response.output_item.done"]
    assert len(partial.output) == len(ended)


@pytest.mark.parametrize(
    ("base", "offered"),
    [("https://api.openai.com/v1", True), ("https://gateway.example/v1", False)],
)
def test_openai_offers_responses_at_its_own_host(base: str, offered: bool) -> None:
    deployment = Deployment(provider="openai", model="m", api_base=base)
    assert get_provider("openai").offers("responses", deployment) is offered


def test_responses_with_a_store_goes_over_the_chat(home: Any) -> None:
    chat = {
        "id": "a",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
        ],
    }
    with ScriptedServer(http(json.dumps(chat).encode(), "application/json")) as server:
        store = llmroute.MemoryResponseStore()
        answer = llmroute.responses(home(server), "hi", response_store=store)
    assert server.requests[0].line.startswith("POST /v1/chat/completions ")
    assert store.load(answer.id) is not None
